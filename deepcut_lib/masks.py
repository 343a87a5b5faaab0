"""True masks: the one reader of files that say what is foreground."""

from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from deepcut_lib.errors import ImageError
from deepcut_lib.images import ImageLike, find_images, open_image

LIGHT = 128
"""A mask of more than two values is foreground from this grey value on; a secondary rule of scores is 1."""

VOID = 255
"""In palettes of classes, such as PASCAL VOC's, the number of what belongs to no class."""


def read_mask(mask: ImageLike, like: Image.Image | None = None) -> np.ndarray:
    """Read a mask's foreground.

    Args:
        mask: a path, PIL picture or array.
        like: the picture that the mask belongs to; they must have one size.

    Returns:
        H×W bool.

    Raises:
        ImageError: the file cannot be read, or has another size than the picture.
    """
    return read_grey_mask(mask, like) >= LIGHT


def read_grey_mask(mask: ImageLike, like: Image.Image | None = None) -> np.ndarray:
    """Read a mask with the soft edges that some sets have: H×W uint8.

    Of two values, whatever they are, the lowest is background (0) and the other foreground (255); a mask of
    one value is background if that is 0. More values are grey levels. In a palette of colours they are
    classes: all but the first, and but `VOID`, are foreground. Transparency counts for nothing.

    Args and errors: as `read_mask`.
    """
    picture = open_image(mask)
    name = mask if isinstance(mask, str | PathLike) else "the mask"
    if like is not None and picture.size != like.size:
        raise ImageError(
            f"{name}: the mask is {picture.width}×{picture.height} pixels, but its picture "
            f"{like.width}×{like.height}; give a mask of the picture's size"
        )
    values = _numbers(picture)
    if not np.isfinite(values).all():
        raise ImageError(f"{name}: the mask holds NaN or infinite values; replace them first")
    low, high = values.min(), values.max()
    if low == high:
        return np.full(values.shape, 255 if high > 0 else 0, np.uint8)
    if ((values == low) | (values == high)).all():
        return np.where(values == high, 255, 0).astype(np.uint8)
    if values.dtype == np.uint8:
        return values
    top = next((top for top in (1, 255, 65535) if high <= top), high)
    return (values.clip(min=0) * (255 / top)).astype(np.uint8)


def find_masks(folder: Path) -> dict[str, Path]:
    """The masks in a folder by the names of their pictures; of one name, a .png goes before other endings.

    Raises:
        ImageError: there is no such folder, or it holds no picture.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: no such folder of masks; check the path")
    files = find_images(folder)
    return {path.stem: path for path in sorted(files, key=lambda path: path.suffix.lower() == ".png")}


def _numbers(picture: Image.Image) -> np.ndarray:
    """One number for each pixel: grey value, or class, H×W."""
    if picture.mode == "P":
        return _classes(picture)
    if picture.mode in ("L", "F") or picture.mode.startswith("I"):
        return np.asarray(picture)
    if picture.mode in ("LA", "La"):
        return np.asarray(picture.getchannel(0))
    return np.asarray(picture.convert("RGB").convert("L"))


def _classes(picture: Image.Image) -> np.ndarray:
    numbers = np.asarray(picture)
    used = np.unique(numbers)
    opaque = picture.copy()
    opaque.info.pop("transparency", None)
    colours = np.asarray(opaque.convert("RGB"))
    if len(used) > 2 and np.ptp(colours, axis=2).any():
        return ((numbers != used[0]) & (numbers != VOID)).astype(np.uint8)
    grey = np.asarray(opaque.convert("RGB").convert("L"))
    # Where two colours are equally light, or there are none, the numbers tell them apart
    return grey if len(np.unique(grey)) == len(used) else numbers
