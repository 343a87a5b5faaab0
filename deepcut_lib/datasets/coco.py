"""COCO20k: 19,817 pictures of COCO's train2014, as chosen by earlier work on object discovery."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcut_lib.datasets.dataset import UNREADABLE, DataSet, Sample, read_table, read_text
from deepcut_lib.files import write_whole

LIST = "coco_20k_filenames.txt"
_SEPARATOR = re.compile(r"[\s,]*")


def coco20k(folder: Path) -> DataSet:
    """The listed pictures with the boxes of all objects but crowds.

    All of train2014's annotations are read once; the boxes of the list are kept beside them.

    Args:
        folder: what holds ``images/train2014``, ``annotations`` and the list.

    Raises:
        ValueError: the list or the annotations are damaged; the message names the file.
    """
    numbers = dict(read_table(folder / LIST, _listed))
    boxes = _boxes(folder / "annotations" / "instances_train2014.json", set(numbers.values()))

    def read(name: str) -> Sample:
        corners = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.get(str(numbers[name]), []))
        return Sample(name.removesuffix(".jpg"), folder / "images" / "train2014" / name, boxes=corners)

    return DataSet(list(numbers), read)


def _listed(line: str) -> tuple[str, int]:
    path = Path(line.strip())
    return path.name, int(path.stem.rpartition("_")[2])


def _boxes(path: Path, wanted: set[int]) -> dict[str, list[list[int]]]:
    """Boxes by picture number, from a file of ours beside the annotations if that is up to date."""
    kept = path.with_name("coco20k_boxes.json")
    source = [path.stat().st_size, path.stat().st_mtime_ns, len(wanted)]
    if kept.exists():
        with contextlib.suppress(ValueError, KeyError, TypeError):  # one that is damaged is made anew
            stored = json.loads(kept.read_bytes())
            if stored["source"] == source:
                return stored["boxes"]
    boxes: dict[str, list[list[int]]] = {}
    for number, annotation in enumerate(_annotations(path), 1):
        try:
            if annotation["image_id"] in wanted and not annotation.get("iscrowd"):
                x, y, width, height = annotation["bbox"]
                corners = [round(side) for side in (x, y, x + width, y + height)]
                boxes.setdefault(str(annotation["image_id"]), []).append(corners)
        except UNREADABLE as error:
            raise ValueError(
                f"{path}: annotation {number} cannot be read; unpack the archive again"
            ) from error
    write_whole(kept, json.dumps({"source": source, "boxes": boxes}))
    return boxes


def _annotations(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of the list ``annotations``, one after another: as objects they would fill the memory."""
    text = read_text(path)
    decoder = json.JSONDecoder()
    try:
        start = text.index("[", text.index('"annotations"')) + 1
        while True:
            start = _SEPARATOR.match(text, start).end()  # type: ignore[union-attr]
            if text[start] == "]":
                return
            entry, start = decoder.raw_decode(text, start)
            yield entry
    except (ValueError, IndexError, RecursionError) as error:
        raise ValueError(f"{path}: not COCO's annotations ({error}); unpack the archive again") from error
