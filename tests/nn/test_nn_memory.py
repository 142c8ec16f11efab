"""Large arrays reuse memory the process already has, unless the user has said how malloc is to behave."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

CHURN = """
import resource
import numpy as np
from headstart.nn.memory import keep_freed_memory
agreed = keep_freed_memory()
for _ in range(3):
    np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(agreed, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def churn(**environment: str) -> tuple[bool, int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GLIBC_TUNABLES", "MALLOC_"))}
    done = subprocess.run(
        [sys.executable, "-c", CHURN], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    agreed, faults = done.stdout.split()
    return agreed == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_arrays_are_used_again_without_new_pages() -> None:
    pages = 20 * 64_000_000 // resource.getpagesize()
    agreed, faults = churn()
    assert agreed
    assert faults < pages / 100


def test_what_the_user_has_set_is_left_alone() -> None:
    agreed, _ = churn(MALLOC_ARENA_MAX="4")
    assert not agreed


RELEASED = """
import numpy as np, psutil
from headstart.nn.memory import keep_freed_memory, release_freed_memory
keep_freed_memory()
arrays = [np.ones(1_000_000) for _ in range(50)]
pin = np.ones(1000)
held = psutil.Process().memory_info().rss
del arrays
kept = psutil.Process().memory_info().rss
release_freed_memory()
print(held - kept, kept - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_what_is_kept_is_given_back_between_one_kind_of_work_and_the_next() -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GLIBC_TUNABLES", "MALLOC_"))}
    done = subprocess.run([sys.executable, "-c", RELEASED], env=clean, capture_output=True, text=True, check=True)
    freed_before, freed_by_it = map(int, done.stdout.split())
    assert freed_before < 100e6
    assert freed_by_it > 300e6
