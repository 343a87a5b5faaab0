"""CUB-200-2011: birds with masks, boxes and key points."""

from pathlib import Path

import numpy as np

from deepcut_lib.datasets.dataset import DataSet, KeyPoint, Sample, read_table
from deepcut_lib.metrics import Box


def cub(folder: Path) -> DataSet:
    """The test pictures with their masks, boxes and visible key points (15 kinds).

    Args:
        folder: what holds ``CUB_200_2011`` and ``segmentations`` (which may lie inside the former).

    Raises:
        ValueError: a table is damaged; the message names it and the line.
    """
    home = folder / "CUB_200_2011"
    masks = folder / "segmentations"
    if not masks.exists():
        masks = home / "segmentations"
    paths = dict(read_table(home / "images.txt", _path))
    in_train = dict(read_table(home / "train_test_split.txt", _split))
    boxes = dict(read_table(home / "bounding_boxes.txt", _box))
    for table, rows in (("train_test_split.txt", in_train), ("bounding_boxes.txt", boxes)):
        if missing := paths.keys() - rows.keys():
            raise ValueError(
                f"{home / table}: has no line for picture {min(missing)}; unpack the archive again"
            )
    points = np.array(read_table(home / "parts" / "part_locs.txt", _point)).reshape(-1, 5)
    order = points[:, 0].argsort(kind="stable")
    points = points[order]
    numbers = {path: number for number, path in paths.items() if not in_train[number]}

    def read(name: str) -> Sample:
        number = numbers[name]
        first, last = np.searchsorted(points[:, 0], [number, number + 1])
        return Sample(
            name,
            home / "images" / name,
            mask=masks / Path(name).with_suffix(".png"),
            boxes=(boxes[number],),
            points=tuple(KeyPoint(int(p), x, y) for _, p, x, y, seen in points[first:last] if seen),
        )

    return DataSet(list(numbers), read)


def _path(line: str) -> tuple[int, str]:
    number, path = line.split(maxsplit=1)
    return int(number), path


def _split(line: str) -> tuple[int, int]:
    number, in_train = line.split()
    return int(number), int(in_train)


def _box(line: str) -> tuple[int, Box]:
    number, *sides = line.split()
    x, y, width, height = map(float, sides)
    return int(number), (round(x), round(y), round(x + width), round(y + height))


def _point(line: str) -> tuple[int, int, float, float, int]:
    number, part, x, y, seen = line.split()
    return int(number), int(part), float(x), float(y), int(seen)
