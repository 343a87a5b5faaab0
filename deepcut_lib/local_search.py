"""Correlation clustering without a network: a clustering made better step by step, until no step helps.

The steps of Kernighan and Lin (1970) with joins, as Keuper et al. (2015) use them for multicuts: single
moves, joins of two clusters, and between two clusters, or one and an empty one, whole chains of moves.
"""

import numpy as np
from torch import Tensor

NEIGHBOURS = 20
"""Each cluster exchanges nodes with so many others, those that it has the most affinity to."""

ROUNDS = 100
"""Rounds at most: each makes the clustering better, so that it ends by itself, mostly after a few."""


def inside(affinity: Tensor | np.ndarray, labels: np.ndarray) -> float:
    """What correlation clustering maximises: the sum of W over all pairs that share a cluster (Eq. 3).

    Pairs count once, and a node with itself does not: Eq. 10 of a clustering is −2 of this less the diagonal.

    Args:
        affinity: W, n×n, symmetric.
        labels: (n,) clusters.
    """
    weights = off_diagonal(affinity)
    members = _members(labels)
    return float((members * (weights @ members)).sum() / 2)


def improve(affinity: Tensor | np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lower the loss of a clustering (Eq. 10) until no move, join or chain of moves does.

    Memory is of n² numbers: for up to some thousands of nodes.

    Args:
        affinity: W, n×n, signed and symmetric.
        labels: (n,) clusters to begin with; no start is random, so the same start has the same end.

    Returns:
        (n,) clusters, numbered without gaps; never with a higher loss than those given.
    """
    weights = off_diagonal(affinity)
    labels = np.unique(labels, return_inverse=True)[1].ravel()
    slack = 1e-9 * np.abs(weights).sum() / max(len(weights), 1)  # what rounding may feign as a gain
    settled: set[tuple[bytes, bytes]] = set()
    for _ in range(ROUNDS):
        labels = _joined(weights, _moved(weights, labels, slack), slack)
        labels, changed = _exchanged(weights, labels, settled, slack)
        if not changed:
            break
    return labels


def off_diagonal(affinity: Tensor | np.ndarray) -> np.ndarray:
    """W as float64 with a diagonal of zeros: what a node is to itself moves nothing."""
    values = affinity.detach().cpu().numpy() if isinstance(affinity, Tensor) else affinity
    weights = np.array(values, np.float64)
    np.fill_diagonal(weights, 0)
    return weights


def _members(labels: np.ndarray, spare: int = 0) -> np.ndarray:
    """n×k, 1 where a node is in a cluster, with further columns for clusters that are still empty."""
    numbers = np.unique(labels, return_inverse=True)[1].ravel()
    return np.eye(numbers.max() + 1 + spare)[numbers]


def _moved(weights: np.ndarray, labels: np.ndarray, slack: float) -> np.ndarray:
    """Single moves, to the cluster of most affinity or to an empty one, while any helps."""
    n = len(weights)
    labels = labels.copy()
    pull = weights @ _members(labels, spare=1)  # n×(k + 1), the last cluster empty
    while True:
        gains = pull.max(1) - pull[np.arange(n), labels]
        movers = np.flatnonzero(gains > slack)
        if not len(movers):
            return np.unique(labels, return_inverse=True)[1].ravel()
        for node in movers[np.argsort(-gains[movers])]:
            best, own = int(pull[node].argmax()), int(labels[node])
            if pull[node, best] - pull[node, own] <= slack:  # earlier moves have changed its mind
                continue
            pull[:, own] -= weights[node]
            pull[:, best] += weights[node]
            labels[node] = best
            if best == pull.shape[1] - 1:
                pull = np.column_stack([pull, np.zeros(n)])


def _joined(weights: np.ndarray, labels: np.ndarray, slack: float) -> np.ndarray:
    """Joins of the two clusters with the most affinity between them, while it is positive."""
    members = _members(labels)
    return contract(members.T @ (weights @ members), slack)[labels]


def contract(between: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Merge, again and again, the two groups with the largest sum of affinities between them.

    Args:
        between: k×k, symmetric, the sums between the groups to begin with; its diagonal is ignored.
        least: stop when no sum exceeds this.

    Returns:
        (k,) number of the merged group of each, without gaps.
    """
    sums = np.array(between, np.float64)
    np.fill_diagonal(sums, -np.inf)
    k = len(sums)
    owner = np.arange(k)
    if k < 2:
        return owner
    # Each row's largest entry. It is a bound where entries have fallen since: rows are looked at anew only
    # when they come up, which for nearly all is never
    best, bound = sums.argmax(1), sums.max(1)
    fresh = np.ones(k, bool)
    while True:
        first = int(bound.argmax())
        if not bound[first] > least:
            return np.unique(owner, return_inverse=True)[1].ravel()
        if not fresh[first]:
            best[first] = sums[first].argmax()
            bound[first] = sums[first, best[first]]
            fresh[first] = True
            continue
        second = int(best[first])
        merged = sums[first] + sums[second]
        merged[[first, second]] = -np.inf
        sums[first], sums[:, first] = merged, merged
        sums[second], sums[:, second] = -np.inf, -np.inf
        owner[owner == second] = first
        bound[second] = -np.inf
        higher = merged > bound
        best[higher], bound[higher], fresh[higher] = first, merged[higher], True
        fell = ~higher & ((best == first) | (best == second))
        fresh[fell] = False
        fresh[first], bound[first] = False, merged.max()


def _exchanged(
    weights: np.ndarray, labels: np.ndarray, settled: set[tuple[bytes, bytes]], slack: float
) -> tuple[np.ndarray, bool]:
    """Chains of moves between clusters; and whether any helped.

    Args:
        weights: W without its diagonal.
        labels: (n,) without gaps.
        settled: pairs of clusters, by their members, between which no chain helps; more are added.
        slack: what a chain must gain.
    """
    clusters = {number: np.flatnonzero(labels == number) for number in range(int(labels.max()) + 1)}
    empty = np.zeros(0, int)
    changed = False
    for first, second in _neighbours(weights, labels):
        own = clusters.get(first, empty)
        other = clusters.get(second, empty) if second is not None else empty
        names = (own.tobytes(), other.tobytes())
        if not len(own) or names in settled:
            continue
        moved = _chain(weights, own, other, slack)
        if moved is None:
            settled.add(names)
            continue
        changed = True
        clusters[first] = moved[0]
        clusters[max(clusters) + 1 if second is None else second] = moved[1]
    for number, nodes in clusters.items():
        labels[nodes] = number
    return np.unique(labels, return_inverse=True)[1].ravel(), changed


def _neighbours(weights: np.ndarray, labels: np.ndarray) -> list[tuple[int, int | None]]:
    """Pairs of clusters worth a chain: each with its nearest ones, and each with an empty one."""
    members = _members(labels)
    between = members.T @ (weights @ members)
    sizes = members.sum(0)
    np.fill_diagonal(between, -np.inf)
    near = np.argsort(-between / np.outer(sizes, sizes), axis=1)[:, :NEIGHBOURS]
    pairs = {(min(a, int(b)), max(a, int(b))) for a in range(len(near)) for b in near[a] if a != b}
    return [*sorted(pairs), *((number, None) for number in range(len(sizes)) if sizes[number] > 1)]


def _chain(
    weights: np.ndarray, first: np.ndarray, second: np.ndarray, slack: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Two clusters after the best chain of moves between them, or None if no chain helps.

    Each node moves once, always the one that gains the most or loses the least; of the chain so far the best
    beginning is kept.
    """
    nodes = np.concatenate([first, second])
    block = weights[np.ix_(nodes, nodes)]
    side = np.where(np.arange(len(nodes)) < len(first), 1.0, -1.0)
    gains = -side * (block @ side)  # of changing sides
    total = best = 0.0
    order, length = [], 0
    waiting = np.zeros(len(nodes))
    for step in range(len(nodes)):
        node = int((gains + waiting).argmax())
        total += gains[node]
        order.append(node)
        if total > best + slack:
            best, length = total, step + 1
        waiting[node] = -np.inf
        gains += 2 * side[node] * side * block[node]
        side[node] = -side[node]
    if not length:
        return None
    crossed = np.zeros(len(nodes), bool)
    crossed[order[:length]] = True
    stays_first = (np.arange(len(nodes)) < len(first)) ^ crossed
    return np.sort(nodes[stays_first]), np.sort(nodes[~stays_first])
