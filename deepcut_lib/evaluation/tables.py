"""What each table of the paper measures, on what, and by which methods."""

from dataclasses import dataclass
from typing import Literal

PICTURE_METHODS = (
    "ncut",
    "ncut_solver",
    "ncut_two_stage",
    "cc",
    "cc_solver",
    "tokencut",
    "tokencut_solver",
    "deep_spectral",
    "deep_spectral_colour",
    "lost",
    "dino_cls",
    "kmeans2",
    "kmeans3",
    "dff2",
    "dff3",
    "selective_search",
    "edge_boxes",
    "middle_box",
)

OWN_SET_METHODS = (*PICTURE_METHODS[:4], "cc_alpha6", *PICTURE_METHODS[4:])
"""Where pictures are the project's own choice, CC also with an alpha for centred features."""

METRICS = {
    "corloc": "CorLoc",
    "box_iou": "mean box IoU",
    "iou": "mean foreground IoU",
    "iou_any": "the same, truth ≥ 1",
    "accuracy": "accuracy",
    "max_f": "max F",
    "nmi": "NMI",
    "ari": "ARI",
    "nmi_parts": "NMI without points found to be background",
    "ari_parts": "ARI without points found to be background",
    "purity": "purity",
    "clusters": "clusters found",
    "negative": "negative affinities",
    "negative_clustered": "negative affinities of features as they are clustered",
}
"""What measures are called; all are in percent but the number of clusters."""


@dataclass(frozen=True)
class Table:
    """A table that one command fills.

    Attributes:
        title: its heading.
        kind: which of the runs fills it: pictures by masks or boxes, parts, sets of pictures, backbones.
        sets: names of data sets.
        methods: its rows.
        metrics: its measures, the first of which is compared with the paper's.
        by: what its columns are.
        seeds: how many seeds or draws it takes unless told.
        backbones: what it compares unless told; of other tables, the library's choice.
        boxes: whether boxes are scored, or masks.
        own_inputs: whether each method sees pictures as its publication fits them, or all see the same.
    """

    title: str
    kind: Literal["pictures", "parts", "sets", "backbones"]
    sets: tuple[str, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    by: Literal["set", "backbone", "classes"] = "set"
    seeds: int = 1
    backbones: tuple[str, ...] = ("auto",)
    boxes: bool = False
    own_inputs: bool = False


_MASKS = ("iou", "iou_any", "accuracy", "max_f", "corloc")

TABLES = {
    "1": Table(
        "Table 1: localization of one object",
        "pictures",
        ("voc07", "voc12", "coco20k"),
        PICTURE_METHODS,
        ("corloc", "box_iou"),
        boxes=True,
        own_inputs=True,
    ),
    "2": Table(
        "Table 2: segmentation of one object",
        "pictures",
        ("cub", "duts", "ecssd"),
        tuple(name for name in PICTURE_METHODS if name not in ("selective_search", "edge_boxes")),
        _MASKS[:-1],
        own_inputs=True,
    ),
    "3": Table(
        "Table 3: parts, by key points",
        "parts",
        ("cub",),
        ("ncut", "amir", "dff"),
        ("nmi", "ari", "nmi_parts", "ari_parts", "clusters"),
    ),
    "4": Table(
        "Table 4: localization with other backbones",
        "backbones",
        ("voc07",),
        ("ncut", "cc"),
        ("box_iou", "corloc", "negative", "negative_clustered"),
        by="backbone",
        backbones=("dino_vitb16", "mocov3_vitb16", "mae_vitb16"),
        boxes=True,
    ),
    "5": Table(
        "Table 5: clusters of pictures, their number unknown",
        "sets",
        ("fashion",),
        ("cc", "spectral", "components", "kmeans_told"),
        ("purity", "nmi", "ari", "clusters"),
        by="classes",
        seeds=10,
    ),
    "horses": Table("Horses: foreground of photographs", "pictures", ("horses",), OWN_SET_METHODS, _MASKS),
    "sample": Table(
        "Sample: foreground of the pictures in data/", "pictures", ("sample",), OWN_SET_METHODS, _MASKS
    ),
}
"""All tables, by the name that the command takes."""
