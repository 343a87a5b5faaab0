"""CUB-200-2011: birds with masks, boxes and key points."""

from pathlib import Path

import numpy as np

from deepcut_lib.datasets.dataset import DataSet, KeyPoint, Sample, read_text


def cub(folder: Path) -> DataSet:
    """The test pictures with their masks, boxes and visible key points (15 kinds).

    Args:
        folder: what holds ``CUB_200_2011`` and ``segmentations`` (which may lie inside the former).
    """
    home = folder / "CUB_200_2011"
    masks = folder / "segmentations"
    if not masks.exists():
        masks = home / "segmentations"
    paths = _table(home / "images.txt")
    in_train = _table(home / "train_test_split.txt")
    boxes = _table(home / "bounding_boxes.txt")
    points = np.loadtxt(home / "parts" / "part_locs.txt", ndmin=2)
    order = points[:, 0].argsort(kind="stable")
    points = points[order]
    numbers = {path: number for number, path in paths.items() if in_train[number] == "0"}

    def read(name: str) -> Sample:
        number = numbers[name]
        x, y, width, height = (float(side) for side in boxes[number].split())
        first, last = np.searchsorted(points[:, 0], [int(number), int(number) + 1])
        return Sample(
            name,
            home / "images" / name,
            mask=masks / Path(name).with_suffix(".png"),
            boxes=((round(x), round(y), round(x + width), round(y + height)),),
            points=tuple(KeyPoint(int(p), x, y) for _, p, x, y, seen in points[first:last] if seen),
        )

    return DataSet(list(numbers), read)


def _table(path: Path) -> dict[str, str]:
    """A file of lines «number rest», by number."""
    lines = read_text(path).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())
