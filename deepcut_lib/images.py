"""Pictures in: a file, a PIL picture or an array becomes an RGB picture, fitted to a patch grid."""

import warnings
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps

from deepcut_lib.errors import ImageError

ImageLike: TypeAlias = str | PathLike[str] | Image.Image | np.ndarray | torch.Tensor
"""What every function that takes a picture accepts."""

Size: TypeAlias = int | tuple[int, int] | None
"""A side in pixels (the picture becomes a square), a (height, width), or None for the picture's own size."""

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings by which a folder's pictures are found."""

MAX_PIXELS = 150_000_000
"""Larger pictures are refused before they are decoded: 150 megapixels take 450 MB as RGB."""


def load_image(image: ImageLike) -> Image.Image:
    """Read a picture as 8-bit RGB with its EXIF orientation applied.

    Args:
        image: a path; a PIL picture of any mode; or an array or CPU tensor of shape H×W, H×W×1, H×W×3 or
            H×W×4, as uint8, uint16, bool, or float in 0…1. Transparent parts are laid over white; of an
            animation the first frame is taken.

    Returns:
        A PIL picture in mode RGB, at its own size.

    Raises:
        ImageError: the file is missing, is no picture, is damaged or too large, or the array has another
            shape, type or range. The message names the file or the shape, and the remedy.
    """
    if isinstance(image, Image.Image):
        return _to_rgb(image, "the picture")
    if isinstance(image, np.ndarray | torch.Tensor):
        return _to_rgb(_from_array(np.asarray(image)), "the array")
    if not isinstance(image, str | PathLike):
        raise ImageError(f"a picture must be a path, a PIL picture or an array, not {type(image).__name__}")
    path = Path(fspath(image))
    if "://" in fspath(image):
        raise ImageError(f"{image}: web addresses are not read; download the picture and give its path")
    if not path.exists():
        raise ImageError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise ImageError(f"{path}: is a folder; give a picture, or list the folder with find_images")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty (zero bytes); copy or download it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a limit of our own
            with Image.open(path) as opened:
                return _to_rgb(opened, str(path))
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(str(path))) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{path}: not a picture that Pillow can read; convert it to PNG or JPEG") from error
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{path}: may not be read ({error.strerror}); check its permissions") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's words for damaged files
        raise ImageError(f"{path}: truncated or damaged ({error}); copy or download it again") from error


def find_images(*paths: str | PathLike[str]) -> list[Path]:
    """List pictures: files as given, folders searched through all levels, sorted by name.

    Raises:
        ImageError: a path does not exist, or a folder holds no file with a picture's ending.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise ImageError(
                    f"{path}: no pictures in this folder (looked for {', '.join(sorted(SUFFIXES))})"
                )
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ImageError(f"{path}: no such file or folder; check the path")
    return list(dict.fromkeys(found))


def fit_image(image: Image.Image, size: Size, multiple: int = 1) -> Image.Image:
    """Resize a picture so that both sides are multiples of the patch side.

    A given side makes a square without keeping the proportions, as the published code does: pictures of
    one grid can then be solved together. ``None`` keeps the picture's own size up to the nearest multiple,
    as TokenCut does.

    Args:
        image: a PIL picture.
        size: the side in pixels, a (height, width), or None.
        multiple: the patch side in pixels; at least one patch remains in each direction.
    """
    height, width = (size, size) if isinstance(size, int) else size or (image.height, image.width)
    if min(height, width) < 1:
        raise ValueError(f"size must be positive, not {size}")
    across, down = (max(round(side / multiple), 1) * multiple for side in (width, height))
    fitted = (across, down)
    return image if fitted == image.size else image.resize(fitted, Image.Resampling.LANCZOS)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if min(image.size) < 1:
        raise ImageError(f"{name}: has no pixels")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a pixel, or 32 that hold 16
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255 / top), 0, 255).round().astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"an array of shape {array.shape} is no picture; give H×W, H×W×3 or H×W×4 "
            "(a channels-first tensor: permute(1, 2, 0))"
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(_too_large("the array"))
    if array.dtype == np.uint16:
        array = array / 65535.0
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ImageError("the array holds NaN or infinite values; replace them first")
        if array.min() < 0 or array.max() > 1:
            raise ImageError(
                f"a float array must lie in 0…1, this one in {array.min():.3g}…{array.max():.3g}; "
                "divide by its maximum, or give uint8"
            )
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise ImageError(f"an array of type {array.dtype} is no picture; give uint8, uint16, or float in 0…1")
    return Image.fromarray(np.ascontiguousarray(array))


def _too_large(name: str) -> str:
    return f"{name}: more than {MAX_PIXELS // 10**6} megapixels; scale the picture down first"
