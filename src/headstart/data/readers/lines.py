"""A file with a text a line, of which nothing more is said."""

from __future__ import annotations

from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.dataset import Dataset, Item, printable
from headstart.data.encodings import encoding_finding, read_text
from headstart.data.readers.base import Columns, Reader
from headstart.data.readers.files import refuse_columns


class LinesReader(Reader):
    """Texts without labels. Empty lines are passed over."""

    form = "a .txt file with a text a line, to learn from without labels"
    general = True

    def accepts(self, data: str) -> bool:
        return Path(data).suffix.lower() == ".txt" and Path(data).is_file()

    def read(self, data: str, columns: Columns) -> Dataset:
        path = Path(data)
        refuse_columns(columns, "a file of lines", "none")
        text, encoding = read_text(path)
        items = [
            Item(f"line {number}", line.strip())
            for number, line in enumerate(text.split("\n"), start=1)
            if line.strip()
        ]
        if not items:
            raise DataError(f"{path} holds no text. Expected a text a line.")
        findings = tuple(encoding_finding(path.name, encoding))
        return Dataset(printable(path.name), tuple(items), modality="text", kind="none", findings=findings)
