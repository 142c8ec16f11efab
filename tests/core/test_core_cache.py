"""The cache: where it is, and that what is in it is whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headstart.core.cache import cache_dir, write_whole


def test_the_environment_chooses_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("HEADSTART_CACHE", "~/mine")
    assert cache_dir() == Path.home() / "mine"
    monkeypatch.delenv("HEADSTART_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().name == "headstart"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    contents = {bytes([i]) * 200_000 for i in range(2)}
    write_whole(path, min(contents))
    done = threading.Event()

    def write() -> None:
        for _ in range(20):
            for data in contents:
                write_whole(path, data)
        done.set()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    while not done.is_set():
        assert path.read_bytes() in contents
    for writer in writers:
        writer.join()
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError):
        write_whole(path, b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
