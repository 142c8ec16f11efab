from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from headstart.core.card import ImageInput
from headstart.core.errors import DataError
from headstart.data.dataset import Item
from headstart.data.images import SUFFIXES, ImageError, centre, decode, is_image_name, picture, read_image

Interpolation = Literal["bilinear", "bicubic"]


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def corner(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """White, with a red top left quarter."""
    image = Image.new("RGB", size, "white")
    image.paste("red", (0, 0, size[0] // 2, size[1] // 2))
    return image


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def timm_view(image: Image.Image, contract: ImageInput) -> np.ndarray:
    transform = create_transform(
        input_size=contract.crop,
        is_training=False,
        crop_pct=contract.crop / contract.resize,
        interpolation=contract.interpolation,
        normalize=False,
    )
    return np.asarray(transform(image)).transpose(1, 2, 0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (224, 224), (280, 240), (255, 222)])
def test_the_evaluation_view_of_photographs_is_timms_bit_for_bit(
    repository: Path, resize: int, crop: int, interpolation: Interpolation
) -> None:
    contract = ImageInput(resize=resize, crop=crop, interpolation=interpolation)
    for path in sorted((repository / "examples/clothing/test").rglob("*.jpg"))[::9]:
        image = decode(Item(path.name, path))
        np.testing.assert_array_equal(centre(picture(image, contract), contract), timm_view(image, contract))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(8, 300),
    height=st.integers(8, 300),
    resize=st.integers(8, 64),
    cut=st.integers(0, 7),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_the_evaluation_view_is_timms_for_any_shape(
    width: int, height: int, resize: int, cut: int, interpolation: Interpolation
) -> None:
    contract = ImageInput(resize=resize, crop=resize - cut, interpolation=interpolation)
    if int(resize / ((resize - cut) / resize)) and int((resize - cut) / ((resize - cut) / resize)) != resize:
        return  # timm's own rounding of crop / crop_pct gives another size
    image = noise(width, height)
    if max(image.size) > 32 * min(image.size):
        return
    made = picture(image, contract)
    assert min(made.shape[:2]) == resize
    assert max(made.shape[:2]) <= 2 * resize
    np.testing.assert_array_equal(centre(made, contract), timm_view(image, contract))


def test_a_ribbon_is_cut_before_it_is_scaled() -> None:
    contract = ImageInput(resize=256, crop=224)
    assert picture(Image.new("RGB", (1, 60_000)), contract).shape == (512, 256, 3)


def test_centre_repeats_edges_of_a_picture_smaller_than_the_crop() -> None:
    small = np.asarray(noise(5, 7))
    view = centre(small, ImageInput(resize=5, crop=9))
    assert view.shape == (9, 9, 3)
    np.testing.assert_array_equal(view[1:8, 2:7], small)
    np.testing.assert_array_equal(view[0], view[1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    upright = corner()
    inverse = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if inverse is None else upright.transpose(inverse)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, facts = read_image(encoded(stored, "PNG", exif=exif), "turned.png")
    np.testing.assert_array_equal(np.asarray(image), np.asarray(upright))
    assert facts.traits == (("rotated",) if orientation > 1 else ())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # as headstart.data.images does, which pytest undoes
def test_corrupt_exif_leaves_the_pixels() -> None:
    data = encoded(corner(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f" + b"\xff" * 40)
    image, facts = read_image(data, "odd.jpg")
    assert (image.size, facts.traits) == ((40, 20), ())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    made = image.quantize(4) if mode == "P" else image.convert(mode)
    rgb, facts = read_image(encoded(made, "PNG"), "glass.png")
    values = np.asarray(rgb)
    assert (values[:, :4] < 40).all()
    assert (values[:, 4:] == 255).all()
    assert facts.traits == (("palette", "alpha") if mode == "P" else ("alpha",))


def test_a_colour_key_is_transparency_too() -> None:
    data = encoded(corner(), "PNG", transparency=(255, 0, 0))
    rgb, facts = read_image(data, "key.png")
    assert (np.asarray(rgb) == 255).all()
    assert facts.traits == ("alpha",)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = np.array([[0, 257, 25_700, 65_535]], dtype=np.uint16)
    rgb, facts = read_image(encoded(Image.fromarray(deep), "PNG"), "xray.png")
    assert np.asarray(rgb)[0, :, 0].tolist() == [0, 1, 100, 255]
    assert facts.traits == ("16-bit",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 100, 255]], np.float32), [0, 100, 255]),
        (np.array([[-1000, 0, 1000]], np.float32), [0, 128, 255]),
        (np.array([[-5, 0, 5]], np.int32), [0, 128, 255]),
        (np.array([[0, 32_768, 65_535]], np.int32), [0, 128, 255]),
    ],
)
def test_other_ranges_of_grey(values: np.ndarray, expected: list[int]) -> None:
    rgb, _ = read_image(encoded(Image.fromarray(values), "TIFF"), "ct.tif")
    assert np.asarray(rgb)[0, :, 1].tolist() == expected


def test_grey_that_is_not_finite_is_refused() -> None:
    data = encoded(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF")
    with pytest.raises(DataError, match=r"ct\.tif.*not finite"):
        read_image(data, "ct.tif")


def test_cmyk_becomes_rgb() -> None:
    rgb, facts = read_image(encoded(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG", quality=95), "print.jpg")
    red = np.asarray(rgb).reshape(-1, 3).mean(0)
    assert red[0] > 200
    assert red[1:].max() < 60
    assert facts.traits == ("cmyk",)


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(format_: str) -> None:
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
    rgb, facts = read_image(data, "moving")
    assert np.asarray(rgb)[5, 5].tolist()[0] > 200
    assert "animated" in facts.traits


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (17, 2)])
def test_tiny_images_of_any_mode(mode: str, size: tuple[int, int]) -> None:
    rgb, _ = read_image(encoded(Image.new(mode, size, 1), "PNG"), "dot.png")
    assert (rgb.mode, rgb.size) == ("RGB", size)
    view = centre(picture(rgb, ImageInput(resize=32, crop=28)), ImageInput(resize=32, crop=28))
    assert view.shape == (28, 28, 3)


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_000, 12_000), (9_900, 10_200)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"bomb\.png: .*megapixels") as caught:
        read_image(png_header(*size), "bomb.png")
    assert caught.value.code == "absurd-dimensions"


def test_the_limit_on_pixels_can_be_set() -> None:
    data = encoded(noise(20, 20), "PNG")
    assert read_image(data, "x.png", max_pixels=400)[0].size == (20, 20)
    with pytest.raises(DataError, match=r"20 x 20 pixels"):
        read_image(data, "x.png", max_pixels=399)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello, I am text", "text"),
        (bytes(range(200, 256)), "known format"),
        (encoded(noise(60, 60), "JPEG")[:900], "damaged or truncated"),
        (encoded(noise(60, 60), "PNG")[:900], "damaged or truncated"),
        (b"\x89PNG\r\n\x1a\n", "known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "known format"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        read_image(data, "cats/a.jpg")
    assert str(caught.value).startswith("cats/a.jpg: ")
    assert caught.value.code == "unreadable-image"


_SOUND = [encoded(noise(24, 18), format_) for format_ in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")]


@settings(max_examples=250, deadline=None)
@given(
    data=st.sampled_from(_SOUND),
    cut=st.integers(0, 3000),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6),
)
def test_damaged_bytes_give_an_image_or_one_error(data: bytes, cut: int, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data[: len(data) - cut % len(data)])
    for place, value in changes:
        if damaged:
            damaged[place % len(damaged)] = value
    try:
        image, _ = read_image(bytes(damaged), "fuzz", max_pixels=1_000_000)
    except DataError as error:
        assert str(error).startswith("fuzz: ")  # noqa: PT017
    else:
        assert image.mode == "RGB"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_give_one_error(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: "):
        read_image(data, "x")


def test_content_that_is_not_there_names_the_item(tmp_path: Path) -> None:
    dangling = tmp_path / "link.jpg"
    dangling.symlink_to(tmp_path / "gone.jpg")
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    for path in (tmp_path / "none.jpg", dangling, folder, tmp_path / ("x" * 3000), tmp_path / "a\0b.jpg"):
        with pytest.raises(DataError, match=r"^row 7: "):
            decode(Item("row 7", path))


def test_names_of_images() -> None:
    assert is_image_name("a/B.JPG")
    assert not is_image_name(".jpg")
    assert not is_image_name("notes.txt")
    assert ".webp" in SUFFIXES


# -- large JPEG files -----------------------------------------------------------------------------------------------


def photo(repository: Path, short: int) -> Image.Image:
    image = Image.open(next((repository / "examples/clothing/test").rglob("*.jpg"))).convert("RGB")
    scale = short / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(127, 127), (128, 128), (515, 300), (300, 1999), (1025, 1030)])
@pytest.mark.parametrize("needed", [8, 32, 50])
def test_a_large_jpeg_is_decoded_smaller_but_never_too_small(size: tuple[int, int], needed: int) -> None:
    data = encoded(noise(*size), "JPEG")
    image, facts = read_image(data, "large.jpg", short=needed)
    least = max(2 * needed, 64)
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or min(size) // least >= f)
    assert image.size == tuple(-(-side // factor) for side in size)
    assert facts == read_image(data, "large.jpg")[1]
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(("format_", "short"), [("JPEG", 1023), ("PNG", 1200)])
def test_other_files_are_decoded_whole(repository: Path, format_: str, short: int) -> None:
    data = encoded(photo(repository, short), format_)
    np.testing.assert_array_equal(
        np.asarray(read_image(data, "photo", short=256)[0]), np.asarray(read_image(data, "photo")[0])
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_view_of_a_large_jpeg_is_nearly_that_of_all_its_pixels(
    repository: Path, interpolation: Interpolation
) -> None:
    contract = ImageInput(resize=128, crop=112, interpolation=interpolation)
    data = encoded(photo(repository, 1600), "JPEG", quality=90)
    small, whole = (read_image(data, "large.jpg", short=short)[0] for short in (128, None))
    assert min(small.size) == 400
    views = [centre(picture(image, contract), contract).astype(float) for image in (small, whole)]
    assert np.abs(views[0] - views[1]).mean() < 1


def test_a_large_jpeg_is_turned_upright(repository: Path) -> None:
    stored = photo(repository, 640)
    exif = Image.Exif()
    exif[0x0112] = 6
    image, facts = read_image(encoded(stored, "JPEG", exif=exif), "turned.jpg", short=64)
    straight, _ = read_image(encoded(stored, "JPEG"), "straight.jpg", short=64)
    assert min(image.size) == 160
    np.testing.assert_array_equal(np.asarray(image), np.asarray(straight.transpose(Image.Transpose.ROTATE_270)))
    assert ((facts.width, facts.height), facts.traits) == (stored.size, ("rotated",))
