"""Pictures in: a file, a PIL picture or an array becomes an RGB picture, fitted to a patch grid."""

import io
import logging
import os
import warnings
from collections.abc import Callable
from operator import index
from os import PathLike, fsdecode
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageFile

from deepcut_lib.errors import ImageError

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or it prints what our errors say

ImageLike: TypeAlias = str | PathLike[str] | Image.Image | np.ndarray | torch.Tensor
"""What every function that takes a picture accepts."""

Size: TypeAlias = int | tuple[int, int] | None
"""A side in pixels (the picture becomes a square), a (height, width), or None for the picture's own size."""

_RAW = "3fr arw cr2 cr3 crw dng erf iiq kdc mrw nef nrw orf pef raf raw rw2 srw x3f"

UNREADABLE = {
    "HEIF": (".heic", ".heif", ".hif"),
    "camera raw": tuple(f".{ending}" for ending in _RAW.split()),
    "JPEG XL": (".jxl",),
    "PostScript": (".eps", ".ps"),
    "SVG": (".svg", ".svgz"),
    "high dynamic range": (".exr", ".hdr"),
}
"""Kinds of pictures that Pillow does not read by itself, and their endings."""

MAX_PIXELS = 150_000_000
"""Larger pictures are refused before they are decoded: 150 megapixels take 450 MB as RGB."""


def load_image(image: ImageLike) -> Image.Image:
    """Read a picture as 8-bit RGB with its EXIF orientation applied.

    Args:
        image: a path; a PIL picture of any mode; or an array or CPU tensor of shape H×W, H×W×1, H×W×3 or
            H×W×4, as uint8, uint16, bool, or float in 0…1 or −1…1. Transparent parts are laid over white; of
            an animation the first frame is taken. Files of floats or of more than 8 bits are read by the same
            rules (see `_from_numbers`).

    Returns:
        A PIL picture in mode RGB, at its own size.

    Raises:
        ImageError: the file is missing, is no picture, is damaged or too large, or the array has another
            shape, type or range. The message names the file or the shape, and the remedy.
    """
    if isinstance(image, np.ndarray | torch.Tensor):
        return _to_rgb(_from_array(image), "the array")
    return _to_rgb(*_opened(image))


def open_image(image: ImageLike) -> Image.Image:
    """Read a picture like `load_image`, but leave its mode: for masks, whose values are classes.

    Raises:
        ImageError: as `load_image`.
    """
    if isinstance(image, np.ndarray | torch.Tensor):
        return _from_array(image)
    return _opened(image)[0]


def picture_endings() -> frozenset[str]:
    """The endings, in lower case, of what Pillow can read here, with the plug-ins that are installed."""
    Image.init()
    readable = {
        name
        for name, (reader, _) in Image.OPEN.items()
        # Stubs, MPEG and PostScript are recognised, but not decoded without programs from elsewhere
        if not (isinstance(reader, type) and issubclass(reader, ImageFile.StubImageFile))
        and name not in {"MPEG", "EPS"}
    }
    readable.add("MPO")  # two JPEGs in one file, read by the reader of JPEG
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in readable)


def unreadable_kind(path: Path) -> str | None:
    """What kind of picture a file is by its ending, if it is of one that cannot be read here."""
    ending = path.suffix.lower()
    if ending in picture_endings():  # a plug-in reads it
        return None
    return next((kind for kind, endings in UNREADABLE.items() if ending in endings), None)


def unreadable(path: Path, kind: str) -> str:
    """The message for a file of such a kind."""
    return f"{path}: {kind} is not read here; convert it to JPEG or PNG first"


def find_images(*paths: str | PathLike[str], passed_over: Callable[[Path], bool] | None = None) -> list[Path]:
    """List pictures: files as given, folders searched through all levels, sorted by name.

    In a folder, pictures are the files with an ending that Pillow reads, in any case. Hidden files and
    folders are none: copies that programs keep for themselves, such as ``.ipynb_checkpoints``.

    Args:
        paths: files and folders.
        passed_over: says of a file in a folder whether it is to be left out.

    Raises:
        ImageError: a path does not exist, or a folder holds no picture.
    """
    pictures: list[Path] = []
    endings = picture_endings()
    for path in map(_path, paths):
        if not path.is_dir():
            if not _exists(path):
                raise ImageError(f"{path}: no such file or folder; check the path")
            pictures.append(path)
            continue
        files = _visible(path)
        inside = [p for p in files if p.suffix.lower() in endings and not (passed_over and passed_over(p))]
        if not inside:
            strange = [p for p in files if unreadable_kind(p)]
            remedy = f"; {unreadable(strange[0], unreadable_kind(strange[0]) or '')}" if strange else ""
            raise ImageError(
                f"{path}: no pictures in this folder (looked for {', '.join(sorted(endings))}){remedy}"
            )
        pictures += inside
    return list(dict.fromkeys(pictures))


def find_unreadable(*paths: str | PathLike[str]) -> dict[Path, str]:
    """What `find_images` passes over in folders though it may be meant, each with a message that says why.

    Files that look like pictures but cannot be read here, and folders that may not be listed.
    """
    messages: dict[Path, str] = {}
    for path in map(_path, paths):
        if path.is_dir():
            refused: list[OSError] = []
            for file in _visible(path, refused):
                if kind := unreadable_kind(file):
                    messages[file] = unreadable(file, kind)
            for error in refused:
                where = Path(error.filename)
                messages[where] = f"{where}: may not be listed ({error.strerror}); check its permissions"
    return messages


def _visible(folder: Path, refused: list[OSError] | None = None) -> list[Path]:
    """The files below a folder, sorted, but hidden ones and those in hidden folders."""
    visible: list[Path] = []
    for where, folders, files in os.walk(folder, onerror=None if refused is None else refused.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible += [Path(where, name) for name in files if not name.startswith(".")]
    return sorted(visible)


def fit_image(image: Image.Image, size: Size, multiple: int = 1) -> Image.Image:
    """Resize a picture so that both sides are multiples of the patch side.

    A given side makes a square without keeping the proportions, as the published code does: pictures of
    one grid can then be solved together. ``None`` keeps the picture's own size up to the nearest multiple,
    as TokenCut does.

    Args:
        image: a PIL picture.
        size: the side in pixels, a (height, width), or None.
        multiple: the patch side in pixels; at least one patch remains in each direction.

    Raises:
        ValueError: a side is no positive whole number, or the picture would have more than `MAX_PIXELS`.
    """
    sides = (image.height, image.width) if size is None else size
    try:
        height, width = (index(side) for side in (sides if isinstance(sides, tuple | list) else (sides,) * 2))
    except (TypeError, ValueError):
        raise ValueError(f"size must be a side in pixels, a (height, width) or None, not {size!r}") from None
    if min(height, width) < 1:
        raise ValueError(f"size must be positive, not {size}")
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"size {size} makes more than {MAX_PIXELS // 10**6} megapixels; choose a smaller one"
        )
    across, down = (max(round(side / multiple), 1) * multiple for side in (width, height))
    fitted = (across, down)
    return image if fitted == image.size else image.resize(fitted, Image.Resampling.LANCZOS)


def encoded(picture: Image.Image, ending: str) -> bytes:
    """A picture as a JPEG or PNG file's bytes, by the ending."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG" if ending.endswith(".jpg") else "PNG", quality=90)
    return buffer.getvalue()


def _path(path: str | PathLike[str]) -> Path:
    text = fsdecode(path)
    if not text:
        raise ImageError("an empty path names no picture; give a file or a folder ('.' for this one)")
    return Path(text)


class _Unwarned:
    """No warnings are shown while any thread is inside: Python's own filters know of one thread only."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *reason: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


_unwarned = _Unwarned()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long is the name of nothing
        return False


def _opened(image: ImageLike) -> tuple[Image.Image, str]:
    """A picture in its own mode, decoded and turned upright, and what to call it in messages."""
    if isinstance(image, Image.Image):
        return _decoded(image, "the picture"), "the picture"
    if not isinstance(image, str | PathLike):
        raise ImageError(f"a picture must be a path, a PIL picture or an array, not {type(image).__name__}")
    text = fsdecode(image)
    if text.startswith("data:"):
        raise ImageError(f"{text[:40]}…: data in an address are not read; decode them to a file")
    if "://" in text:
        raise ImageError(f"{text}: web addresses are not read; download the picture and give its path")
    path = _path(image)
    if not _exists(path):
        raise ImageError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise ImageError(f"{path}: is a folder; give a picture, or list the folder with find_images")
    if not path.is_file():
        raise ImageError(f"{path}: is no file but a pipe or device; save the picture and give its path")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty (zero bytes); copy or download it again")
    try:
        # Pillow made do; for size we have our own limit
        with _unwarned, path.open("rb") as file, Image.open(file) as opened:
            return _decoded(opened, str(path)), str(path)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(str(path))) from error
    except Image.UnidentifiedImageError as error:
        kind = unreadable_kind(path)
        raise ImageError(
            unreadable(path, kind)
            if kind
            else f"{path}: not a picture that Pillow can read; convert it to PNG or JPEG"
        ) from error
    except PermissionError as error:
        raise ImageError(f"{path}: may not be read ({error.strerror}); check its permissions") from error
    except Exception as error:  # on damaged files Pillow and its codecs raise nearly anything
        reason = str(error) or type(error).__name__
        raise ImageError(f"{path}: truncated or damaged ({reason}); copy or download it again") from error


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""


def _decoded(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if min(image.size) < 1:
        raise ImageError(f"{name}: has no pixels")
    image.load()
    try:  # Pillow's own exif_transpose writes all tags again, and stumbles over those of a wrong type
        turn = _UPRIGHT.get(image.getexif().get(0x0112, 1))
    except Exception:  # EXIF that cannot be read says nothing of the orientation
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a pixel, 32 that hold 16, or floats
        return Image.fromarray(_from_numbers(np.asarray(image), name, bytes_as_floats=True)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _from_array(array: np.ndarray | torch.Tensor) -> Image.Image:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"an array of shape {array.shape} is no picture; give H×W, H×W×3 or H×W×4 "
            "(a channels-first tensor: permute(1, 2, 0))"
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(_too_large("the array"))
    if array.dtype == np.uint16 or array.dtype.kind == "f":
        array = _from_numbers(array, "the array")
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise ImageError(
            f"an array of type {array.dtype} is no picture; give uint8, uint16, or float in 0…1 or −1…1"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _from_numbers(values: np.ndarray, name: str, *, bytes_as_floats: bool = False) -> np.ndarray:
    """Floats, or integers of more than 8 bits, as uint8.

    Floats lie in 0…1, or in −1…1 where some lie below −½ (a small undershoot is no range of its own), or, in
    Pillow's pictures, in 0…255. Whole numbers have as many bits as the largest needs, of 8, 10, 12, 14 and
    16: cameras store 12 in 16.
    """
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ImageError(f"{name}: holds NaN or infinite values; replace them first")
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            return (values * 255).round().astype(np.uint8)
        if -1 <= low < -0.5 and high <= 1:
            return ((values + 1) * 127.5).round().astype(np.uint8)
        if bytes_as_floats and low >= 0 and high <= 255:
            return values.round().astype(np.uint8)
        raise ImageError(
            f"{name}: floats must lie in 0…1, or in −1…1 with some below −½; these lie in "
            f"{low:.3g}…{high:.3g}; replace no-data values, then divide by the largest, or give uint8"
        )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(
            f"{name}: whole numbers must lie in 0…65535, these lie in {low}…{high}; scale them to 0…255 and "
            "save it as uint8"
        )
    bits = next(bits for bits in (8, 10, 12, 14, 16) if high < 2**bits)
    return (values.astype(np.float64) * (255 / (2**bits - 1))).round().astype(np.uint8)


def _too_large(name: str) -> str:
    return f"{name}: more than {MAX_PIXELS // 10**6} megapixels; scale the picture down first"
