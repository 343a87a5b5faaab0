"""PASCAL VOC 2007 and 2012: objects and their boxes."""

from pathlib import Path
from xml.etree import ElementTree

from deepcut_lib.datasets.dataset import DataSet, Sample, read_text
from deepcut_lib.metrics import Box


def voc(folder: Path, year: int, *, hard: bool = True) -> DataSet:
    """The pictures of trainval with all their boxes.

    Args:
        folder: what holds ``VOCdevkit``.
        year: 2007 or 2012.
        hard: count difficult and truncated objects too, as reported numbers do; without them, pictures left
            with no object are skipped, for which all annotations are read at once.
    """
    home = folder / "VOCdevkit" / f"VOC{year}"
    lines = read_text(home / "ImageSets" / "Main" / "trainval.txt").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]

    def read(name: str) -> Sample:
        boxes = _boxes(home / "Annotations" / f"{name}.xml", hard)
        return Sample(name, home / "JPEGImages" / f"{name}.jpg", boxes=boxes)

    if not hard:
        names = [name for name in names if _boxes(home / "Annotations" / f"{name}.xml", hard)]
    return DataSet(names, read)


def _boxes(path: Path, hard: bool) -> tuple[Box, ...]:
    """VOC counts pixels from 1 and includes the last one; here edges count from 0, the far ones exclusive."""
    try:
        objects = ElementTree.parse(path).getroot().findall("object")
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not an annotation ({error}); unpack the archive again") from error
    boxes = []
    for one in objects:
        if not hard and "1" in (one.findtext("difficult"), one.findtext("truncated")):
            continue
        # some of 2012 have fractions
        x1, y1, x2, y2 = (int(float(one.findtext(f"bndbox/{side}") or 0)) for side in _SIDES)
        boxes.append((x1 - 1, y1 - 1, x2, y2))
    return tuple(boxes)


_SIDES = ("xmin", "ymin", "xmax", "ymax")
