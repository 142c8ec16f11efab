"""Shallow adaptation: numpy estimators on features of two domains. One file a method, with its paper and equation."""

from __future__ import annotations

from headstart.core.registry import Registry
from headstart.methods.adaptation.shallow.base import Adapter

ADAPTERS: Registry[type[Adapter]] = Registry(
    "shallow adaptation method",
    {
        "bbse": "headstart.methods.adaptation.shallow.bbse:BBSE",
        "bda": "headstart.methods.adaptation.shallow.bda:BDA",
        "coral": "headstart.methods.adaptation.shallow.coral:Coral",
        "density-ratio": "headstart.methods.adaptation.shallow.density_ratio:DensityRatio",
        "easyadapt": "headstart.methods.adaptation.shallow.easyadapt:EasyAdapt",
        "gfk": "headstart.methods.adaptation.shallow.gfk:GFK",
        "jda": "headstart.methods.adaptation.shallow.jda:JDA",
        "jdot": "headstart.methods.adaptation.shallow.jdot:JDOT",
        "kliep": "headstart.methods.adaptation.shallow.kliep:KLIEP",
        "kmm": "headstart.methods.adaptation.shallow.kmm:KMM",
        "monge": "headstart.methods.adaptation.shallow.monge:LinearMonge",
        "prior-em": "headstart.methods.adaptation.shallow.prior_em:PriorEM",
        "standardise": "headstart.methods.adaptation.shallow.standardise:Standardise",
        "subspace": "headstart.methods.adaptation.shallow.subspace:SubspaceAlignment",
        "tca": "headstart.methods.adaptation.shallow.tca:TCA",
        "tcr": "headstart.methods.adaptation.shallow.tcr:TCR",
        "transport": "headstart.methods.adaptation.shallow.transport:ClassTransport",
    },
    group="headstart.adapters",
)
