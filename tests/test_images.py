"""Anything that a user can hand over becomes RGB, or one clear error."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepcut_lib.errors import ImageError
from deepcut_lib.images import find_images, fit_image, load_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(RGB).save(path, **({"lossless": True} if suffix == "webp" else {}))
    for given in (path, str(path)):
        assert np.array_equal(np.asarray(load_image(given)), RGB)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_modes_become_rgb(mode: str) -> None:
    grey = Image.fromarray(np.full((6, 8), 130, np.uint8))
    picture = Image.fromarray(np.full((6, 8), 130 * 257, np.uint16)) if mode == "I;16" else grey.convert(mode)
    loaded = load_image(picture)
    assert loaded.mode == "RGB"
    assert loaded.size == (8, 6)
    if mode not in ("1", "HSV"):
        assert abs(np.asarray(loaded).astype(int) - 130).max() <= 2


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(np.asarray(load_image(tmp_path / "turned.png")), np.rot90(RGB, -1))


def test_transparent_parts_are_white() -> None:
    rgba = np.dstack([RGB, np.zeros((6, 8), np.uint8)])
    assert (np.asarray(load_image(rgba)) == 255).all()


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert np.asarray(load_image(tmp_path / "moving.gif"))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "array",
    [
        RGB,
        (RGB / 255.0).astype(np.float32),
        RGB.astype(np.uint16) * 257,
        torch.from_numpy(RGB),
    ],
    ids=["uint8", "float", "uint16", "tensor"],
)
def test_arrays(array: np.ndarray | torch.Tensor) -> None:
    assert np.array_equal(np.asarray(load_image(array)), RGB)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 6, 8), np.uint8), "permute"),
        (np.zeros((0, 8, 3), np.uint8), "no picture"),
        (np.zeros((6, 8), np.int64), "int64"),
        (np.full((6, 8), 200.0), "0…1"),
        (np.full((6, 8), np.nan), "NaN"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        load_image(array)


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        buffer, "JPEG"
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"this is no picture", "not a picture"),
        (_jpeg()[:900], "truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a picture|truncated"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=words) as caught:
        load_image(path)
    assert str(path) in str(caught.value)


def test_missing_folder_and_address() -> None:
    with pytest.raises(ImageError, match="no such file"):
        load_image("nowhere.png")
    with pytest.raises(ImageError, match="folder"):
        load_image(os.path.dirname(__file__))
    with pytest.raises(ImageError, match="download"):
        load_image("https://example.org/cat.jpg")
    with pytest.raises(ImageError, match="NoneType"):
        load_image(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [13_000, 40_000])
def test_a_gigapixel_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (side, side)).save(path, compress_level=1)
    with pytest.raises(ImageError, match="megapixels; scale"):
        load_image(path)


def test_one_pixel_fits_any_grid() -> None:
    assert fit_image(Image.new("RGB", (1, 1)), None, 16).size == (16, 16)


@pytest.mark.parametrize(
    ("size", "expected"), [(224, (224, 224)), ((100, 60), (64, 96)), (None, (448, 304)), (3, (8, 8))]
)
def test_sizes_become_multiples_of_the_patch(size: object, expected: tuple[int, int]) -> None:
    assert fit_image(Image.new("RGB", (451, 300)), size, 8).size == expected  # type: ignore[arg-type]


def test_find_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "deep/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_images(tmp_path, tmp_path / "b.png")
    assert [path.name for path in found] == ["a.JPG", "b.png", "c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no pictures"):
        find_images(tmp_path / "empty")
    with pytest.raises(ImageError, match="no such"):
        find_images(tmp_path / "gone")
