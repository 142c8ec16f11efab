"""Ranking: how well would a source transfer? One score a file, each with its paper."""

from __future__ import annotations

from headstart.core.registry import Registry
from headstart.core.scorer import Scorer

SCORERS: Registry[type[Scorer]] = Registry(
    "score",
    {
        "hscore": "headstart.ranking.hscore:HScore",
        "hscore-regularised": "headstart.ranking.hscore_regularised:RegularisedHScore",
        "knn": "headstart.ranking.knn:Neighbours",
        "leep": "headstart.ranking.leep:LEEP",
        "logme": "headstart.ranking.logme:LogME",
        "nce": "headstart.ranking.nce:NCE",
        "parameters": "headstart.ranking.parameters:Parameters",
        "probe": "headstart.ranking.probe:LinearProbe",
        "source-accuracy": "headstart.ranking.source_accuracy:SourceAccuracy",
        "transrate": "headstart.ranking.transrate:TransRate",
    },
    group="headstart.scorers",
)
