"""How far numbers would move with other pictures: bootstrap intervals, of means and of paired differences."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Interval: TypeAlias = tuple[float, float]

WITH_INTERVAL = frozenset({"iou", "corloc", "box_iou", "j"})
"""Measures that are means over pictures and get an interval."""

RESAMPLES = 2000

PAIRS = (
    ("prior_ncut", "prior_alone"),
    ("prior_ncut", "kmeans8_prior"),
    ("prior_ncut_solver", "prior_alone_solver"),
    ("prior_ncut_solver", "kmeans8_prior_solver"),
    ("soft_ncut4_union", "kmeans4_union"),
    ("soft_ncut4_union_solver", "kmeans4_union_solver"),
    ("soft_ncut4_union", "ncut4_union"),
    ("ncut4_union", "kmeans4_union"),
    ("ncut4_union_solver", "kmeans4_union_solver"),
    ("ncut", "kmeans3"),
    ("ncut_solver", "kmeans3_solver"),
    ("carried", "alone"),
    ("carried_solver", "alone_solver"),
    ("carried", "prior_alone"),
    ("carried_solver", "prior_alone_solver"),
    ("carried_solver", "kmeans_joint_solver"),
    ("carried_solver", "offline_solver"),
)
"""Methods that are held against each other picture by picture, the first against the second."""


def bootstrap(values: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """The middle 95 % of the means of as many values drawn again and again, with replacement.

    Args:
        values: one for each picture.
        resamples: how often; always with the same draws.
    """
    sample, generator = np.asarray(values, float), np.random.default_rng(0)
    means = [sample[generator.integers(0, len(sample), len(sample))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
