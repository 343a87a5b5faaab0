"""k-means on patch features: what the features give without a graph network."""

from typing import Literal, TypeAlias, get_args

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from deepcut_lib.features import PatchFeatures
from deepcut_lib.foreground import background_clusters, best_union
from deepcut_lib.graphs import ncut_graph

KmeansRule: TypeAlias = Literal["border", "union", "union and prior"]


def kmeans(
    features: PatchFeatures,
    n_clusters: int = 2,
    *,
    rule: KmeansRule = "border",
    n_init: int = 4,
    random_state: int = 0,
) -> np.ndarray:
    """Cluster patches by k-means, and tell the foreground as DeepCut does.

    Args:
        features: a picture's features, used as they are.
        n_clusters: k.
        rule: the border rule (`background_clusters`), or the clearest union (`best_union`), to which the
            features' foreground prior may add its word.
        n_init: random starts, of which the tightest is kept.
        random_state: their seed.

    Returns:
        h×w bool foreground.

    Raises:
        ValueError: no such rule, or the features carry no prior.
    """
    if rule not in get_args(KmeansRule):
        raise ValueError(f"rule must be one of {', '.join(get_args(KmeansRule))}, not {rule!r}")
    with_prior = rule == "union and prior"
    if with_prior and features.prior is None:
        raise ValueError(f"{features.backbone} has no foreground prior; take the rule 'union'")
    model = KMeans(n_clusters, n_init=n_init, random_state=random_state)
    with threadpool_limits(1):  # on so few patches, threads wait for one another longer than they work
        labels = features.to_map(model.fit_predict(features.values.cpu().numpy()))
    if rule == "border":
        return ~background_clusters(labels)[labels]
    prior = features.prior.cpu().numpy() if with_prior and features.prior is not None else None
    background, _ = best_union(labels, ncut_graph(features.values), prior)
    return ~background[labels]
