"""PASCAL VOC 2007 and 2012: objects and their boxes."""

from pathlib import Path
from xml.etree import ElementTree

from deepcut_lib.datasets.dataset import UNREADABLE, DataSet, Sample, read_table
from deepcut_lib.metrics import Box


def voc(folder: Path, year: int, *, hard: bool = True) -> DataSet:
    """The pictures of trainval with all their boxes.

    Args:
        folder: what holds ``VOCdevkit``.
        year: 2007 or 2012.
        hard: count difficult and truncated objects too, as reported numbers do; without them, pictures left
            with no object are skipped, for which all annotations are read at once.

    Raises:
        ValueError: the list or an annotation is damaged; the message names the file.
    """
    home = folder / "VOCdevkit" / f"VOC{year}"
    names = read_table(home / "ImageSets" / "Main" / "trainval.txt", lambda line: line.split()[0])

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
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # also unknown encodings
        raise ValueError(f"{path}: not an annotation ({error}); unpack the archive again") from error
    boxes = []
    for number, element in enumerate(objects, 1):
        if not hard and "1" in (element.findtext("difficult"), element.findtext("truncated")):
            continue
        try:  # some of 2012 have fractions
            x1, y1, x2, y2 = (int(float(element.findtext(f"bndbox/{side}", ""))) for side in _SIDES)
        except UNREADABLE as error:
            raise ValueError(
                f"{path}: object {number} has no box of four numbers; unpack the archive again"
            ) from error
        boxes.append((x1 - 1, y1 - 1, x2, y2))
    return tuple(boxes)


_SIDES = ("xmin", "ymin", "xmax", "ymax")
