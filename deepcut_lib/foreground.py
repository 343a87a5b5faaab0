"""Which clusters are background, judged by the picture's border (§3.2), and a box round the rest."""

import numpy as np
import torch

from deepcut_lib.devices import without_autocast
from deepcut_lib.graphs import Graph
from deepcut_lib.metrics import Box
from deepcut_lib.refinement import largest_component

BORDER_SHARE = 0.25
"""A cluster with more than this share of the border is background too: as much as one edge of four."""


def touched_edges(labels: np.ndarray) -> np.ndarray:
    """How many of the picture's four edges each cluster lies on.

    Args:
        labels: h×w, clusters 0…K−1.

    Returns:
        (K,) counts, 0 to 4.
    """
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return np.array([sum(int((edge == k).any()) for edge in edges) for k in range(labels.max() + 1)])


def border_share(labels: np.ndarray) -> np.ndarray:
    """The share of the border's patches that each cluster holds: (K,), summing to one."""
    border = np.ones(labels.shape, bool)
    border[1:-1, 1:-1] = False
    return np.bincount(labels[border], minlength=labels.max() + 1) / border.sum()


def background_clusters(labels: np.ndarray) -> np.ndarray:
    """Decide which clusters are background (§3.2).

    Background is what lies on more than two of the picture's edges. The paper stops there; ties are settled
    by the border share: a cluster with more than a quarter of the border is background too; if that takes all
    clusters, the one with the least share of the border is foreground after all (of equals the smaller, then
    the first); if it takes none, the one with the largest share is background. A picture of one cluster is
    all background.

    Args:
        labels: h×w, clusters 0…K−1; numbers that no patch has count as background.

    Returns:
        (K,) bool.
    """
    area = np.bincount(labels.ravel())
    present = area > 0
    share = border_share(labels)
    background = (touched_edges(labels) > 2) | (share > BORDER_SHARE) | ~present
    if present.sum() > 1 and background.all():
        by_share = np.lexsort((area, np.where(present, share, np.inf)))
        background[by_share[0]] = False
    elif not background[present].any():
        background[share.argmax()] = True
    return background


UNION_BORDER_SHARE = 0.3
"""A union of clusters with more of the border than this is no foreground."""

UNION_LEAST = 0.01
"""Nor is one with fewer of the patches."""

UNION_CLUSTERS = 12
"""Clusters of which unions are tried, the largest; there are 2¹² of them, and smaller ones are background."""

PRIOR_SAYS = 2.0
"""Weight of a prior beside N-cut and border share."""


@without_autocast()
def best_union(labels: np.ndarray, graph: Graph, prior: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Decide which clusters are background by the clearest of all possible foregrounds.

    Beyond the paper, whose rule (`background_clusters`) judges each cluster alone. Of all unions U of
    clusters with at most 30 % of the border's patches and at least 1 % of all, and with affinities both
    inside and outside, the foreground is the one with the least

        N-cut(U, rest) + (U's share of the border) − 2 · (mean prior in U − mean prior of the rest)

    the last term only where a prior is given. With one cluster, or where no union qualifies, the border rule
    decides.

    Args:
        labels: h×w clusters, 0…K−1.
        graph: of the h·w patches, with nonnegative affinities.
        prior: (h·w,) each patch's probability of foreground, or None.

    Returns:
        (K,) bool, as `background_clusters` gives it, and the score, which tells a clear start from a poor
        one: infinite where no union qualified.
    """
    flat = torch.from_numpy(labels.ravel()).to(graph.features.device)
    sizes = np.bincount(labels.ravel())
    tried = np.argsort(-sizes, kind="stable")[: min(UNION_CLUSTERS, int((sizes > 0).sum()))]
    members = (flat[:, None] == torch.from_numpy(tried).to(flat.device)).to(graph.features.dtype)
    members = torch.cat([members, 1 - members.sum(1, keepdim=True)], dim=1)  # last, what is never tried
    between = (members.mT @ graph.matmul(members)).double().cpu().numpy()
    # One row for each union, and in it which clusters belong to it; the empty one comes first
    unions = (np.arange(2 ** len(tried))[:, None] >> np.arange(len(tried)) & 1).astype(float)
    share, size = unions @ border_share(labels)[tried], unions @ sizes[tried]
    inner = np.pad(unions, ((0, 0), (0, 1)))
    # Summed, not subtracted from a total: of a side without affinities, rounding would leave some
    inside, cut, outside = (
        ((a @ between) * b).sum(axis=1)
        for a, b in ((inner, inner), (inner, 1 - inner), (1 - inner, 1 - inner))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        score = cut / (cut + inside) + cut / (cut + outside) + share
        if prior is not None:
            held = unions @ np.bincount(labels.ravel(), prior, len(sizes))[tried]
            rest = (prior.sum() - held) / (labels.size - size)
            score -= PRIOR_SAYS * (held / size - rest)
    qualifies = (share <= UNION_BORDER_SHARE) & (size >= UNION_LEAST * labels.size) & (size < labels.size)
    score = np.where(qualifies & np.isfinite(score), score, np.inf)
    if not np.isfinite(score).any():
        return background_clusters(labels), float("inf")
    background = np.ones(len(sizes), bool)
    background[tried[unions[score.argmin()] > 0]] = False
    return background, float(score.min())


def paper_rule(labels: np.ndarray) -> np.ndarray:
    """Background is what lies on more than two edges (§3.2), and nothing else: (K,) bool."""
    return touched_edges(labels) > 2


def corner_rule(labels: np.ndarray) -> np.ndarray:
    """Background is the cluster that holds more than two of the four corners, else cluster 0: (K,) bool.

    For two clusters it is the published code's rule, which swaps them if the corners' labels sum to more
    than 2; for more clusters that sum means nothing, and this is the nearest rule that does.
    """
    corners = labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    held = np.bincount(corners, minlength=labels.max() + 1)
    return held > 2 if (held > 2).any() else np.arange(len(held)) == 0


def foreground_box(foreground: np.ndarray, image_size: tuple[int, int]) -> Box:
    """The box round the largest connected part of the foreground, in pixels of the picture.

    Args:
        foreground: bool over the patch grid, h×w, or over the pixels, H×W.
        image_size: (H, W) of the picture.

    Returns:
        (x1, y1, x2, y2), the far edges exclusive; without any foreground, the whole picture (the rule of
        Deep Spectral Methods).
    """
    height, width = image_size
    if not foreground.any():
        return (0, 0, width, height)
    rows, columns = np.nonzero(largest_component(foreground))
    (y1, y2), (x1, x2) = (
        _to_pixels(along.min(), along.max(), cells, size)
        for along, cells, size in zip((rows, columns), foreground.shape, image_size, strict=True)
    )
    return (x1, y1, x2, y2)


def _to_pixels(first: int, last: int, cells: int, size: int) -> tuple[int, int]:
    start = int(first * size / cells)
    return start, max(round((last + 1) * size / cells), start + 1)
