"""Anything that a user can hand over becomes RGB, or one clear error."""

import io
import os
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from deepcut_lib.errors import ImageError
from deepcut_lib.images import find_images, find_unreadable, fit_image, load_image

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


def test_missing_folder_and_address(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        load_image("x" * 5000)
    with pytest.raises(ImageError, match="data in an address"):
        load_image("data:image/png;base64," + "A" * 5000)
    with pytest.raises(ImageError, match="empty path"):
        load_image("")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="pipe"):
        load_image(tmp_path / "pipe.png")
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


def test_every_ending_that_pillow_reads_in_any_case(tmp_path: Path) -> None:
    endings = ["jfif", "JPG", "avif", "pgm", "JP2", "mpo", "tga", "ico", "Webp", "pcx"]
    for ending in endings:
        picture = Image.fromarray(RGB if ending != "pgm" else RGB[..., 0])
        picture.save(tmp_path / f"a.{ending}")
    found = find_images(tmp_path)
    assert sorted(path.suffix[1:] for path in found) == sorted(endings)
    for path in found:
        assert load_image(path).size == (8, 6) or path.suffix == ".ico"


def test_what_looks_like_a_picture_but_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.cr2", "c.jxl"):
        (tmp_path / name).write_bytes(b"something")
    with pytest.raises(ImageError, match=r"a\.HEIC: HEIF is not read here; convert it"):
        find_images(tmp_path)
    with pytest.raises(ImageError, match="camera raw"):
        load_image(tmp_path / "b.cr2")
    assert [path.name for path in find_unreadable(tmp_path)] == ["a.HEIC", "b.cr2", "c.jxl"]


def test_hidden_files_and_folders_are_no_pictures(tmp_path: Path) -> None:
    hidden = tmp_path / ".cache" / "photos"  # the given folder itself may lie in a hidden one
    for name in ("a.png", ".b.png", "._a.png", ".ipynb_checkpoints/a-checkpoint.png"):
        (hidden / name).parent.mkdir(parents=True, exist_ok=True)
        (hidden / name).touch()
    assert find_images(hidden) == [hidden / "a.png"]
    assert find_images(hidden / ".b.png") == [hidden / ".b.png"]


def test_folders_that_may_not_be_listed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.png").touch()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_images(tmp_path) == [tmp_path / "a.png"]
    (message,) = find_unreadable(tmp_path).values()
    assert message.startswith(f"{tmp_path / 'locked'}: may not be listed (Permission denied)")


def _with_exif(content: bytes, *entries: tuple[int, int, int, int]) -> bytes:
    """A JPEG with EXIF tags (tag, type, count, value), of whatever type."""
    tags = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + tags + bytes(4)
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


@pytest.mark.parametrize(
    "odd",
    [(0x011A, 1, 1, 5), (0x011A, 2, 1, 5), (0x8298, 5, 1, 2**31), (0x013B, 2, 2**20, 8), (0x8769, 4, 1, 8)],
)
def test_odd_exif_leaves_the_turn_and_the_picture(tmp_path: Path, odd: tuple[int, int, int, int]) -> None:
    path = tmp_path / "odd.jpg"
    path.write_bytes(_with_exif(_jpeg(), (0x0112, 3, 1, 6), odd))
    expected = np.rot90(np.asarray(Image.open(io.BytesIO(_jpeg()))), -1)
    assert np.array_equal(np.asarray(load_image(path)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    assert np.array_equal(np.asarray(load_image(tmp_path / "turned.png")), expected)


GREY = RGB[..., 0]


@pytest.mark.parametrize(
    "values",
    [
        (GREY / 255).astype(np.float32),
        (GREY / 127.5 - 1).astype(np.float32),
        GREY.astype(np.float32),
        GREY.astype(np.uint16) * 257,
        (GREY / 255 * 4095).round().astype(np.uint16),
        GREY.astype(np.uint16),
        GREY.astype(np.int32) * 257,
    ],
    ids=["0…1", "−1…1", "0…255", "16 bits", "12 bits in 16", "8 bits in 16", "16 bits in 32"],
)
def test_value_ranges(tmp_path: Path, values: np.ndarray) -> None:
    picture = Image.fromarray(values)
    picture.save(tmp_path / "a.tif")
    given: list[object] = [picture, tmp_path / "a.tif"]
    if values.dtype == np.uint16 or (values.dtype.kind == "f" and values.max() <= 1):
        given.append(values)
    for one in given:
        loaded = np.asarray(load_image(one))[..., 0].astype(int)  # type: ignore[arg-type]
        assert abs(loaded - GREY).max() <= 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[0.5, np.nan]], np.float32), "NaN"),
        (np.array([[0.5, -3.4e38]], np.float32), "no-data"),
        (np.array([[0, 1e6]], np.float32), r"0…1e\+06"),
        (np.array([[-0.2, 0.9]], np.float32), "-0.2…0.9"),
        (np.array([[0, 2**31 - 1]], np.int32), "0…65535"),
        (np.array([[-1, 5]], np.int32), "0…65535"),
    ],
)
def test_other_ranges_are_refused_with_the_remedy(tmp_path: Path, values: np.ndarray, words: str) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=words) as caught:
        load_image(tmp_path / "a.tif")
    assert "a.tif" in str(caught.value)


@pytest.mark.parametrize("size", [0, -5, (0, 4), (3,), 1.5, "8", 10**9, (2**40, 1)])
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(ValueError, match="size"):
        fit_image(Image.new("RGB", (4, 4)), size, 8)  # type: ignore[arg-type]
    assert fit_image(Image.new("RGB", (4, 4)), np.int64(16), 8).size == (16, 16)  # type: ignore[arg-type]


def test_pillow_prints_nothing_of_its_own(tmp_path: Path) -> None:
    """What it would log of a damaged TIFF (here one of five channels) stands in our error."""
    Image.fromarray(RGB).save(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    samples = struct.pack("<HHIHH", 277, 3, 1, 3, 0)  # SamplesPerPixel, one short: 3
    assert samples in content
    (tmp_path / "a.tif").write_bytes(content.replace(samples, struct.pack("<HHIHH", 277, 3, 1, 99, 0)))
    code = "import sys; from deepcut_lib.images import load_image; load_image(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path / "a.tif"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ImageError" in done.stderr
    assert "\nMore samples" not in f"\n{done.stderr}"


def test_threads_that_read_leave_the_warnings_alone(photograph: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photograph).save(path)
    before = warnings.filters[:]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load_image, [path] * 100))
    assert warnings.filters == before
