from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest


def test_the_demo_photos_are_what_their_script_makes(
    repository: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = repository / "scripts/make_clothing.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(shared_data / "clothing_small"), str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")

    def files(root: Path) -> dict[str, bytes]:
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    committed = files(repository / "examples/clothing")
    del committed["README.md"]
    assert files(tmp_path) == committed


def test_the_demo_photos_are_small_and_licensed(repository: Path) -> None:
    folder = repository / "examples/clothing"
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 4_300_000
    assert "CC0 1.0 Universal" in (folder / "LICENSE").read_text()
    assert "commit `" in (folder / "README.md").read_text()
