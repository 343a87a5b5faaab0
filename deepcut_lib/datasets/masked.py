"""Sets that are a folder of pictures and a folder of masks: DUTS-TE, ECSSD, the horses, and ``data/``."""

from pathlib import Path

from deepcut_lib.datasets.dataset import DataSet, Sample
from deepcut_lib.files import short_names
from deepcut_lib.images import find_images
from deepcut_lib.masks import find_masks


def masked(folder: Path, images: str = "images", masks: str = "masks", *, partly: bool = False) -> DataSet:
    """Pictures in one folder, with masks of the same names in another.

    Args:
        folder: what holds both.
        images: name of the pictures' folder.
        masks: name of the masks' folder.
        partly: leave out pictures without a mask, instead of taking every picture to have one.

    Raises:
        ImageError: a folder holds no picture.
    """
    pairs = pictures_and_masks(folder, images, masks)
    names = [name for name, (_, mask) in pairs.items() if mask or not partly]

    def read(name: str) -> Sample:
        picture, mask = pairs[name]
        return Sample(name, picture, mask=mask or folder / masks / f"{picture.stem}.png")

    return DataSet(names, read)


def pictures_and_masks(
    folder: Path, images: str = "images", masks: str = "masks"
) -> dict[str, tuple[Path, Path | None]]:
    """Every picture with its mask, or None where it has none, by the picture's name without ending.

    Pictures whose names differ in nothing but the ending are called by their whole names.

    Raises:
        ImageError: the folder of pictures is not there, or holds none.
    """
    pictures = find_images(folder / images, passed_over=lambda path: path.parent != folder / images)
    there = folder / masks
    truths = find_masks(there) if there.is_dir() and any(there.iterdir()) else {}
    return {name: (path, truths.get(path.stem)) for name, path in short_names(pictures).items()}
