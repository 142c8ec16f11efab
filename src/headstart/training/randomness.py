"""Random state as a function of position, so that a resumed run needs no saved generator.

Every draw of a run is seeded by (run seed, phase, step) or (run seed, phase, epoch, item). A run that is killed and
taken up again at step s draws exactly what the unbroken run drew at step s.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *position: str | int) -> int:
    """A 63-bit seed for a position in a run; different positions give independent seeds."""
    text = "\x1f".join([str(seed), *map(str, position)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def permutation(count: int, seed: int, *position: str | int) -> np.ndarray:
    """(count,) int64, an order of the items for one epoch."""
    return np.random.Generator(np.random.Philox(derive(seed, *position))).permutation(count)
