"""Checks of lesson 2's exercises."""

from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepcut_lib.graphs import cc_graph, fiedler_vector, ncut_graph, normalized_cut
from deepcut_lib.lessons.common.verdict import LargestTensor, NotYetError, agree, as_array, call, exercise

MOST_PATCHES = 10
"""Up to so many patches every partition into two is tried: 511 of them."""


def best_two_way_cut(features: Tensor) -> tuple[float, Tensor]:
    """The least N-cut (on the graph of Eq. 6) of all partitions into two, and its (n,) labels.

    Args:
        features: F, n×d, n at most `MOST_PATCHES`.
    """
    graph = ncut_graph(features)
    # The last patch stays in part 0: a partition and its mirror image are the same
    partitions = [torch.tensor([*sides, 0]) for sides in product((0, 1), repeat=graph.n - 1) if any(sides)]
    cuts = [normalized_cut(graph, labels) for labels in partitions]
    best = int(np.argmin(cuts))
    return cuts[best], partitions[best]


@exercise
def check_negative_shares(answer: Any) -> str:
    """Answer: two numbers, the negative share of two centred patches and the most that five allow."""
    shares = as_array(answer, (2,), "Your answer")
    if shares.max() > 1:
        raise NotYetError("Give shares between 0 and 1, not percentages.")
    if shares[0] == 0.25:
        raise NotYetError("W is symmetric: if W[0, 1] is negative, which other entry is?")
    if 1 in shares:
        raise NotYetError("Can an affinity of a patch to itself be negative? Those count among the n² too.")
    agree(
        shares[0], 0.5, "Two features that sum to zero: what is f₁ if f₀ is (a, b)?", what="The first share"
    )
    agree(shares[1], 0.8, "Which of the 25 entries can be negative?", what="The second share")
    return "f₁ = −f₀ makes half of W negative, and the diagonal keeps n of n² entries at or above zero."


@exercise
def check_turning_alpha(function: Any) -> str:
    """Answer: a function of F (n×d), i and j that gives the α below which Eq. 7 makes the pair negative."""
    F = torch.tensor([[3.0, 0.0], [2.0, 2.0], [-1.0, 2.0], [-2.0, 1.0]])
    agree(
        _without_w(function, F, 1, 2),
        4.5,
        "At the turning point the shift max(FFᵀ)/α equals the affinity.",
        what="Your α of patches 1 and 2",
    )
    agree(
        _without_w(function, F, 1, 1),
        9 / 8,
        "max(FFᵀ) belongs to the whole matrix: look at all patches, not at i and j alone.",
        what="Your α of patch 1 with itself",
    )
    random = torch.randn(60, 5, generator=torch.Generator().manual_seed(2))
    random[7] *= 9  # the longest patch is no part of the pair
    products = random @ random.T
    i, j = divmod(int((products.fill_diagonal_(0) > 0.5).flatten().nonzero()[100]), 60)
    turning = _without_w(function, random, i, j)
    agree(
        turning, random.square().sum(1).max() / products[i, j], what=f"Your α of random patches {i} and {j}"
    )
    for where, pair in (("negative", (0, 2)), ("zero", (2, 4))):
        with_zero = torch.cat([F, torch.zeros(1, 2)])
        given = _without_w(function, with_zero, *pair)
        if float(given) != np.inf:
            raise NotYetError(
                f"An affinity that is {where} before any shift is negative at every α, however large: return "
                f"float('inf') for it, not {float(given):g}."
            )
    return "It holds for random patches, for pairs that no α makes friends, and never builds W."


@exercise
def check_signed_degrees(function: Any) -> str:
    """Answer: a function of F (n×d) and α that gives the (n,) degrees of Eq. 7 without building W."""
    F = torch.tensor([[3.0, 0.0], [2.0, 2.0], [-1.0, 2.0], [-2.0, 1.0]])
    given = _without_w(function, F.repeat(3, 1), 3.0)
    as_array(given, (12,))
    unshifted = (F.repeat(3, 1) @ F.repeat(3, 1).T).sum(1)
    if np.allclose(as_array(given, (12,)), unshifted - 3):
        raise NotYetError(
            "The shift is subtracted from each of the n entries of a row: how often from its sum?"
        )
    if np.allclose(as_array(given, (12,)), unshifted):
        raise NotYetError("These are the degrees of Eq. 5: the shift max(FFᵀ)/α of Eq. 7 is missing.")
    if np.allclose(as_array(given, (12,)), cc_graph(F.repeat(3, 1), 3.0).affinity.clamp(min=0).sum(1)):
        raise NotYetError("Eq. 7 keeps negative affinities: do not cut them off.")
    random = torch.randn(300, 7, generator=torch.Generator().manual_seed(3))
    for features, alpha in ((F.repeat(3, 1), 3.0), (random, 2.0), (random[:3] * 5, 0.5), (random[:1], 4.0)):
        agree(
            _without_w(function, features, alpha),
            cc_graph(features, alpha).degrees,
            "Row i sums fᵢ·fⱼ over j: pull fᵢ out of the sum.",
            what=f"The degree for n = {len(features)}, α = {alpha:g}",
            tolerance=1e-3,
        )
    return "All degrees of Eq. 7 from n·d numbers, also for a single patch: W was never made."


@exercise
def check_normalized_laplacian(function: Any) -> str:
    """Answer: a function of W (n×n, ≥ 0) that gives I − D^-½ W D^-½, with zeros for patches of degree 0."""
    F = torch.tensor([[3.0, 0.0], [2.0, 2.0], [-1.0, 2.0], [-2.0, 1.0]])
    W = ncut_graph(F).affinity
    given = as_array(call(function, W), (4, 4))
    degrees = W.sum(1)
    expected = torch.eye(4) - W / (degrees[:, None] * degrees).sqrt()
    if np.allclose(given, torch.diag(degrees) - W):
        raise NotYetError("This is D − W; divide entry ij by √dᵢ √dⱼ.")
    if np.allclose(given, torch.eye(4) - W / degrees[:, None], atol=1e-5):
        raise NotYetError(
            "This is I − D⁻¹W, which is not symmetric: divide by √dᵢ on the left, √dⱼ on the right."
        )
    if np.allclose(given, torch.eye(4) - expected, atol=1e-5):
        raise NotYetError("This is D^-½ W D^-½ itself: subtract it from the identity.")
    agree(given, expected)
    lonely = torch.zeros(5, 5)
    lonely[:4, :4] = W
    result = as_array(call(function, lonely), (5, 5), "With an isolated fifth patch, the result")
    if result[4, 4] == 1:
        raise NotYetError(
            "An isolated patch keeps its 1 from the identity. Make its row zero: it is a piece of its own, "
            "and each piece should give one eigenvalue 0."
        )
    expected = torch.nn.functional.pad(expected, (0, 1, 0, 1))
    agree(result, expected, what="With an isolated fifth patch, the result")
    return "Symmetric, smallest eigenvalue 0, and one more 0 for the isolated patch, without a NaN."


@exercise
def check_misled(answer: Any) -> str:
    """Answer: F (n×d, 3 to 10 patches) for which the sign of the Fiedler vector is not the best N-cut."""
    shape = np.shape(answer) if isinstance(answer, np.ndarray | Tensor | list | tuple) else None
    if answer is None or answer is Ellipsis or shape is None or len(shape) != 2:
        raise NotYetError("Give features F: a tensor of n rows, one for each patch, and d columns.")
    if not 3 <= shape[0] <= MOST_PATCHES:
        raise NotYetError(
            f"Give 3 to {MOST_PATCHES} patches, so that every cut can be tried; not {shape[0]}."
        )
    F = torch.from_numpy(as_array(answer, shape, "F")).float()
    try:
        values, vector = fiedler_vector(ncut_graph(F).affinity)
    except ValueError as problem:
        raise NotYetError(f"{problem} Give every patch a feature that is not zero.") from None
    if values[0] < 1e-6:
        raise NotYetError("This graph falls apart without any cut: λ₂ = 0. Let its parts touch.")
    if values[1] - values[0] < 1e-6:
        raise NotYetError("Here λ₂ = λ₃: there is no single Fiedler vector. Make the patches less symmetric.")
    by_sign = normalized_cut(ncut_graph(F), torch.from_numpy(vector > 0))
    best, labels = best_two_way_cut(F)
    if by_sign < best + 1e-3:
        raise NotYetError(
            f"Here the sign gives an N-cut of {by_sign:.3f}, and no other cut is lower. "
            "Try many: random features will do, if you let a loop look for them."
        )
    return (
        f"The sign's N-cut is {by_sign:.3f}, the best partition {labels.tolist()} has {best:.3f}: "
        "the eigenvector is exact, rounding it to two sides is not."
    )


def _without_w(function: Any, features: Tensor, *arguments: Any) -> Any:
    """The learner's function on F, which must make no tensor of n×n numbers."""
    n, d = features.shape
    with LargestTensor() as watching:
        result = call(function, features, *arguments)
    if n > d and watching.numbers >= n * n:
        raise NotYetError(
            f"Your function makes a tensor of {watching.numbers} numbers, as many as W has for {n} patches. "
            "Do without W: then time and memory grow with n, not with n²."
        )
    return result
