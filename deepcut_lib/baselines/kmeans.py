"""k-means on patch features: what the features give without a graph."""

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from deepcut_lib.features import PatchFeatures
from deepcut_lib.foreground import background_clusters


def kmeans(
    features: PatchFeatures, n_clusters: int = 2, *, n_init: int = 4, random_state: int = 0
) -> np.ndarray:
    """Cluster patches by k-means and drop the background by DeepCut's border rule.

    Args:
        features: a picture's features, used as they are.
        n_clusters: k.
        n_init: random starts, of which the tightest is kept.
        random_state: their seed.

    Returns:
        h×w bool foreground.
    """
    model = KMeans(n_clusters, n_init=n_init, random_state=random_state)
    with threadpool_limits(1):  # on so few patches, threads wait for one another longer than they work
        labels = features.to_map(model.fit_predict(features.values.cpu().numpy()))
    return ~background_clusters(labels)[labels]
