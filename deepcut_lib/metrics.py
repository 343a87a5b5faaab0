"""How good a mask or a box is, against the truth."""

from collections.abc import Sequence

import numpy as np

Box = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in pixels, the far edges exclusive."""


def mask_iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two bool masks of one size; 0 if both are empty.

    Raises:
        ValueError: the masks differ in size.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"the masks have sizes {predicted.shape} and {truth.shape}; resize one first")
    union = np.logical_or(predicted, truth).sum()
    return float(np.logical_and(predicted, truth).sum() / union) if union else 0.0


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; areas without the "+1" of older code."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    overlap = max(width, 0) * max(height, 0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - overlap
    return overlap / union if union else 0.0


def corloc(predicted: Sequence[Box], truths: Sequence[Sequence[Box]]) -> float:
    """CorLoc: the share of pictures whose box overlaps any true box with an IoU of at least 0.5.

    Args:
        predicted: one box for each picture.
        truths: each picture's true boxes.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    if len(predicted) != len(truths) or not predicted:
        raise ValueError(f"{len(predicted)} boxes and the truth of {len(truths)} pictures; give one box each")
    hits = [
        any(box_iou(box, true) >= 0.5 for true in boxes) for box, boxes in zip(predicted, truths, strict=True)
    ]
    return sum(hits) / len(hits)
