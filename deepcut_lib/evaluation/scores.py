"""What one picture's mask scores, by the protocols of TokenCut and Deep Spectral Methods."""

from collections.abc import Sequence

import numpy as np

from deepcut_lib.masks import LIGHT
from deepcut_lib.metrics import mask_iou

THRESHOLDS = np.arange(255) / 255
"""Of soft masks, for the F-measure: 0, 1/255, … 254/255; a pixel is foreground from the threshold on."""

BETA_SQUARED = 0.3
"""Of the F-measure: precision counts more than recall."""


def mask_scores(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float | list[float]]:
    """Score a foreground mask.

    Args:
        prediction: H×W, bool or soft in 0…1; soft masks are cut above one half, but for the F-measure.
        truth: H×W grey values 0…255.

    Returns:
        ``iou``: foreground IoU, 0 if neither has any; ``iou_any``: the same with all but black as truth;
        ``accuracy``: share of pixels that agree; ``f``: see `f_measures`, of a bool mask the first two only
        (all other thresholds give the same).

    Raises:
        ValueError: the sizes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"the mask has size {prediction.shape}, the true one {truth.shape}; they must agree")
    mask = prediction if prediction.dtype == bool else prediction > 0.5
    true_mask = truth >= LIGHT
    measures = f_measures(prediction, true_mask)
    return {
        "iou": mask_iou(mask, true_mask),
        "iou_any": mask_iou(mask, truth >= 1),
        "accuracy": float((mask == true_mask).mean()),
        "f": [round(float(f), 6) for f in (measures[:2] if prediction.dtype == bool else measures)],
    }


def f_measures(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F_β = (1 + β²) P R / (β² P + R) at each of `THRESHOLDS`: (255,), 0 where nothing true is found.

    Args:
        prediction: H×W, bool or soft in 0…1.
        truth: H×W bool.
    """
    level = np.searchsorted(THRESHOLDS, prediction.ravel().astype(np.float64), side="right") - 1
    # pixels from each threshold on, and the true ones among them
    predicted, hits = (
        np.bincount(level[chosen], minlength=len(THRESHOLDS))[::-1].cumsum()[::-1]
        for chosen in (slice(None), truth.ravel())
    )
    # (1 + β²) P R / (β² P + R), freed of its fractions
    return (1 + BETA_SQUARED) * hits / np.maximum(BETA_SQUARED * truth.sum() + predicted, 1e-12)


def expand_f(stored: Sequence[float]) -> np.ndarray:
    """The (255,) F-measures of a row: a bool mask's two are those of threshold 0 and of all others."""
    if len(stored) == 2:
        return np.concatenate([stored[:1], np.full(len(THRESHOLDS) - 1, stored[1])])
    return np.asarray(stored)


def centre_square(mask: np.ndarray) -> np.ndarray:
    """The largest square in the middle, as Deep Spectral Methods score CUB."""
    side = min(mask.shape)
    top, left = ((length - side) // 2 for length in mask.shape)
    return mask[top : top + side, left : left + side]
