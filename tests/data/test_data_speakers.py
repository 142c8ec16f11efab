"""Who speaks, read off the names of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.dataset import Dataset, Item
from headstart.data.speakers import by_speaker


def recordings(names: list[tuple[str, str]], group: str | None = None) -> Dataset:
    items = tuple(Item(name, Path(name), label, group=group) for name, label in names)
    return Dataset("r", items, modality="audio")


DIGITS = [(f"{d}_{who}_{i}.wav", str(d)) for d in range(4) for who in ("george", "jackson", "lucas") for i in range(3)]


def test_a_name_that_goes_with_every_label_is_a_speaker() -> None:
    found = by_speaker(recordings(DIGITS))
    assert {item.group for item in found.items} == {"george", "jackson", "lucas"}
    assert found[4].group == "jackson"
    (finding,) = found.findings
    assert finding.code == "grouped-by-speaker"
    assert "field 2" in finding.message
    assert "--group none" in finding.message


@pytest.mark.parametrize(
    "names",
    [
        [(f"{i}-{100000 + i}-A-{i % 10}.wav", str(i % 10)) for i in range(40)],  # ESC-10: fold, clip, take, class
        [(f"dog_{i}.wav" if i % 2 else f"cat_{i}.wav", "dog" if i % 2 else "cat") for i in range(20)],  # the label
        [
            (f"{kind}_{i}.wav", {"bark": "dog", "purr": "cat", "howl": "dog"}[kind])
            for kind in ("bark", "purr", "howl")
            for i in range(9)
        ],
        [(f"clip_{i}.wav", str(i % 3)) for i in range(20)],  # one value
        [(f"{'abcdefghijklmnopqrst'[i] * 3}_{i}.wav", str(i % 3)) for i in range(20)],  # each once
    ],
    ids=["takes", "labels", "goes with one label", "one value", "all different"],
)
def test_other_fields_are_no_speakers(names: list[tuple[str, str]]) -> None:
    data = recordings(names)
    assert by_speaker(data) is data


def test_numbers_of_speakers_and_known_groups() -> None:
    numbered = [(f"spk{i % 4}-word{i % 3}-{i}.flac", f"w{i % 3}") for i in range(48)]
    assert {item.group for item in by_speaker(recordings(numbered)).items} == {"spk0", "spk1", "spk2", "spk3"}
    known = recordings(DIGITS, group="a room")
    assert by_speaker(known) is known


def test_the_real_digits() -> None:
    folder = Path(__file__).parents[3] / "shared" / "data" / "fsdd_1200" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder.parents[1]}")
    files = sorted(folder.glob("*.wav"))
    found = by_speaker(recordings([(str(path), path.name[0]) for path in files]))
    assert len({item.group for item in found.items}) == 6
