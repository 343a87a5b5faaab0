"""The paper's numbers, as printed there: the only results that are written down in this library.

In percent, (mean, deviation or None). Its Table 1 mixes backbones: DeepCut has the student of DINO ViT-S/8,
its rivals the teacher of ViT-S/16. The rivals' numbers are those that the paper quotes.
"""

Number = tuple[float, float | None]


def _rows(columns: tuple[str, ...], metric: str, **rows: tuple[float | None, ...]) -> dict:
    return {
        (method, column, metric): (value, None)
        for method, values in rows.items()
        for column, value in zip(columns, values, strict=True)
        if value is not None
    }


_BACKBONES = ("dino_vitb16", "mocov3_vitb16", "mae_vitb16")

PAPER: dict[str, dict[tuple[str, str, str], Number]] = {
    "1": _rows(
        ("voc07", "voc12", "coco20k"),
        "corloc",
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
    "horses": {},
    "sample": {},
}
"""By table: (method, column, measure) → number."""
