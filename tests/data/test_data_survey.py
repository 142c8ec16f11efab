from __future__ import annotations

import hashlib
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from headstart.core.card import ImageInput
from headstart.core.errors import DataError
from headstart.data import checks
from headstart.data.dataset import Dataset, Finding, Item, LabelKind, Role
from headstart.data.duplicates import near_duplicate_groups, perceptual_hash, thumbnail
from headstart.data.images import decode, picture
from headstart.data.kept import Kept, default_memory_limit
from headstart.data.read import read_dataset
from headstart.data.survey import Survey, survey

CONTRACT = ImageInput(resize=32, crop=28)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def photo(seed: int, size: int = 48) -> bytes:
    """A picture unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return png(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def items(*rows: Item) -> Dataset:
    return Dataset("d", rows)


def labelled(counts: dict[str, int]) -> Dataset:
    rows = [(label, n) for label, count in counts.items() for n in range(count)]
    return Dataset("d", tuple(Item(f"{label}/{n}", photo(k), label) for k, (label, n) in enumerate(rows)))


def codes(seen: Survey) -> dict[str, Finding]:
    return {finding.code: finding for finding in seen.findings}


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


# -- the pass -------------------------------------------------------------------------------------------------------


def test_the_pass_gives_digests_pictures_and_progress() -> None:
    data = labelled({"a": 12, "b": 12})
    told: list[tuple[int, int]] = []
    seen = survey(data, CONTRACT, progress=lambda done, total: told.append((done, total)))
    assert seen.findings == ()
    assert seen.near_duplicate_groups == ()
    assert seen.digests == tuple(hashlib.sha256(item.content()).hexdigest() for item in data.items)
    assert data.fingerprint(seen.digests) == data.fingerprint()
    assert told == [(n, 24) for n in range(1, 25)]
    assert seen.kept is not None
    np.testing.assert_array_equal(seen.kept.of(data[3]), picture(decode(data[3]), CONTRACT))
    seen.require_sound()


def test_every_item_is_read_and_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(6):
        (tmp_path / f"{n}.png").write_bytes(photo(n))
    data = Dataset("d", tuple(Item(str(n), tmp_path / f"{n}.png", "ab"[n % 2]) for n in range(6)))
    reads: list[str] = []
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    seen = survey(data, CONTRACT)
    assert seen.kept is not None
    for item in data.items:
        seen.kept.of(item)
    data.fingerprint(seen.digests)
    assert sorted(reads) == [f"{n}.png" for n in range(6)]


def test_without_a_contract_no_pictures_are_kept() -> None:
    assert survey(labelled({"a": 10, "b": 10})).kept is None


def test_a_data_set_without_items_is_an_error() -> None:
    with pytest.raises(DataError, match="d holds no item that can be used. Give one or more"):
        survey(items())


def test_the_demo_photos_are_sound_and_have_no_lookalikes(repository: Path) -> None:
    data = read_dataset(repository / "examples/clothing")
    seen = survey(data, ImageInput())
    assert (len(data), len(data.classes), seen.findings) == (399, 10, ())


def test_the_one_real_duplicate_of_clothing_small_is_found_and_no_other(shared_data: Path) -> None:
    seen = survey(read_dataset(shared_data / "clothing_small"))
    assert seen.errors == ()
    (group,) = seen.near_duplicate_groups
    torn = codes(seen)["contradictory-labels"]
    assert len(group) == 2
    assert torn.items == (
        "train/shorts/6075b4a5-5b1a-4ce0-aea0-9dbfbca7c35c.jpg",
        "train/skirt/637a56e4-7fa6-4f75-8859-0f8902461554.jpg",
    )


# -- what is wrong with items ---------------------------------------------------------------------------------------


def test_bad_files_are_named_together(tmp_path: Path) -> None:
    good = photo(0)
    bad = {
        "gone.jpg": None,
        "empty.jpg": b"",
        "text.jpg": b"I am text",
        "cut.png": good[: len(good) // 2],
    }
    rows = [Item(f"ok{n}", photo(n), "ab"[n % 2]) for n in range(20)]
    for name, data in bad.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        rows.append(Item(name, tmp_path / name, "a"))
    seen = survey(items(*rows), CONTRACT)
    assert codes(seen)["missing-file"].items == ("gone.jpg",)
    assert codes(seen)["unreadable-image"].items == ("empty.jpg", "text.jpg", "cut.png")
    assert {finding.level for finding in seen.errors} == {"error"}
    with pytest.raises(DataError, match=r"^d has 2 kinds of errors: \(1\) [^\n]*$") as caught:
        seen.require_sound()
    for name in bad:
        assert name in str(caught.value)
    assert seen.digests[rows.index(next(r for r in rows if r.id == "gone.jpg"))] == ""


def test_of_many_bad_files_five_are_told_and_all_are_counted() -> None:
    rows = [Item(f"bad{n:02d}", b"x%d" % n, "ab"[n % 2]) for n in range(30)]
    seen = survey(items(*rows))
    with pytest.raises(DataError, match=r"^d: 30 items cannot be read, the first 5: bad00: ") as caught:
        seen.require_sound()
    assert "bad04" in str(caught.value)
    assert "bad05" not in str(caught.value)
    assert len(seen.errors[0].items) == 30


def test_wrong_extensions_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "png.jpg").write_bytes(photo(1))
    (tmp_path / "fine.png").write_bytes(photo(2))
    (tmp_path / "none.xyz").write_bytes(photo(3))
    rows = [Item(p.name, p, "a") for p in sorted(tmp_path.iterdir())]
    finding = codes(survey(items(*rows)))["wrong-extension"]
    assert (finding.level, finding.items) == ("warning", ("png.jpg",))
    assert "png.jpg (is PNG)" in finding.message


def test_what_was_converted_is_told() -> None:
    grey = Image.new("L", (40, 40), 3)
    grey.paste(200, (0, 0, 20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    grey.save(turned, "JPEG", exif=exif)
    rows = [
        Item("deep", png(Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40))), "a"),
        Item("glass", png(grey.convert("RGBA")), "a"),
        Item("paint", png(grey.convert("P")), "b"),
        Item("turned", turned.getvalue(), "b"),
    ]
    found = codes(survey(items(*rows)))
    assert {code: f.items for code, f in found.items() if code.startswith("handled")} == {
        "handled-16-bit": ("deep",),
        "handled-alpha": ("glass",),
        "handled-palette": ("paint",),
        "handled-rotated": ("turned",),
    }
    assert {f.level for f in found.values() if f.code.startswith("handled")} == {"warning"}


def test_images_of_one_colour_are_warned_of_and_are_no_lookalikes() -> None:
    rows = [Item(f"flat{n}", png(Image.new("RGB", (40, 40), (n, n, n))), "a") for n in range(3)]
    seen = survey(items(*rows, Item("one", photo(1), "b")))
    assert codes(seen)["flat-image"].items == ("flat0", "flat1", "flat2")
    assert seen.near_duplicate_groups == ()


# -- labels ---------------------------------------------------------------------------------------------------------


def data_of(labels: Sequence[object], kind: LabelKind = "class", splits: str = "") -> Dataset:
    """Rows for checks that never look at images. splits: a letter a row, of t(rain) v(alidation) e(test)."""
    roles: dict[str, Role | None] = {"t": "train", "v": "validation", "e": "test", "": None}
    rows = [Item(f"i{n}", b"", label, roles[splits[n : n + 1]]) for n, label in enumerate(labels)]
    return Dataset("d", tuple(rows), kind=kind, targets=("y",) if kind == "number" else ())


def one(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_missing_labels() -> None:
    finding = one(checks.missing_labels(data_of(["a", None, "b", None])))
    assert (finding.level, finding.items) == ("error", ("i1", "i3"))
    assert not list(checks.missing_labels(data_of([None, None], "none")))


def test_numbers_must_be_finite() -> None:
    finding = one(checks.broken_numbers(data_of([1.0, float("nan"), float("-inf"), None], "number")))
    assert (finding.level, finding.items) == ("error", ("i1", "i2"))


def test_labels_that_differ_only_in_case_or_space() -> None:
    finding = one(checks.similar_spelling(data_of(["T shirt", "t-shirt", "t  SHIRT", "hat", "Tshirt "])))
    assert (finding.level, finding.items) == ("warning", ("i0", "i2", "i4"))
    assert "'T shirt' (1 items), 'Tshirt ' (1 items), 't  SHIRT' (1 items)" in finding.message
    assert one(checks.similar_spelling(data_of([("caf\u00e9",), ("cafe\u0301", "x")], "multilabel"))).items == (
        "i0",
        "i1",
    )
    assert not list(checks.similar_spelling(data_of([1.0, 2.0], "number")))


@pytest.mark.parametrize(
    ("labels", "kind", "says"),
    [
        (["a", "a"], "class", r"one class only \(a\)"),
        ([(), ()], "multilabel", "no item of d has any label"),
        ([2.0, 2.0], "number", "every item has the same y"),
    ],
)
def test_nothing_to_learn(labels: list[object], kind: LabelKind, says: str) -> None:
    finding = one(checks.nothing_to_learn(data_of(labels, kind)))
    assert finding.level == "error"
    assert says.replace("\\", "") in finding.message


def test_small_classes() -> None:
    single, few = checks.small_classes(data_of(["a"] * 10 + ["b"] * 9 + ["c"]))
    assert (single.level, single.code, single.items) == ("error", "class-too-small", ("i19",))
    assert (few.level, few.code, len(few.items)) == ("warning", "class-small", 9)
    declared = data_of(["a"] * 10 + ["b", "a", "b", "a", "b"], splits="t" * 11 + "vvee")
    assert one(checks.small_classes(declared)).code == "class-small"
    assert one(checks.small_classes(data_of([("a",)] * 10 + [("a", "b")], "multilabel"))).level == "warning"


def test_imbalance() -> None:
    assert not list(checks.imbalance(data_of(["a"] * 29 + ["b"] * 3)))
    finding = one(checks.imbalance(data_of(["a"] * 30 + ["b"] * 3)))
    assert "a has 30 training items, b has 3" in finding.message


def test_label_sets_that_differ_between_splits() -> None:
    unknown, absent = checks.split_labels(data_of(["a", "b", "a", "c"], splits="ttee"))
    assert (unknown.level, unknown.items) == ("error", ("i3",))
    assert "the test split has classes that train lacks: c" in unknown.message
    assert (absent.level, absent.message) == (
        "warning",
        "the test split has no item of b: nothing is measured for them there.",
    )
    assert not list(checks.split_labels(data_of(["a", "b"])))


def test_groups_across_declared_splits() -> None:
    rows = [Item(f"i{n}", b"", "a", split, "p1") for n, split in enumerate(("train", "train", "test"))]  # type: ignore[arg-type]
    assert one(checks.torn_groups(items(*rows))).items == ("i0", "i1", "i2")
    assert not list(checks.torn_groups(items(*rows[:2])))


def test_sufficiency_is_asked_for_training_only(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(photo(1))
    data = read_dataset(tmp_path)
    assert {f.code for f in survey(data).errors} == {"empty-folder", "one-class", "class-too-small"}
    seen = survey(data, for_training=False)
    assert [(f.level, f.code) for f in seen.findings] == [("warning", "empty-folder")]


# -- lookalikes -----------------------------------------------------------------------------------------------------


def test_duplicates_across_splits_lead_and_contradictions_are_told() -> None:
    copy = png(Image.open(io.BytesIO(photo(1))).resize((96, 96)))
    rows = [
        Item("tr", photo(1), "a", "train"),
        Item("te", copy, "a", "test"),
        Item("x", photo(2), "a", "train"),
        Item("y", photo(2), "b", "train"),
        *(Item(f"o{n}", photo(n), "ab"[n % 2], ("train", "test")[n % 3 == 0]) for n in range(10, 40)),
    ]
    seen = survey(items(*rows))
    assert seen.near_duplicate_groups == ((0, 1), (2, 3))
    found = codes(seen)
    assert found["duplicates-across-splits"].items == ("tr", "te")
    assert "tr (train) = te (test)" in found["duplicates-across-splits"].message
    assert found["contradictory-labels"].items == ("x", "y")
    assert "x (a) = y (b)" in found["contradictory-labels"].message
    assert found["duplicates"].items == ("x", "y")
    assert "equal (1 copies)" in found["duplicates"].message
    assert {found[c].level for c in ("duplicates-across-splits", "contradictory-labels", "duplicates")} == {"warning"}


def test_tiny_images_are_compared_by_content_alone() -> None:
    rows = [Item(f"i{n}", photo(n % 3, size=8), "ab"[n % 2]) for n in range(6)]
    assert survey(items(*rows)).near_duplicate_groups == ((0, 3), (1, 4), (2, 5))


def test_the_hash_is_that_of_imagehash(repository: Path) -> None:
    paths = sorted((repository / "examples/clothing/test").rglob("*.jpg"))[::5]
    greys = [Image.open(path).convert("L").resize((32, 32), Image.Resampling.LANCZOS) for path in paths]
    ours = perceptual_hash(np.stack([np.asarray(grey) for grey in greys]))
    theirs = np.stack([imagehash.phash(grey).hash.flatten() for grey in greys])
    np.testing.assert_array_equal(ours, theirs)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg": lambda image: jpeg(image, 30),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "double": lambda image: image.resize((image.width * 2, image.height * 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "greyer": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "square": lambda image: image.resize((224, 224)),
    "cropped": lambda image: image.crop((2, 3, image.width - 2, image.height - 3)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_of_photographs_are_found(repository: Path, change: str) -> None:
    """Nearly all: a few photographs of plain things have little detail to go by, and a crop moves what there is."""
    paths = sorted((repository / "examples/clothing").rglob("*.jpg"))[::4]
    originals = [Image.open(path).convert("RGB") for path in paths]
    small = [thumbnail(image) for image in originals] + [thumbnail(CHANGES[change](image)) for image in originals]
    groups = near_duplicate_groups(np.stack(small))
    assert set(groups) <= {(n, n + len(paths)) for n in range(len(paths))}
    assert len(groups) >= (0.9 if change == "cropped" else 0.97) * len(paths)


def test_groups_equal_a_slow_obvious_search() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (40, 32, 32, 3))
    noisy = np.concatenate(
        [base, base[:20] + rng.normal(0, 12, (20, 32, 32, 3)), base[:5] + rng.normal(0, 25, (5, 32, 32, 3))]
    )
    thumbnails = np.clip(noisy, 0, 255).astype(np.uint8)
    bits = perceptual_hash(thumbnails @ np.array([0.299, 0.587, 0.114]))

    def detail(image: np.ndarray) -> np.ndarray:
        half = np.array(
            [[image[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((0, 1)) for x in range(16)] for y in range(16)]
        )
        near = [[np.clip(range(k - 2, k + 3), 0, 15) for k in range(16)] for _ in range(2)]
        local = np.array([[half[np.ix_(near[0][y], near[1][x])].mean((0, 1)) for x in range(16)] for y in range(16)])
        rest = (half - local).ravel()
        return np.asarray(rest / np.linalg.norm(rest))

    details = [detail(image) for image in thumbnails]
    links = {
        (i, j)
        for i in range(len(thumbnails))
        for j in range(i)
        if (bits[i] != bits[j]).sum() <= 10 and details[i] @ details[j] >= 0.95
    }
    expected = {frozenset([n]) for n in range(len(thumbnails))}
    for i, j in links:
        joined = next(g for g in expected if i in g) | next(g for g in expected if j in g)
        expected = {g for g in expected if not g & joined} | {joined}
    groups = near_duplicate_groups(thumbnails)
    assert {frozenset(g) for g in groups} == {g for g in expected if len(g) > 1}
    assert len(groups) >= 15


@pytest.mark.parametrize("alike", [0, 3000])
def test_thousands_of_images_take_seconds(alike: int) -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (6000, 32, 32, 3), dtype=np.uint8)
    thumbnails[:alike] = thumbnails[0]
    start = time.perf_counter()
    groups = near_duplicate_groups(thumbnails)
    assert time.perf_counter() - start < 20
    assert [len(group) for group in groups] == ([alike] if alike else [])


# -- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_beyond_the_limit_are_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = labelled({"a": 6})
    kept = Kept(CONTRACT, memory_limit=3 * 32 * 32 * 3 + 100)
    decoded: list[str] = []

    def counted(item: Item, *, short: int) -> Image.Image:
        decoded.append(item.id)
        return decode(item, short=short)

    monkeypatch.setattr("headstart.data.modalities.image.decode", counted)
    first = [kept.of(item) for item in data.items]
    again = [kept.of(item) for item in data.items]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert decoded == [f"a/{n}" for n in (0, 1, 2, 3, 4, 5, 3, 4, 5)]


def test_a_large_photo_gives_the_same_picture_kept_or_decoded_again() -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(photo(0, 700))).save(out, "JPEG")
    item = Item("large.jpg", out.getvalue())
    seen = survey(items(item), CONTRACT, for_training=False)
    assert seen.kept is not None
    np.testing.assert_array_equal(seen.kept.of(item), Kept(CONTRACT, memory_limit=0).of(item))


def test_pictures_are_shared_by_threads_without_overrunning_the_limit() -> None:
    data = labelled({"a": 20})
    kept = Kept(CONTRACT, memory_limit=10 * 32 * 32 * 3)
    threads = [threading.Thread(target=lambda: [kept.of(item) for item in data.items]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept._kept) == 10
    assert kept._room == 0


def test_the_default_limit_leaves_memory_to_others() -> None:
    assert 0 < default_memory_limit() <= 2e9


def test_a_picture_that_has_gone_bad_names_its_item(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(photo(1))
    kept = Kept(CONTRACT, memory_limit=0)
    kept.of(Item("a", path))
    shutil.copyfile(__file__, path)
    with pytest.raises(DataError, match=r"^a: "):
        kept.of(Item("a", path))
