"""DAVIS-2016: clips of one object each, with a mask for every frame."""

from pathlib import Path

from deepcut_lib.datasets.dataset import DataSet, Sample, read_table

LIST = "ImageSets/480p/val.txt"
"""A line for each frame: the picture's path and the mask's, from the set's folder."""


def davis(folder: Path) -> DataSet:
    """The frames of the validation clips, clip after clip; names are CLIP/FRAME, and a label is a clip.

    Raises:
        ValueError: the list of frames cannot be read.
    """

    def row(line: str) -> tuple[str, tuple[Path, Path]]:
        picture, mask = (folder / path.lstrip("/") for path in line.split())
        return f"{picture.parent.name}/{picture.stem}", (picture, mask)

    files = dict(read_table(folder / LIST, row))

    def read(name: str) -> Sample:
        picture, mask = files[name]
        return Sample(name, picture, mask=mask, label=name.partition("/")[0])

    return DataSet(list(files), read)
