"""The feature store: what is put is got, by anyone, whatever is killed or damaged in between."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.core.errors import ConfigError, ShapeError
from headstart.features.store import KEY, FeatureStore, Shelf, size_of

WIDTH = 8
ABOUT = {"source": "tiny", "precision": "float32"}


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number: int) -> np.ndarray:
    return np.full(WIDTH, number, np.float32)


def open_shelf(folder: Path, limit: int = 10**9) -> Shelf:
    shelf = FeatureStore(folder, limit).shelf(ABOUT, WIDTH)
    assert shelf is not None
    return shelf


def put(shelf: Shelf, numbers: range) -> bool:
    return shelf.put([digest(n) for n in numbers], np.stack([row(n) for n in numbers]))


def holds(shelf: Shelf, numbers: range) -> bool:
    rows, known = shelf.get([digest(n) for n in numbers])
    return bool(known.all()) and all((r == row(n)).all() for r, n in zip(rows, numbers, strict=True))


def test_what_is_put_is_got_by_this_and_every_later_process(tmp_path: Path) -> None:
    shelf = open_shelf(tmp_path)
    assert put(shelf, range(5))
    assert put(shelf, range(5, 9))
    for reader in (shelf, open_shelf(tmp_path)):
        assert holds(reader, range(9))
        rows, known = reader.get([digest(3), digest(99), digest(0)])
        assert known.tolist() == [True, False, True]
        assert rows[:, 0].tolist() == [3, 0, 0]


def test_of_an_item_that_comes_twice_the_later_row_counts(tmp_path: Path) -> None:
    shelf = open_shelf(tmp_path)
    put(shelf, range(3))
    shelf.put([digest(1)], row(7)[None])
    assert open_shelf(tmp_path).get([digest(1)])[0][0, 0] == 7


def test_encoders_do_not_share_a_shelf(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**9)
    put(open_shelf(tmp_path), range(3))
    for other in (store.shelf({**ABOUT, "precision": "bfloat16"}, WIDTH), store.shelf(ABOUT, WIDTH + 1)):
        assert other is not None
        assert not other.get([digest(1)])[1].any()


@pytest.mark.parametrize("torn", ["rows.bin", "keys.bin"])
@pytest.mark.parametrize("lost", [1, 5, 33, 40])
def test_a_torn_write_is_noticed_and_done_again(tmp_path: Path, torn: str, lost: int) -> None:
    shelf = open_shelf(tmp_path)
    put(shelf, range(10))
    file = shelf.place / torn
    os.truncate(file, file.stat().st_size - lost)
    again = open_shelf(tmp_path)
    _, known = again.get([digest(n) for n in range(10)])
    gone = -(-lost // (4 * WIDTH if torn == "rows.bin" else KEY.itemsize))
    assert known.tolist() == [True] * (10 - gone) + [False] * gone
    put(again, range(10 - gone, 14))
    assert holds(open_shelf(tmp_path), range(14))


def test_rows_written_without_their_keys_are_cut_off(tmp_path: Path) -> None:
    shelf = open_shelf(tmp_path)
    put(shelf, range(4))
    with (shelf.place / "rows.bin").open("ab") as out:
        out.write(b"\x01" * 4 * WIDTH * 3)
    put(open_shelf(tmp_path), range(4, 8))
    assert holds(open_shelf(tmp_path), range(8))
    assert (shelf.place / "rows.bin").stat().st_size == 8 * 4 * WIDTH


@pytest.mark.parametrize("name", ["rows.bin", "keys.bin"])
def test_a_damaged_row_is_not_believed(tmp_path: Path, name: str) -> None:
    shelf = open_shelf(tmp_path)
    put(shelf, range(6))
    file = shelf.place / name
    content = bytearray(file.read_bytes())
    content[2 * len(content) // 6 + 3] ^= 0xFF
    file.write_bytes(content)
    _, known = open_shelf(tmp_path).get([digest(n) for n in range(6)])
    assert known.tolist() == [True, True, False, True, True, True]


def test_a_killed_writer_leaves_a_sound_shelf(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from tests_store import open_shelf, put
shelf = open_shelf(Path({str(tmp_path)!r}))
print("ready", flush=True)
for start in range(0, 10**7, 3):
    put(shelf, range(start, start + 3))
"""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tests_store.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "code")}
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.15)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        shelf = open_shelf(tmp_path)
        rows, known = shelf.get([digest(n) for n in range(300)])
        assert known[:3].all()
        assert all((r == row(n)).all() for n, (r, k) in enumerate(zip(rows, known, strict=True)) if k)
        put(shelf, range(1000, 1003))
        assert holds(open_shelf(tmp_path), range(1000, 1003))


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from tests_store import open_shelf, put
shelf = open_shelf(Path(sys.argv[1]))
begin = int(sys.argv[2])
for start in range(begin, begin + 60, 4):
    assert put(shelf, range(start, start + 4))
"""
    code = tmp_path / "code"
    code.mkdir()
    (code / "tests_store.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(code), *sys.path])}
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "store"), str(begin)], env=environment)
        for begin in (0, 60)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert holds(open_shelf(tmp_path / "store"), range(120))


def test_the_shelf_used_longest_ago_goes_first(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 3 * 10 * (4 * WIDTH + KEY.itemsize))
    for name in ("first", "second", "first", "third"):
        shelf = store.shelf({"source": name}, WIDTH)
        assert shelf is not None
        time.sleep(0.01)
        if not shelf.get([digest(0)])[1].all():
            put(shelf, range(10))
    assert [shelf.about["source"] for shelf in store.info()] == ["third", "first"]
    assert sum(shelf.size_bytes for shelf in store.info()) <= store.limit


def test_readers_keep_what_they_hold_while_it_is_cleared(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**9)
    shelf = open_shelf(tmp_path)
    put(shelf, range(4))
    assert store.clear() > 0
    assert not store.info()
    assert store.clear() == 0
    assert holds(shelf, range(4))
    put(shelf, range(4, 6))
    assert holds(open_shelf(tmp_path), range(4, 6))


def test_nothing_is_kept_where_the_limit_is_zero(tmp_path: Path) -> None:
    assert FeatureStore(tmp_path, 0).shelf(ABOUT, WIDTH) is None


def test_a_store_that_cannot_be_written_only_forgets(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    shelf = open_shelf(blocked / "features")
    assert not put(shelf, range(3))
    assert not shelf.get([digest(0)])[1].any()


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"expected rows of shape \(1, 8\)"):
        open_shelf(tmp_path).put([digest(0)], np.zeros((1, 9), np.float32))


def test_small_facts_are_remembered(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**9)
    assert store.recall({"a": 1}) is None
    store.remember({"a": 1}, "bfloat16")
    assert FeatureStore(tmp_path, 10**9).recall({"a": 1}) == "bfloat16"
    assert store.recall({"a": 2}) is None
    store.clear()
    assert store.recall({"a": 1}) is None


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500MB", 5 * 10**8), ("1.5 gb", 1_500_000_000), ("7", 7), ("2TB", 2 * 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@given(st.text(max_size=8))
def test_a_size_is_a_number_or_an_error_that_says_so(text: str) -> None:
    try:
        size = size_of(text)
    except ConfigError as error:
        size, said = 0, str(error)
        assert "Expected for instance 5GB" in said
    assert size >= 0
