"""HDBSCAN (Campello, Moulavi and Sander, 2013): clusters as dense regions, their number found."""

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor


def hdbscan(features: Tensor, *, min_cluster_size: int = 5) -> np.ndarray:
    """Cluster features by density; what it calls noise joins its nearest clustered neighbour.

    Without that, noise would have to count as one cluster, or each node of it as one of its own.

    Args:
        features: F, n×d, as they are compared: by Euclidean distance.
        min_cluster_size: fewer are noise.

    Returns:
        (n,) clusters; one, if it finds nothing but noise.
    """
    values = features.detach().cpu().double().numpy()
    least = min(max(min_cluster_size, 2), len(values))
    if least < 2:
        return np.zeros(len(values), int)
    labels = HDBSCAN(min_cluster_size=least, copy=True).fit_predict(values)
    placed = labels >= 0
    if not placed.any():
        return np.zeros(len(values), int)
    if not placed.all():
        nearest = KNeighborsClassifier(1).fit(values[placed], labels[placed])
        labels[~placed] = nearest.predict(values[~placed])
    return np.asarray(labels)
