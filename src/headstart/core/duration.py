"""How long something may take, as people write it."""

from __future__ import annotations

import math
import re

from headstart.core.errors import ConfigError

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(budget: str | float) -> float:
    """ "60s" -> 60.0; units s, m (or min) and h, else seconds. Raises ConfigError for what is no positive time."""
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*", str(budget).lower())
    seconds = float(found[1]) * UNITS.get(found[2], math.nan) if found else math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f"budget {str(budget)!r} is no time. Expected for instance 60s, 10m or 2h.")
    return seconds
