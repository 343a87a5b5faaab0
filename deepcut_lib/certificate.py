"""How far from the optimum? An upper bound on what any correlation clustering can reach, by linear programs.

A clustering says of each pair whether it shares a cluster: x_ij is 1 or 0, and what is maximised is the sum
of w_ij x_ij. If i is with j and j with k, i is with k: x_ij + x_jk − x_ik ≤ 1, the triangle inequalities
(Grötschel and Wakabayashi, 1989). Numbers between 0 and 1 that keep them all, or only some of them, can reach
at least what the best clustering reaches: the largest such sum is an upper bound.
"""

import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array
from torch import Tensor

from deepcut_lib.local_search import improve, inside, off_diagonal
from deepcut_lib.parameters import check_positive

CLOSE = 1e-6
"""A gap below this share of the bound counts as none."""

VIOLATED = 1e-4
"""From here on an inequality counts as broken."""

ADDED = 40
"""Inequalities added at a time, for each node; those broken most come first."""


WHOLE_UP_TO = 20
"""With at most so many nodes x must be whole numbers in the end, and the bound is the optimum itself."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is known of the best correlation clustering of a graph.

    Attributes:
        bound: no clustering reaches more, see `local_search.inside`.
        reached: what the best clustering known reaches.
        labels: (n,) that clustering.
        complete: whether no triangle inequality is broken any more, or the gap is closed; False where the
            time ran out: the bound holds all the same.
        rounds: linear programs that were solved.
        inequalities: of the last of them.
        seconds: what it took.
    """

    bound: float
    reached: float
    labels: np.ndarray
    complete: bool
    rounds: int
    inequalities: int
    seconds: float

    @property
    def gap(self) -> float:
        """How far below the bound the best known clustering is, as a share of it; 0 for the optimum."""
        return self.short_of(self.reached)

    def short_of(self, reached: float) -> float:
        """How far below the bound a clustering is, as a share of the bound.

        Args:
            reached: what it reaches, see `local_search.inside`.
        """
        return max(self.bound - reached, 0.0) / self.bound if self.bound > 0 else 0.0


def certify(
    affinity: Tensor | np.ndarray, labels: np.ndarray | None = None, *, seconds: float = 600.0
) -> Certificate:
    """Bound the best correlation clustering of a signed graph from above, and from below by a good one.

    Begins without any triangle inequality, where each positive pair is together and each negative one apart;
    solves (HiGHS), adds the inequalities that the solution breaks, drops those that it does not touch.

    Args:
        affinity: W, n×n, signed and symmetric; n up to some 500.
        labels: (n,) a clustering to begin the search for a good one with; by default each node alone.
        seconds: time after which the bound so far is given back. A linear program that runs is stopped.

    Raises:
        ValueError: W is no finite, symmetric matrix, or the time is not positive.
    """
    check_positive("seconds", seconds)
    weights = _checked(affinity)
    n = len(weights)
    started = time.monotonic()
    labels = improve(weights, np.arange(n) if labels is None else labels)
    reached = inside(weights, labels)
    together = (weights > 0).astype(float)
    triangles = np.zeros((0, 3), int)
    bound = float((weights * together).sum() / 2)
    rounds, complete, whole = 0, False, False
    while True:
        broken = _broken(together)
        closed = bound - reached <= CLOSE * abs(bound)
        if closed or (not len(broken) and (whole or n > WHOLE_UP_TO)):
            complete = True
            break
        whole = whole or not len(broken)
        left = seconds - (time.monotonic() - started)
        if left <= 0:
            break
        triangles = np.unique(np.concatenate([triangles, broken]), axis=0)
        solved = _solved(weights, triangles, left, whole=whole)
        if solved is None:
            break
        bound, together, tight = solved
        rounds += 1
        triangles = triangles if whole else triangles[tight]
    return Certificate(
        max(bound, reached), reached, labels, complete, rounds, len(triangles), time.monotonic() - started
    )


def _checked(affinity: Tensor | np.ndarray) -> np.ndarray:
    weights = off_diagonal(affinity)
    if not np.isfinite(weights).all():
        raise ValueError("affinities must be finite numbers; check the features for NaN")
    if not np.allclose(weights, weights.T, rtol=1e-4, atol=1e-6 * max(np.abs(weights).max(initial=0), 1)):
        raise ValueError("affinities must be symmetric: give W as a graph's `affinity` has it")
    return (weights + weights.T) / 2


def _broken(together: np.ndarray) -> np.ndarray:
    """The triangle inequalities that x breaks most, (m, 3): i, j, k of x_ij + x_jk − x_ik ≤ 1, i below k.

    Of each pair (i, k) the one node j that breaks it most.
    """
    n = len(together)
    places = np.arange(n)
    found, excess = [], []
    for i in range(n):
        sums = together[i][:, None] + together  # j×k
        sums[i] = sums[places, places] = -np.inf
        middle = sums.argmax(0)
        over = sums[middle, places] - together[i] - 1
        ends = np.flatnonzero(over > VIOLATED)
        ends = ends[ends > i]
        found.append(np.stack([np.full(len(ends), i), middle[ends], ends], axis=1))
        excess.append(over[ends])
    triangles = np.concatenate(found)
    return triangles[np.argsort(-np.concatenate(excess), kind="stable")[: ADDED * n]]


def _solved(
    weights: np.ndarray, triangles: np.ndarray, seconds: float, *, whole: bool
) -> tuple[float, np.ndarray, np.ndarray] | None:
    """The linear program with some triangles: its bound, x (n×n), and which triangles it touches.

    Pairs that are in no triangle are where they want to be. None where the time ran out.
    """
    n, m = len(weights), len(triangles)
    i, j, k = triangles.T
    pairs = np.stack([_pair(i, j, n), _pair(j, k, n), _pair(i, k, n)], axis=1)
    used, columns = np.unique(pairs, return_inverse=True)
    signs = np.tile([1.0, 1.0, -1.0], m)
    rows = np.repeat(np.arange(m), 3)
    matrix = csr_array((signs, (rows, columns.ravel())), shape=(m, len(used)))
    first, second = np.divmod(used, n)
    costs = -weights[first, second]
    scale = np.abs(costs).max()
    answer = linprog(
        costs / scale,
        A_ub=matrix,
        b_ub=np.ones(m),
        bounds=(0, 1),
        method="highs" if whole else "highs-ds",  # of linear programs alone, this order of steps is fastest
        integrality=int(whole),
        options={"time_limit": seconds},
    )
    if answer.status != 0:
        return None
    together = (weights > 0).astype(float)
    together[first, second] = together[second, first] = answer.x
    return float((weights * together).sum() / 2), together, np.asarray(answer.slack) < 1e-6


def _pair(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """One number for each pair, whichever of the two comes first."""
    return np.minimum(first, second) * n + np.maximum(first, second)
