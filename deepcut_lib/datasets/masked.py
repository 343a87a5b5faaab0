"""Sets that are a folder of pictures and a folder of masks: DUTS-TE, ECSSD, the horses, and ``data/``."""

from pathlib import Path

from deepcut_lib.datasets.dataset import DataSet, Sample
from deepcut_lib.images import SUFFIXES


def masked(folder: Path, images: str = "images", masks: str = "masks", *, partly: bool = False) -> DataSet:
    """Pictures in one folder, with masks NAME.png in another.

    Args:
        folder: what holds both.
        images: name of the pictures' folder.
        masks: name of the masks' folder.
        partly: leave out pictures without a mask, instead of taking every picture to have one.
    """
    pictures = {path.stem: path.name for path in sorted((folder / images).iterdir()) if _is_picture(path)}
    truths = {path.name for path in (folder / masks).iterdir()}
    names = [name for name in pictures if not partly or f"{name}.png" in truths]

    def read(name: str) -> Sample:
        return Sample(name, folder / images / pictures[name], mask=folder / masks / f"{name}.png")

    return DataSet(names, read)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
