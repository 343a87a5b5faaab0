"""Backbones side by side (§6, Table 4): what a threshold on affinities throws away, and what that costs."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.errors import DeepCutError
from deepcut_lib.graphs import Graph
from deepcut_lib.images import find_images, load_image
from deepcut_lib.masks import find_masks, read_mask
from deepcut_lib.metrics import Box, box_iou, box_of
from deepcut_lib.segmentation import cut


class BoxedPicture(NamedTuple):
    """A picture and the boxes of its objects."""

    path: Path
    boxes: list[Box]


@dataclass(frozen=True)
class BackboneScores:
    """One row of Table 4.

    Attributes:
        backbone: its name.
        negative: share of negative entries of FFᵀ, the features as the backbone gives them (§6): what Eq. 6
            cuts off and correlation clustering keeps; the mean over pictures.
        negative_clustered: the same for the features as they are clustered, centred if the recipe says so.
        ncut_iou: mean IoU of the box found by N-cut with the best of the true boxes.
        cc_iou: the same for correlation clustering.
        n_pictures: how many were scored.
    """

    backbone: str
    negative: float
    negative_clustered: float
    ncut_iou: float
    cc_iou: float
    n_pictures: int


def compare_backbones(
    backbones: Iterable[Backbone], pictures: Sequence[BoxedPicture], *, random_state: int = 0
) -> list[BackboneScores]:
    """Localize with N-cut and with correlation clustering in each backbone's features (§6).

    Args:
        backbones: loaded backbones; an iterator may load them one at a time.
        pictures: see `boxed_pictures`.
        random_state: seed of the starts.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture.
    """
    if not pictures:
        raise ValueError("there are no pictures with boxes or masks to compare on")
    rows = []
    for backbone in backbones:
        measured = []
        for path, boxes in tqdm(pictures, desc=backbone.name, unit="picture", leave=False, disable=None):
            features = backbone(path, cls=False)
            ncut = cut([features], recipe=backbone.recipe, random_state=random_state)[0]
            cc = cut([features], recipe=backbone.recipe, objective="cc", random_state=random_state)[0]
            values = features.values
            clustered = backbone.recipe.prepare(values)
            measured.append(
                (
                    float(Graph(values).negative_share()),
                    float(Graph(clustered).negative_share()),
                    max(box_iou(ncut.box, box) for box in boxes),
                    max(box_iou(cc.box, box) for box in boxes),
                )
            )
        negative, negative_clustered, ncut_iou, cc_iou = np.mean(measured, axis=0).tolist()
        rows.append(
            BackboneScores(
                backbone.name, negative, negative_clustered, ncut_iou, cc_iou, n_pictures=len(pictures)
            )
        )
    return rows


def boxed_pictures(folder: Path) -> list[BoxedPicture]:
    """Read a folder's pictures with the boxes of their objects.

    Args:
        folder: holds ``images/`` and either ``boxes.csv``, with the columns name (a picture's, with or
            without its ending), x1, y1, x2, y2 in pixels, the far edges exclusive, one row for each object;
            or ``masks/``, one for each picture's name, each one object. Pictures without either are left out.

    Raises:
        DeepCutError: there are no pictures, neither boxes nor masks, or a table or mask that cannot be used.
    """
    pictures = find_images(folder / "images")
    table = folder / "boxes.csv"
    if table.exists():
        boxes = _read_boxes(table)
        chosen = [BoxedPicture(path, boxes.get(path.name) or boxes.get(path.stem) or []) for path in pictures]
    elif (folder / "masks").is_dir():
        masks = find_masks(folder / "masks")
        chosen = [BoxedPicture(path, _mask_boxes(path, masks.get(path.stem))) for path in pictures]
    else:
        raise DeepCutError(f"{folder}: holds neither boxes.csv nor masks/; give one of them")
    chosen = [one for one in chosen if one.boxes]
    if not chosen:
        raise DeepCutError(f"{folder}: no picture in images/ has a box or a mask of its name")
    return chosen


def markdown_table(rows: Sequence[BackboneScores]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| backbone | negative affinities | … as clustered | box IoU, N-cut | box IoU, CC |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row.backbone}` | {row.negative:.1%} | {row.negative_clustered:.1%} | {row.ncut_iou:.3f} "
        f"| {row.cc_iou:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _read_boxes(table: Path) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                x1, y1, x2, y2 = (round(float(row[key])) for key in ("x1", "y1", "x2", "y2"))
                found.setdefault(row["name"], []).append((x1, y1, x2, y2))
    except (KeyError, TypeError, ValueError, OverflowError, OSError, csv.Error) as error:
        raise DeepCutError(
            f"{table}: cannot be read ({error}); it needs the columns name, x1, y1, x2, y2"
        ) from error
    return found


def _mask_boxes(picture: Path, mask: Path | None) -> list[Box]:
    box = None if mask is None else box_of(read_mask(mask, like=load_image(picture)))
    return [] if box is None else [box]
