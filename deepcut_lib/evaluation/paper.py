"""The paper's numbers, as printed there: the only results that are written down in this library.

In percent, (mean, deviation or None). Its Table 1 mixes backbones: DeepCut has the student of DINO ViT-S/8,
its rivals the teacher of ViT-S/16. The rivals' numbers are those that the paper quotes.
"""

from dataclasses import dataclass

Number = tuple[float, float | None]


@dataclass(frozen=True)
class Quoted:
    """A row that is never run: it only has the paper's numbers.

    Attributes:
        title: what tables call it.
        reason: why it is not run.
        numbers: (column, measure) → percent.
    """

    title: str
    reason: str
    numbers: dict[tuple[str, str], float]


_TRAINED = "a trained network; its weights are not at hand"
_TRAINED_WITH_TRUTH = "trained with ground-truth foreground; its weights are not at hand"

QUOTED = {
    "2": {
        "onegan": Quoted("OneGAN", _TRAINED, {("cub", "iou"): 55.5}),
        "voynov": Quoted("Voynov et al.", _TRAINED, {("cub", "iou"): 68.3, ("duts", "iou"): 49.8}),
    },
    "3": {
        "scops": Quoted("SCOPS", _TRAINED_WITH_TRUTH, {("cub", "nmi"): 24.4, ("cub", "ari"): 7.1}),
        "huang": Quoted("Huang and Li", _TRAINED_WITH_TRUTH, {("cub", "nmi"): 26.1, ("cub", "ari"): 13.2}),
        "choudhury": Quoted(
            "Choudhury et al.", _TRAINED_WITH_TRUTH, {("cub", "nmi"): 43.5, ("cub", "ari"): 19.6}
        ),
    },
}
"""By table, the rows that are quoted from the paper, below those that can be run; nothing else names them."""


def _rows(columns: tuple[str, ...], metric: str, **rows: tuple[float | None, ...]) -> dict:
    return {
        (method, column, metric): (value, None)
        for method, values in rows.items()
        for column, value in zip(columns, values, strict=True)
        if value is not None
    }


_BACKBONES = ("dino_vitb16", "mocov3_vitb16", "mae_vitb16")

_OF_METHODS: dict[str, dict[tuple[str, str, str], Number]] = {
    "1": _rows(
        ("voc07", "voc12", "coco20k"),
        "corloc",
        selective_search=(18.8, 20.9, 6.0),
        edge_boxes=(31.1, 31.6, 28.8),
        dino_cls=(45.8, 46.2, 42.1),
        lost=(61.9, 64.0, 50.7),
        deep_spectral=(62.7, 66.4, 52.2),
        tokencut=(68.8, 72.1, 58.8),
        cc=(68.8, 67.9, 57.6),
        ncut=(69.8, 72.2, 61.6),
    ),
    "2": _rows(
        ("cub", "duts", "ecssd"),
        "iou",
        deep_spectral=(76.9, 51.4, 73.3),
        tokencut=(None, 57.6, 71.2),
        cc=(77.7, 56.0, 73.4),
        ncut=(78.2, 59.5, 74.6),
    ),
    "3": {
        **_rows(("cub",), "nmi", dff=(25.9,), amir=(38.9,), ncut=(43.9,)),
        **_rows(("cub",), "ari", dff=(12.4,), amir=(16.1,), ncut=(20.2,)),
    },
    "4": {
        **_rows(_BACKBONES, "box_iou", ncut=(59.4, 62.3, 47.2), cc=(59.8, 43.1, 31.2)),
        **_rows(_BACKBONES, "negative", cc=(33.6, 20.0, 5.4)),
    },
    "5": {
        ("components", "3", "purity"): (33.3, 0.0),
        ("components", "4", "purity"): (25.0, 0.0),
        ("components", "5", "purity"): (20.0, 0.0),
        ("spectral", "3", "purity"): (85.5, 14.1),
        ("spectral", "4", "purity"): (77.9, 6.6),
        ("spectral", "5", "purity"): (82.8, 6.9),
        ("cc", "3", "purity"): (98.3, 0.9),
        ("cc", "4", "purity"): (97.1, 1.7),
        ("cc", "5", "purity"): (99.27, 0.6),
    },
    "davis": {},
    "horses": {},
    "sample": {},
}

PAPER = {
    table: numbers
    | {
        (name, column, metric): (value, None)
        for name, row in QUOTED.get(table, {}).items()
        for (column, metric), value in row.numbers.items()
    }
    for table, numbers in _OF_METHODS.items()
}
"""By table: (method, column, measure) → number."""
