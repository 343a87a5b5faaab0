"""What each table of the paper measures, on what, and by which methods."""

from dataclasses import dataclass

from deepcut_lib.evaluation.methods import METHODS
from deepcut_lib.evaluation.request import Inputs
from deepcut_lib.evaluation.tasks import clips, parts, sets
from deepcut_lib.evaluation.tasks.clips import ClipsTask
from deepcut_lib.evaluation.tasks.parts import PartsTask
from deepcut_lib.evaluation.tasks.pictures import PicturesTask
from deepcut_lib.evaluation.tasks.sets import SetsTask
from deepcut_lib.evaluation.tasks.task import Task

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
    "gap": "inside clusters, short of the upper bound at the network's α",
    "j": "J mean",
    "j_recall": "J recall",
    "j_decay": "J decay",
    "contour": "F mean",
    "contour_recall": "F recall",
    "contour_decay": "F decay",
    "flicker": "flicker",
    "negative": "negative affinities",
    "negative_clustered": "negative affinities of features as they are clustered",
}
"""What measures are called; all are in percent but the number of clusters."""


@dataclass(frozen=True)
class Table:
    """A table that one command fills.

    Attributes:
        title: its heading.
        task: what fills it.
        sets: names of data sets.
        methods: its rows, names of the task's methods.
        metrics: its measures, the first of which is compared with the paper's.
        seeds: how many seeds or draws it takes unless told.
        backbones: what it compares unless told; of other tables, the library's choice.
        inputs: how pictures are fitted unless told.
    """

    title: str
    task: Task
    sets: tuple[str, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    seeds: int = 1
    backbones: tuple[str, ...] = ("auto",)
    inputs: Inputs = "same"


_MASKS = ("iou", "iou_any", "accuracy", "max_f", "corloc")

_PAPER = tuple(name for name, method in METHODS.items() if method.paper_tables)

TABLES = {
    "1": Table(
        "Table 1: localization of one object",
        PicturesTask(boxes=True),
        ("voc07", "voc12", "coco20k"),
        _PAPER,
        ("corloc", "box_iou"),
        inputs="own",
    ),
    "2": Table(
        "Table 2: segmentation of one object",
        PicturesTask(),
        ("cub", "duts", "ecssd"),
        tuple(name for name in _PAPER if METHODS[name].masks),
        _MASKS,
        inputs="own",
    ),
    "3": Table(
        "Table 3: parts, by key points",
        PartsTask(),
        ("cub",),
        tuple(parts.METHODS),
        ("nmi", "ari", "nmi_parts", "ari_parts", "clusters"),
    ),
    "4": Table(
        "Table 4: localization with other backbones",
        PicturesTask(boxes=True, by_backbone=True),
        ("voc07",),
        ("ncut", "cc"),
        ("box_iou", "corloc", "negative", "negative_clustered"),
        backbones=("dino_vitb16", "mocov3_vitb16", "mae_vitb16"),
    ),
    "5": Table(
        "Table 5: clusters of pictures, their number unknown",
        SetsTask(),
        ("fashion",),
        tuple(sets.METHODS),
        ("purity", "nmi", "ari", "clusters", "gap"),
        seeds=10,
    ),
    "davis": Table(
        "DAVIS: the object of a clip",
        ClipsTask(),
        ("davis",),
        tuple(clips.METHODS),
        ("j", "j_recall", "j_decay", "contour", "contour_recall", "contour_decay", "flicker"),
    ),
    "horses": Table("Horses: foreground of photographs", PicturesTask(), ("horses",), tuple(METHODS), _MASKS),
    "sample": Table(
        "Sample: foreground of the pictures in data/", PicturesTask(), ("sample",), tuple(METHODS), _MASKS
    ),
}
"""All tables, by the name that the command takes."""
