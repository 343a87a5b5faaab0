"""What explorers show: pictures by name, with their true masks, and pictures that readers bring."""

from collections.abc import Collection, Iterable, Mapping
from os import PathLike
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
from PIL import Image

from deepcut_lib.datasets.masked import pictures_and_masks
from deepcut_lib.errors import ImageError
from deepcut_lib.files import short_names
from deepcut_lib.images import ImageLike, load_image
from deepcut_lib.masks import read_mask

LONGEST_SIDE = 1600
"""Readers' own pictures are made as small as this: an explorer is to answer while one watches."""

PHOTOGRAPHS = tuple(f"photo_{of}" for of in ("astronaut", "cat", "coffee", "flower", "rocket", "temple"))
"""The whole photographs of `data/`, by name: a file put beside them changes no lesson's results."""

FIRST_OF_EACH = ("bird_01", "fruit_01", "mammal_01", "other_01", "vehicle_01")
"""The first picture of each category of `data/`."""


class Pictures:
    """Pictures by name, read when they are asked for; more can be added.

    Args:
        files: the pictures.
        masks: files of true masks, by the picture's name.

    Raises:
        ImageError: there are no pictures.
    """

    def __init__(self, files: Mapping[str, ImageLike], masks: Mapping[str, Path] | None = None) -> None:
        check_some(files)
        self._files = {sendable(name): file for name, file in files.items()}
        self._masks = {sendable(name): mask for name, mask in (masks or {}).items()}

    @classmethod
    def of_folder(cls, data: str | PathLike[str]) -> Self:
        """Those of a folder with `images` and, for pictures that have a true mask, `masks`.

        Raises:
            ImageError: there is no such folder, or it holds no picture.
        """
        named = pictures_and_masks(Path(data))
        return cls(
            {name: picture for name, (picture, _) in named.items()},
            {name: mask for name, (_, mask) in named.items() if mask},
        )

    @classmethod
    def of_files(cls, paths: Iterable[str | PathLike[str]]) -> Self:
        """Files by the shortest names that tell them apart.

        Raises:
            ImageError: there are none.
        """
        return cls(short_names([Path(path) for path in paths]))

    @property
    def names(self) -> list[str]:
        """Of all pictures: those that were there first, in their order, then those added."""
        return list(self._files)

    def __call__(self, name: str) -> tuple[Image.Image, np.ndarray | None]:
        """A picture, and its true mask, H×W bool, or None where it has none.

        Raises:
            ImageError: either cannot be read, or the mask has another size.
        """
        shown = load_image(self._files[name])
        mask = self._masks.get(name)
        return shown, None if mask is None else read_mask(mask, like=shown)

    def read(self, name: str) -> Image.Image:
        """A picture alone.

        Raises:
            ImageError: it cannot be read.
        """
        return load_image(self._files[name])

    def add(self, file_name: str, content: bytes) -> str:
        """Add a picture from the content of its file, and give the name that it goes by from now on.

        A name that is taken gets a number behind it, so that nothing is lost.

        Raises:
            ImageError: it is no picture.
        """
        picture = read_content(file_name, content)
        stem = PurePath(sendable(file_name)).stem or "photo"
        name, number = f"own: {stem}", 1
        while name in self._files:
            number += 1
            name = f"own: {stem} ({number})"
        self._files[name] = picture
        return name


def read_content(file_name: str, content: bytes) -> Image.Image:
    """A picture from the content of its file, by the rules for files, made as small as `LONGEST_SIDE`.

    Raises:
        ImageError: it is no picture.
    """
    with TemporaryDirectory() as folder:
        # The ending may say what a file is that cannot be read; the rest of the name might not suit this disk
        path = Path(folder) / f"picture{PurePath(file_name).suffix.encode('ascii', 'ignore').decode()[:10]}"
        path.write_bytes(content)
        try:
            picture = load_image(path)
        except ImageError as error:
            raise ImageError(str(error).replace(str(path), sendable(file_name))) from error
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture


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
