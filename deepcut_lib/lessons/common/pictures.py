"""What explorers show: pictures by name, and their true masks. They take the files that the commands take."""

from collections.abc import Collection, Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from deepcut_lib.datasets.masked import pictures_and_masks
from deepcut_lib.errors import ImageError
from deepcut_lib.files import short_names
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask


class MaskedPictures:
    """The pictures of a folder with their true masks, read when they are asked for.

    Args:
        data: a folder with `images` and, for pictures that have a true mask, `masks`.

    Attributes:
        names: of the pictures, sorted, without endings.

    Raises:
        ImageError: there is no such folder, or it holds no picture.
    """

    def __init__(self, data: str | PathLike[str]) -> None:
        named = pictures_and_masks(Path(data))
        self._files = {sendable(name): files for name, files in named.items()}
        self.names = list(self._files)

    def __call__(self, name: str) -> tuple[Image.Image, np.ndarray | None]:
        """A picture, and its true mask, H×W bool, or None where it has none.

        Raises:
            ImageError: either cannot be read, or the mask has another size.
        """
        picture, mask = self._files[name]
        shown = load_image(picture)
        return shown, None if mask is None else read_mask(mask, like=shown)


def by_name(paths: Iterable[str | PathLike[str]]) -> dict[str, Path]:
    """Files by the shortest names that tell them apart, for a control to choose from.

    Raises:
        ImageError: there are none.
    """
    files = [Path(path) for path in paths]
    check_some(files)
    return {sendable(name): path for name, path in short_names(files).items()}


def check_some(pictures: Collection[object]) -> None:
    """Raise ImageError if there are no pictures."""
    if not pictures:
        raise ImageError(
            "there are no pictures to choose from; check the folder that they were looked for in"
        )


def sendable(text: object) -> str:
    """Text that a browser takes: bytes of file names that are no UTF-8 are written out.

    `files.printable` would show two files that differ in such bytes alike, and join a message's lines.
    """
    return str(text).encode("utf-8", "backslashreplace").decode()
