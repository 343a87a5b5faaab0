"""Connected components of the positive-weight graph: clusters without k, by reachability alone."""

import numpy as np
import torch

from deepcut_lib.graphs import Graph


def connected_components(graph: Graph) -> np.ndarray:
    """Join everything that a chain of positive affinities connects.

    Each node is expanded once and no row of W is kept, so memory is linear in n.

    Args:
        graph: a single graph, signed (Eq. 5 or 7) or cut off (Eq. 6).

    Returns:
        (n,) components, numbered in the order of their first nodes.
    """
    features = graph.features
    threshold = 0.0 if graph.shift is None else float(graph.shift)
    labels = np.full(graph.n, -1)
    rest = torch.arange(graph.n, device=features.device)
    component = -1
    frontier = rest[:0]
    while len(rest):
        if not len(frontier):
            component += 1
            frontier, rest = rest[:1], rest[1:]
            labels[frontier.cpu().numpy()] = component
        # a thousand at a time: one product is at most 1000×n
        reached = (features[rest] @ features[frontier[:1000]].T > threshold).any(1)
        labels[rest[reached].cpu().numpy()] = component
        frontier = torch.cat([frontier[1000:], rest[reached]])
        rest = rest[~reached]
    return labels
