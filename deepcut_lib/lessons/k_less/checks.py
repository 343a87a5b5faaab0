"""Checks of lesson 7's exercises."""

from collections.abc import Callable, Sequence
from math import inf, isinf, log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepcut_lib.graphs import cc_graph
from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise

FOUR = torch.tensor([[3.0, 0.0], [3.0, 1.0], [2.0, 2.0], [-1.0, 3.0]])
"""The lesson's four pictures: duck, hen, fox, lorry."""

MOST_THINGS = 8
"""Up to so many things every grouping is tried: 4140 of them."""

Groups = Sequence[int] | np.ndarray


def groupings(n: int) -> list[list[int]]:
    """All ways to put n things into groups, as lists of group numbers."""
    partitions = [[0]]
    for _ in range(n - 1):
        partitions = [[*groups, group] for groups in partitions for group in range(max(groups) + 2)]
    return partitions


def tie_alpha(features: Tensor, first: Groups, second: Groups) -> float:
    """The alpha at which two groupings have the same loss (Eq. 7 and 10); infinity if there is none.

    Args:
        features: F, n×d.
        first: (n,) group numbers.
        second: (n,) group numbers.
    """
    products = (features @ features.T).double()
    (inside, pairs), (other_inside, other_pairs) = (_totals(products, groups) for groups in (first, second))
    if pairs == other_pairs:
        return inf
    inverse = (inside - other_inside) / (float(products.max()) * (pairs - other_pairs))
    return 1 / inverse if inverse > 0 else inf


def _totals(products: Tensor, groups: Groups) -> tuple[float, int]:
    """Sum of FFᵀ over the ordered pairs that share a group, and how many these are."""
    labels = torch.as_tensor(groups)
    same = labels[:, None] == labels
    return float(products[same].sum()), int(same.sum())


def best_groupings(features: Tensor) -> list[tuple[float, list[int]]]:
    """The groupings of least loss as alpha falls from infinity to 1, with the alpha below which each is best.

    A grouping's loss is a straight line over 1/alpha, so the best are the lower hull of all lines.

    Args:
        features: F, n×d, n at most `MOST_THINGS`.
    """
    products = (features @ features.T).double()
    every = groupings(len(features))
    labels = torch.tensor(every)
    same = (labels[:, :, None] == labels[:, None, :]).flatten(1).double()
    heights = -(same @ products.flatten())
    slopes = same.sum(1) * products.max()
    at, current = 0.0, int(np.lexsort((slopes, heights))[0])
    best = [(inf, every[current])]
    while True:
        flatter = slopes < slopes[current] - 1e-9
        if not flatter.any():
            return best
        crossings = (heights - heights[current]) / (slopes[current] - slopes)
        crossings[~flatter] = inf
        at = float(crossings.min().clamp(min=at))
        if at >= 1:
            return best
        tied = torch.nonzero(crossings <= at + 1e-12).flatten()
        current = int(tied[slopes[tied].argmin()])
        best.append((1 / at if at else inf, every[current]))


def longest_plateau(alphas: Sequence[float], counts: Sequence[int], most: int) -> int:
    """The number of groups that stays the same over the largest ratio of alphas, `most` left out.

    Args:
        alphas: rising.
        counts: groups found with each.
        most: the most that could be found; it is given back only where nothing else was found.
    """
    return _plateau(alphas, counts, most, lambda low, high: log(high / low))


def _plateau(
    alphas: Sequence[float], counts: Sequence[int], most: int, width: Callable[[float, float], float]
) -> int:
    best, widest = most, -1.0
    start = 0
    for end, count in enumerate(counts):
        if count != counts[start]:
            start = end
        if count < most and width(alphas[start], alphas[end]) > widest:
            best, widest = int(count), width(alphas[start], alphas[end])
    return best


def merged(affinity: Tensor) -> np.ndarray:
    """Groups by merging: the two with the largest sum of affinities between them, while it is positive.

    Args:
        affinity: W, n×n, signed.

    Returns:
        (n,) group numbers.
    """
    return _merged(affinity, lambda block: float(block.sum()))


def _merged(affinity: Tensor, between: Callable[[Tensor], float]) -> np.ndarray:
    groups = [[node] for node in range(len(affinity))]
    while len(groups) > 1:
        values = {
            (i, j): between(affinity[groups[i]][:, groups[j]])
            for i in range(len(groups))
            for j in range(i + 1, len(groups))
        }
        i, j = max(values, key=lambda pair: values[pair])
        if values[i, j] <= 0:
            break
        groups[i] += groups.pop(j)
    labels = np.zeros(len(affinity), int)
    for number, group in enumerate(groups):
        labels[group] = number
    return labels


def same_groups(first: Groups, second: Groups) -> bool:
    """Whether two groupings are the same but for their numbers."""
    return (
        len(set(zip(map(int, first), map(int, second), strict=True)))
        == len(set(map(int, first)))
        == len(set(map(int, second)))
    )


@exercise
def check_table5(answer: Any) -> str:
    """Answer: clusters that the baseline found, its NMI, and the purity of 500 clusters of one picture."""
    given = as_array(answer, (3,), "Your answer")
    if given[0] in (3, 4, 5) or given[0] > 5:
        raise NotYetError(
            "With that many clusters purity would hang on which picture is where, and in ten draws the "
            "deviation would not be 0. Which number of clusters leaves no choice?"
        )
    agree(given[0], 1, "Purity is one class in three, in four, in five.", what="The number of clusters")
    agree(given[1], 0, "What does the cluster's number tell about the class here?", what="The NMI")
    if given[2] == 100:
        raise NotYetError("Give purity as a share between 0 and 1, not in percent.")
    agree(given[2], 1, "What share of a cluster of one belongs to its commonest class?", what="The purity")
    return (
        "One cluster holds everything: purity is one class's share, NMI is 0. And 500 clusters of one "
        "picture have purity 1, which is why the number of clusters must stand beside it."
    )


@exercise
def check_tie_alpha(function: Any) -> str:
    """Answer: a function of F (n×d) and two groupings that gives the alpha of equal losses."""
    apart, flock, animals = [0, 1, 2, 3], [0, 0, 1, 2], [0, 0, 0, 1]
    given = float(as_array(call(function, FOUR, apart, flock), (), "Your alpha for apart and duck+hen"))
    if abs(given - 9 / 10) < 1e-4:
        raise NotYetError("This is 1/alpha: turn it over.")
    if abs(given - 1) < 1e-4:
        raise NotYetError("max(FFᵀ) stands on the diagonal of FFᵀ: it is 10 here, not 9.")
    agree(given, 10 / 9, "There, W between duck and hen is 0.", what="Your alpha for apart and duck+hen")
    agree(call(function, FOUR, flock, animals), 20 / 14, what="Your alpha for duck+hen and duck+hen+fox")
    agree(call(function, FOUR, animals, flock), 20 / 14, "The order of the two should not matter.")
    agree(call(function, FOUR, [5, 5, 2, 9], [7, 7, 7, 1]), 20 / 14, "Group numbers may be any numbers.")
    agree(call(function, FOUR, animals, [0, 0, 0, 0]), 30, what="Your alpha for two groups and one")
    for other, why in (
        ([0, 1, 1, 2], "have groups of the same sizes, so their lines are parallel"),
        ([0, 1, 2, 0], "(duck+lorry) would tie only at a negative alpha"),
    ):
        first = flock if other[2] == 1 else apart
        value = call(function, FOUR, first, other)
        if not (isinstance(value, float) and isinf(value)):
            raise NotYetError(f"The groupings {first} and {other} {why}: return float('inf'), not {value!r}.")
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        features = torch.randn(9, 3, generator=generator)
        first, second = torch.randint(3, (2, 9), generator=generator).tolist()
        expected = tie_alpha(features, first, second)
        if not isinf(expected):
            agree(call(function, features, first, second), expected, tolerance=1e-3)
    alpha = tie_alpha(FOUR, animals, [0, 0, 0, 0])
    W = cc_graph(FOUR, alpha).affinity
    return (
        f"At alpha = {alpha:.3g} the lorry's affinities to the rest sum to {float(W[3, :3].sum().abs()):.2f}."
    )


@exercise
def check_plateau(function: Any) -> str:
    """Answer: a function of alphas, numbers found and the most allowed that gives the most stable number."""
    alphas: list[float] = [1, 2, 4, 5, 8, 12, 20, 40, 50]
    counts = [10, 10, 10, 6, 6, 4, 4, 4, 2]
    given = int(as_array(call(function, alphas, counts, 10), (), "Your number"))
    if given == 10:
        raise NotYetError(
            "10 is the most that was allowed: there the limit decided, not the data. Leave it out."
        )
    agree(given, 4, "4 holds from 12 to 40, a ratio of 3.3; 6 from 5 to 8, one of 1.6.", what="Your number")
    alphas, counts = [2.0, 2.1, 2.2, 2.3, 3.0, 30.0], [7, 7, 7, 7, 3, 3]
    if int(as_array(call(function, alphas, counts, 10), ())) == 7:
        raise NotYetError(
            "Measure a plateau by the ratio of its last and first alpha, not by how many it has."
        )
    alphas, counts = [1, 2, 100, 160, 200, 260], [5, 5, 4, 4, 3, 3]
    if int(as_array(call(function, alphas, counts, 10), ())) == 4:
        raise NotYetError(
            "Take ratios, not differences: from 1 to 2 alpha doubles, from 100 to 160 it does not."
        )
    alphas, counts = [1, 2, 3, 8, 9], [5, 5, 3, 3, 5]
    if int(as_array(call(function, alphas, counts, 10), ())) == 5:
        raise NotYetError("A plateau is without a gap: 5 at alpha 1 to 2 and again at 9 are two plateaus.")
    generator = np.random.default_rng(0)
    for _ in range(50):
        alphas = np.cumprod(generator.uniform(1.05, 2, 12)).tolist()
        counts = generator.integers(2, 7, 12).tolist()
        agree(call(function, alphas, counts, 6), longest_plateau(alphas, counts, 6), what="Your number")
    agree(call(function, [2.0, 3.0], [6, 6], 6), 6, "Where only the limit was found, give the limit.")
    agree(call(function, [2.0], [3], 6), 3, "One alpha alone is a plateau, too.")
    return "The longest stretch in ratios of alpha, without gaps, and without the limit."


@exercise
def check_merging(function: Any) -> str:
    """Answer: a function of a signed W (n×n) that gives (n,) group numbers by merging."""
    foes = 5 * torch.eye(4) - 1
    if len(set(_groups(function, foes).tolist())) < 4:
        raise NotYetError(
            "Four things that all repel each other were put together: leave the diagonal of W, a thing's "
            "affinity to itself, out of the sums."
        )
    chain = torch.tensor([[9.0, 2.0, -5.0], [2.0, 9.0, 1.0], [-5.0, 1.0, 9.0]])
    if len(set(_groups(function, chain).tolist())) == 1:
        raise NotYetError(
            "0–1 and 1–2 attract each other, 0–2 repel strongly, and you join all three: those are connected "
            "components. Sum ALL affinities between two groups before you merge them."
        )
    for alpha, wanted in ((1.2, [0, 0, 1, 2]), (3.0, [0, 0, 0, 1]), (100.0, [0, 0, 0, 0])):
        given = _groups(function, cc_graph(FOUR, alpha).affinity)
        if not same_groups(given, wanted):
            raise NotYetError(
                f"For the lesson's four pictures at alpha = {alpha:g} you find {given.tolist()}; of all 15 "
                f"groupings {wanted} is best, and merging finds it."
            )
    generator = torch.Generator().manual_seed(0)
    for n in (12, 25):
        features = torch.randn(n, 3, generator=generator)
        W = cc_graph(features, 6.0).affinity
        given = _groups(function, W)
        if not same_groups(given, merged(W)):
            if same_groups(given, _merged(W, lambda block: float(block.mean()))):
                raise NotYetError("You compare means; Eq. 10 adds affinities up: compare sums.")
            raise NotYetError(
                f"For {n} random things you find {len(set(given.tolist()))} groups, another grouping than "
                f"the one of {len(set(merged(W).tolist()))} expected. In each step merge the two groups with "
                "the LARGEST sum between them, and stop when no sum is positive."
            )
    agree(call(function, torch.ones(1, 1)), [0], "One thing alone is one group.")
    return "Each merge lowers Eq. 10 by twice the sum between the two groups, and none is left that would."


def _groups(function: Any, affinity: Tensor) -> np.ndarray:
    return as_array(call(function, affinity), (len(affinity),), "Your list of groups").astype(int)


@exercise
def check_paradox(answer: Any) -> str:
    """Answer: F (n×d, at most 8 things) for which a larger alpha gives more groups."""
    try:
        shape = np.shape(answer) if isinstance(answer, np.ndarray | Tensor | list | tuple) else ()
    except ValueError:  # rows of several lengths
        shape = ()
    if len(shape) != 2 or shape[1] == 0:
        raise NotYetError("Give features F: a tensor of n rows, one for each thing, and d columns.")
    if not 2 <= shape[0] <= MOST_THINGS:
        raise NotYetError(
            f"Give 2 to {MOST_THINGS} things, so that every grouping can be tried; not {shape[0]}."
        )
    features = torch.from_numpy(as_array(answer, shape, "F"))
    if not features.abs().max() > 0:
        raise NotYetError("Every affinity is 0 here: give features that are not all zero.")
    best = best_groupings(features / features.abs().max())  # groupings know no scale, sums do
    counts = [len(set(groups)) for _, groups in best]
    for (_, larger), (alpha, smaller), more, fewer in zip(best, best[1:], counts, counts[1:], strict=False):
        if more > fewer:
            return (
                f"As alpha passes {alpha:.2f}, {fewer} groups {smaller} become {more}: {larger}. "
                "What never falls is the number of pairs that share a group."
            )
    raise NotYetError(
        f"As alpha falls, the best groupings here have {', '.join(map(str, counts))} groups: never fewer. "
        "Such F are rare: let a loop try thousands of random ones, with 7 or 8 things."
    )
