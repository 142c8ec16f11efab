"""Readers: from what the user names to a Dataset, one form of data a file."""

from headstart.core.registry import Registry
from headstart.data.readers.base import Reader

READERS: Registry[type[Reader]] = Registry(
    "reader",
    {
        "conll": "headstart.data.readers.conll:ConllReader",
        "folder": "headstart.data.readers.folder:FolderReader",
        "h5ad": "headstart.data.readers.h5ad:H5adReader",
        "hub": "headstart.data.readers.hub:HubReader",
        "lines": "headstart.data.readers.lines:LinesReader",
        "squad": "headstart.data.readers.squad:SquadReader",
        "table": "headstart.data.readers.table:TableReader",
    },
    group="headstart.readers",
)
