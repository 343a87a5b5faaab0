"""How good a mask, a matte, a box or a clustering is, against the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

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


CONTOUR_BOUND = 0.008
"""How far contours may lie apart and still match, as a share of the picture's diagonal: DAVIS's."""


def contour_f(predicted: np.ndarray, truth: np.ndarray, bound: float = CONTOUR_BOUND) -> float:
    """F of two masks' contours, as the toolkit of DAVIS-2016 defines it: 2 P R / (P + R).

    P is the share of the predicted contour within ``bound`` × diagonal (rounded up to whole pixels) of the
    true one, R the share of the true contour that near the predicted one. Where only one mask has a contour
    F is 0, where none has 1.

    Args:
        predicted: H×W bool.
        truth: H×W bool.
        bound: as a share of the diagonal.

    Raises:
        ValueError: the masks differ in size.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"the masks have sizes {predicted.shape} and {truth.shape}; resize one first")
    first, second = contour(predicted), contour(truth)
    if not (first.any() and second.any()):
        return float(first.any() == second.any())
    radius = np.ceil(bound * np.hypot(*truth.shape))
    near_first, near_second = (ndimage.distance_transform_edt(~line) <= radius for line in (first, second))
    precision, recall = near_second[first].mean(), near_first[second].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def contour(mask: np.ndarray) -> np.ndarray:
    """The pixels of a bool mask that differ from the next one right, below, or right and below: H×W bool."""
    line = np.zeros(mask.shape, bool)
    line[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    line[:-1] |= mask[:-1] ^ mask[1:]
    line[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return line


class OverTime(NamedTuple):
    """How a score behaves over a clip, as the toolkit of DAVIS-2016 defines it.

    Attributes:
        mean: over frames.
        recall: the share of frames above one half.
        decay: the mean of the first of four parts minus that of the last; parts share their end frames.
    """

    mean: float
    recall: float
    decay: float


def over_time(scores: Sequence[float]) -> OverTime:
    """Mean, recall and decay of a clip's scores, frame by frame in order.

    Raises:
        ValueError: there is no score.
    """
    values = np.asarray(scores, float)
    if not len(values):
        raise ValueError("there are no scores of frames; give at least one")
    ends = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    first, last = values[ends[0] : ends[1] + 1], values[ends[3] : ends[4] + 1]
    return OverTime(float(values.mean()), float((values > 0.5).mean()), float(first.mean() - last.mean()))


STILL = 3
"""Levels of 255 by which a pixel's colour may change and still count as unchanged: more than noise does."""


def still_pixels(first: Image.Image, second: Image.Image) -> np.ndarray:
    """Where nothing moves: pixels whose 2×2 block, averaged, changes by at most `STILL` in every channel.

    Args:
        first: RGB.
        second: the next frame, of the same size.

    Returns:
        H×W bool.

    Raises:
        ValueError: the frames differ in size.
    """
    if first.size != second.size:
        raise ValueError(f"the frames have sizes {first.size} and {second.size}; resize one first")
    before, after = (
        np.asarray(picture.convert("RGB").reduce(2)).astype(np.int16) for picture in (first, second)
    )
    still = np.abs(before - after).max(axis=2) <= STILL
    return still.repeat(2, axis=0).repeat(2, axis=1)[: first.height, : first.width]


def flicker(first: np.ndarray, second: np.ndarray, still: np.ndarray) -> float:
    """The share of unmoved pixels whose label changes from one frame to the next; 0 where all move.

    Args:
        first: H×W labels or mask.
        second: the next frame's.
        still: H×W bool, see `still_pixels`.
    """
    return float((first != second)[still].mean()) if still.any() else 0.0


class AlphaErrors(NamedTuple):
    """How far an alpha matte is from the true one (Rhemann et al., CVPR 2009), over all pixels.

    Attributes:
        sad: sum of absolute differences, in thousands.
        mse: mean squared difference.
        gradient: sum of squared differences of the gradients' lengths, in thousands; gradients are by
            derivatives of a Gaussian with σ 1.4, each filter of length 1.
    """

    sad: float
    mse: float
    gradient: float


def alpha_errors(predicted: np.ndarray, truth: np.ndarray) -> AlphaErrors:
    """SAD, MSE and gradient error of an alpha matte, H×W in 0…1, or of a bool mask, against the truth.

    Raises:
        ValueError: the two differ in size.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"the mattes have sizes {predicted.shape} and {truth.shape}; resize one first")
    predicted, truth = predicted.astype(np.float64), truth.astype(np.float64)
    difference = predicted - truth
    steeper = _steepness(predicted) - _steepness(truth)
    return AlphaErrors(
        sad=float(np.abs(difference).sum() / 1000),
        mse=float(np.square(difference).mean()),
        gradient=float(np.square(steeper).sum() / 1000),
    )


def _steepness(alpha: np.ndarray, sigma: float = 1.4, reach: int = 4) -> np.ndarray:
    """Length of the gradient at each pixel; beyond its ends a matte goes on as it ends."""
    x = np.arange(-reach, reach + 1)
    bell = np.exp(-np.square(x) / (2 * sigma**2))
    slope = x * bell
    bell, slope = bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)
    along = [
        ndimage.correlate1d(
            ndimage.correlate1d(alpha, slope, axis, mode="nearest"), bell, 1 - axis, mode="nearest"
        )
        for axis in (0, 1)
    ]
    return np.hypot(*along)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; areas without the "+1" of older code."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    overlap = max(width, 0) * max(height, 0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - overlap
    return overlap / union if union else 0.0


def box_of(mask: np.ndarray) -> Box | None:
    """The box round everything in an H×W bool mask, or None if it is empty."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def box_scores(box: Box, truths: Sequence[Box]) -> dict[str, float]:
    """Score a box against all true ones.

    Returns:
        ``corloc``: 1 if any is overlapped with an IoU of at least one half; ``box_iou``: the largest IoU.
    """
    best = max((box_iou(box, truth) for truth in truths), default=0.0)
    return {"corloc": float(best >= 0.5), "box_iou": best}


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
    return sum(box_scores(*pair)["corloc"] for pair in zip(predicted, truths, strict=True)) / len(predicted)


class ClusterScores(NamedTuple):
    """How well clusters match classes.

    Attributes:
        n_clusters: how many clusters were found. Purity rises with it, so it belongs beside it.
        purity: see `purity`.
        nmi: normalised mutual information, arithmetic mean; 0 for independent labels, 1 for the same.
        ari: adjusted Rand index; 0 on average for random labels, 1 for the same.
    """

    n_clusters: int
    purity: float
    nmi: float
    ari: float


def purity(truth: Sequence[object] | np.ndarray, labels: Sequence[int] | np.ndarray) -> float:
    """Share of items that belong to the commonest class of their cluster: 1 if no cluster mixes classes.

    Args:
        truth: (n,) classes, numbers or names.
        labels: (n,) clusters.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    counts = contingency_matrix(*_paired(truth, labels))
    return float(counts.max(axis=0).sum() / counts.sum())


def cluster_scores(truth: Sequence[object] | np.ndarray, labels: Sequence[int] | np.ndarray) -> ClusterScores:
    """Purity, NMI and ARI of clusters against true classes, with the number of clusters.

    Args:
        truth: (n,) classes, numbers or names.
        labels: (n,) clusters.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    truth, labels = _paired(truth, labels)
    return ClusterScores(
        n_clusters=len(np.unique(labels)),
        purity=purity(truth, labels),
        nmi=float(normalized_mutual_info_score(truth, labels)),
        ari=float(adjusted_rand_score(truth, labels)),
    )


def labels_at(labels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The labels under some points of a picture.

    Args:
        labels: H×W.
        points: (m, 2), x and y in pixels; pixel (0, 0) reaches from 0 to 1. Points beyond the picture take
            the nearest pixel.

    Returns:
        (m,) labels.
    """
    points = np.asarray(points, float).reshape(-1, 2)
    columns, rows = (
        np.clip(np.floor(points[:, axis]).astype(int), 0, labels.shape[1 - axis] - 1) for axis in (0, 1)
    )
    return labels[rows, columns]


def keypoint_scores(
    parts: Sequence[Sequence[int] | np.ndarray], labels: Sequence[Sequence[int] | np.ndarray]
) -> ClusterScores:
    """NMI and ARI of parts by key points (§5.3): all visible points of all pictures pooled.

    Labels must mean the same in every picture to score at all.

    Args:
        parts: for each picture the true part of each visible key point.
        labels: for each picture the labels found there (see `labels_at`). Leaving out the points that were
            found to be background scores the parts alone ("FG"); with them it is the whole picture ("Full").

    Raises:
        ValueError: numbers of pictures or points differ, or there is no point at all.
    """
    if len(parts) != len(labels) or any(len(a) != len(b) for a, b in zip(parts, labels, strict=True)):
        raise ValueError("give one label for each key point of each picture")
    if not sum(map(len, parts)):
        raise ValueError("there are no key points to score")
    return cluster_scores(np.concatenate([*parts]), np.concatenate([*labels]))


def _paired(truth: object, labels: object) -> tuple[np.ndarray, np.ndarray]:
    classes, clusters = np.asarray(truth).ravel(), np.asarray(labels).ravel()
    if len(classes) != len(clusters) or not len(classes):
        raise ValueError(f"{len(clusters)} labels for {len(classes)} true classes; give one for each item")
    return classes, clusters
