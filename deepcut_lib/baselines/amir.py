"""Parts by clustering the descriptors of many pictures together (Amir et al., 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from deepcut_lib.features import PatchFeatures, unit_rows

SALIENCY_HEADS = (0, 2, 4, 5)
"""Heads of CLS attention whose mean is the saliency."""

ELBOW = 0.975
"""A further cluster that leaves more than this share of the squared distances is the last."""

MOST_CLUSTERS = 14
SALIENT = 0.065
VOTES = 0.75


@dataclass(frozen=True, eq=False)
class AmirParts:
    """What `amir_parts` found.

    Attributes:
        labels: each picture's h×w labels: 0 is background, 1…n_parts are parts, alike in all pictures.
        n_clusters: how many clusters the elbow chose.
        salient: (n_clusters,) bool, which of them were voted foreground.
    """

    labels: list[np.ndarray]
    n_clusters: int
    salient: np.ndarray
    _clusters: KMeans
    _parts: KMeans

    def predict(self, features: PatchFeatures) -> np.ndarray:
        """Label another picture, by the nearest cluster and part: h×w."""
        rows = unit_rows(features.values.cpu().numpy())
        labels = np.zeros(len(rows), int)
        foreground = self.salient[self._clusters.predict(rows)]
        if foreground.any():
            labels[foreground] = 1 + self._parts.predict(rows[foreground])
        return features.to_map(labels)


def saliency_of(attention: np.ndarray) -> np.ndarray:
    """Saliency in 0…1 from CLS attention: heads×h×w → h×w, the mean over `SALIENCY_HEADS`, stretched."""
    mean = attention[[head for head in SALIENCY_HEADS if head < len(attention)]].mean(axis=0)
    return (mean - mean.min()) / max(np.ptp(mean), 1e-12)


def amir_parts(
    features: Sequence[PatchFeatures],
    saliency: Sequence[np.ndarray],
    n_parts: int = 4,
    *,
    n_init: int = 10,
    random_state: int = 0,
) -> AmirParts:
    """Cluster the patches of all pictures, vote on which clusters are foreground, cluster those into parts.

    Args:
        features: each picture's features; they are brought to unit length.
        saliency: each picture's h×w saliency in 0…1, see `saliency_of`. A cluster is foreground if in at
            least 75 % of the pictures that have it its mean saliency is above 0.065; if none is, the one
            with the largest share of votes.
        n_parts: parts of the foreground.
        n_init: starts of k-means, of which the tightest is kept.
        random_state: their seed.

    Raises:
        ValueError: pictures and saliency maps differ in number, or the foreground has fewer patches than
            parts.
    """
    if len(features) != len(saliency) or not features:
        raise ValueError(f"{len(saliency)} saliency maps for {len(features)} pictures; give one for each")
    rows = [unit_rows(of_picture.values.cpu().numpy()) for of_picture in features]
    stacked = np.concatenate(rows)
    clusters = _elbow(stacked, n_init, random_state)
    labels = [clusters.predict(of_picture) for of_picture in rows]
    share = _votes(labels, saliency, clusters.n_clusters)
    salient = share >= VOTES
    if not salient.any():
        salient = share == share.max()
    foreground = stacked[salient[np.concatenate(labels)]]
    if len(foreground) < n_parts:
        raise ValueError(f"a foreground of {len(foreground)} patches cannot form {n_parts} parts")
    parts = KMeans(n_parts, n_init=n_init, random_state=random_state).fit(foreground)
    fitted = AmirParts([], clusters.n_clusters, salient, clusters, parts)
    fitted.labels.extend(map(fitted.predict, features))
    return fitted


def _elbow(rows: np.ndarray, n_init: int, random_state: int) -> KMeans:
    """k-means with as many clusters as pay, and one more, see `ELBOW`."""
    before = None
    for k in range(1, min(MOST_CLUSTERS, len(rows)) + 1):
        model = KMeans(k, n_init=n_init, random_state=random_state).fit(rows)
        if before is not None and model.inertia_ > ELBOW * before:
            break
        before = model.inertia_
    return model


def _votes(labels: Sequence[np.ndarray], saliency: Sequence[np.ndarray], k: int) -> np.ndarray:
    """For each cluster, the share of all pictures in which its mean saliency is high."""
    votes = np.zeros(k)
    for clusters, map_ in zip(labels, saliency, strict=True):
        size = np.bincount(clusters, minlength=k)
        mean = np.bincount(clusters, weights=map_.ravel(), minlength=k) / np.maximum(size, 1)
        votes += (size > 0) & (mean > SALIENT)
    return votes / len(labels)
