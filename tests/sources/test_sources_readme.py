"""What a README states is told, and nothing else is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from headstart.artifacts.card import CardFacts, render
from headstart.cli.app import app
from headstart.core.source import Source
from headstart.sources import readme, resolve
from headstart.sources.readme import Stated
from headstart.tasks.classification import Classification
from headstart.testing.sources import tiny_text_source

FRONT = """---
language:
- en
- no
license: apache-2.0
datasets:
- glue
- "sst2 `x`"
base_model: someone/small-bert
---
# A model
license: mit
"""


def stated(tmp_path: Path, text: str) -> Stated:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return readme.read(tmp_path / "README.md")


def test_the_front_matter_is_read(tmp_path: Path) -> None:
    found = stated(tmp_path, FRONT)
    assert found == Stated("apache-2.0", "en, no", "someone/small-bert, trained further on glue, sst2 'x'")
    assert stated(tmp_path, "---\nlicense: other\nlicense_name: llama3\n---\n").license == "llama3"
    assert stated(tmp_path, "---\nlicense: other\n---\n").license == "other"
    assert stated(tmp_path, "---\ndatasets: wiki\nlanguage: multilingual\n---\n") == Stated(
        "not stated", "multilingual", "wiki"
    )
    assert len(stated(tmp_path, f"---\nlicense: {'x' * 999}\n---\n").license) == 200


@pytest.mark.parametrize(
    "text",
    ["", "# No front\nlicense: mit\n", "---\n[broken\n---\n", "---\n- a list\n---\n", "---\n", "---\nlicense:\n---\n"],
)
def test_what_is_not_stated_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    assert stated(tmp_path, text) == Stated("not stated", "not stated", "not stated")


def test_a_file_that_is_no_text_states_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"---\n\xff\xfe\x00\n---\n")
    assert readme.read(tmp_path / "README.md") == readme.read(tmp_path / "none.md") == readme.read(None) == Stated()


def saved(folder: Path) -> Path:
    """The tiny text network as its authors would save it."""
    encoder = tiny_text_source().load()
    encoder.get_submodule("network").save_pretrained(folder)  # type: ignore[operator]
    from headstart.core import assets

    (folder / "tokenizer.json").write_bytes(assets.read(encoder.input.assets[0]))
    (folder / "README.md").write_text(FRONT, encoding="utf-8")
    return folder


@pytest.fixture
def at_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A repository in the hub's cache, and no hub."""
    place = tmp_path / "hub" / "models--someone--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    saved(place / "snapshots" / "abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return resolve("transformers:someone/tiny")


def test_a_hub_model_s_card_tells_what_its_readme_states(at_hub: Source, tmp_path: Path) -> None:
    card = at_hub.card
    assert (card.license, card.languages) == ("apache-2.0", "en, no")
    assert card.trained_on.endswith("glue, sst2 'x'")
    assert card.origin == "https://huggingface.co/someone/tiny"
    shown = CliRunner().invoke(app, ["sources", "show", card.name])
    assert shown.exit_code == 0, shown.output
    for words in ("apache-2.0", "en, no", "glue"):
        assert words in shown.output
    facts = CardFacts(name="run", data="reviews", fingerprint="0", metrics={})
    page = render(task=Classification(("a", "b"), "text"), sources=[card], contracts=[card.input], facts=facts)
    assert "\nlicense: apache-2.0\n" in page
    assert "licence apache-2.0, sha256 not known, languages en, no" in page
    assert "trained on someone/small-bert, trained further on glue" in page
    (tmp_path / "hub" / "models--someone--tiny" / "snapshots" / "abc" / "README.md").unlink()
    bare = resolve(card.name).card
    assert (bare.license, bare.languages, bare.trained_on) == ("not stated", "not stated", "not stated")


def test_a_folder_may_state_it_too(at_hub: Source, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(tmp_path / "hub" / "models--someone--tiny" / "snapshots" / "abc", folder)
    card = resolve(f"transformers:{folder}").card
    assert (card.license, card.languages, card.origin) == ("apache-2.0", "en, no", str(folder))
