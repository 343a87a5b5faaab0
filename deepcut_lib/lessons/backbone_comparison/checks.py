"""Checks of lesson 8's exercises."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from torch import Tensor, nn

from deepcut_lib.backbones.backbone import Backbone, Extracted
from deepcut_lib.features import normalize
from deepcut_lib.graphs import Graph, cc_graph
from deepcut_lib.lessons.common.verdict import LargestTensor, NotYetError, agree, as_array, call, exercise


@exercise
def check_first_repulsion(answer: Any) -> str:
    """Answer: four numbers, the α below which each of four backbones has its first negative affinity."""
    alphas = as_array(answer, (4,), "Your answer")
    if np.allclose(alphas[:3], (0.6, 0.4, 0.2)):
        raise NotYetError("These are the cosines: Eq. 7 divides the largest affinity by α.")
    if np.isclose(alphas[3], 2.5, rtol=0.02):
        raise NotYetError("D is no B: the shift is max(FFᵀ)/α, and max(FFᵀ) is the long vector with itself.")
    if np.isclose(alphas[3], 5, rtol=0.02):
        raise NotYetError("For D: an affinity of a vector with itself is its length squared.")
    agree(
        alphas,
        (1 / 0.6, 1 / 0.4, 1 / 0.2, 4 / 0.4),
        "Solve: smallest affinity = largest affinity / α.",
        what="Your answer",
        tolerance=0.02,
    )
    return (
        "At α = 3 there is no repulsion with A and B, and correlation clustering puts all into one cluster; "
        "with C and D there is some, with D because of one long vector."
    )


@exercise
def check_share_in_tiles(function: Any) -> str:
    """Answer: F (n×d), α and a number of rows → negative share after Eq. 7, a few rows of W at a time."""
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(50, 6, generator=generator) + 0.4
    with_zeros = torch.cat([random[:20], torch.zeros(10, 6)])
    cases = [
        (random, float("inf"), 7),
        (random, 3.0, 16),
        (random, 1.5, 1),
        (with_zeros, float("inf"), 11),
        (with_zeros, 3.0, 100),
        (random[:1], 2.0, 4),
    ]
    for F, alpha, rows in cases:
        graph = Graph(F) if alpha == float("inf") else cc_graph(F, alpha)
        n, d = F.shape
        with LargestTensor() as watching:
            given = call(function, F, alpha, rows)
        case = f"Your share for n = {n}, α = {alpha:g}, tiles of {rows} rows,"
        share = float(as_array(given, (), case))
        W = F @ F.T - F.square().sum(1).max() / alpha
        tiles = torch.stack([(tile < 0).float().mean() for tile in W.split(rows)])
        expected = float(graph.negative_share())
        if abs(share - expected) > 1e-3:
            if np.isclose(share, tiles.mean()):
                raise NotYetError("The last tile has fewer rows: count pairs, and divide by n² at the end.")
            if np.isclose(share, (W <= 0).float().mean()):
                raise NotYetError("An affinity of exactly 0 is not negative (a patch of zeros has them).")
            if np.isclose(share, ((W < 0).sum() / max(n * n - n, 1)).item()):
                raise NotYetError("Divide by all n² entries: the share of the lesson counts the diagonal.")
            if np.isclose(share, (F @ F.T < 0).float().mean()):
                raise NotYetError("Eq. 7 is missing: subtract max(FFᵀ)/α first; for α = ∞ that is 0.")
        agree(given, expected, what=case, tolerance=1e-3)
        if watching.numbers > max(rows * n, n * d, 2):
            raise NotYetError(
                f"Your function makes a tensor of {watching.numbers} numbers for n = {n} and tiles of {rows} "
                f"rows. Keep to {rows} · n at a time: that is what lets it run where W does not fit."
            )
    return "Tiles of any height, zero vectors, a single patch: as the library's, and W was never there."


@exercise
def check_spearman(function: Any) -> str:
    """Answer: two sequences of one length → the correlation of their ranks; 0 if one is constant."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=9)
    cases = [
        ("a curve that always rises", [4, 1, 3, 2], [300, 2, 70, 9]),
        ("random numbers", x, rng.normal(size=9)),
        ("numbers with ties", [1, 2, 2, 3, 2, 5], [6, 5, 1, 1, 3, 0]),
        ("many ties", rng.integers(0, 3, 30), rng.integers(0, 4, 30)),
    ]
    for case, first, second in cases:
        first, second = np.asarray(first, float), np.asarray(second, float)
        given = call(function, first, second)
        value = float(as_array(given, (), f"For {case} your correlation"))
        expected = spearmanr(first, second).statistic
        if abs(value - expected) > 1e-6:
            ranks = [one.argsort().argsort() for one in (first, second)]
            if np.isclose(value, pearsonr(first, second).statistic):
                raise NotYetError("This correlates the values themselves: replace them by their ranks first.")
            if np.isclose(value, pearsonr(first.argsort(), second.argsort()).statistic):
                raise NotYetError(
                    "argsort gives *where* the smallest number stands; its rank is another thing."
                )
            if np.isclose(value, pearsonr(*ranks).statistic):
                raise NotYetError("Equal values must share a rank: the mean of the places that they take up.")
        agree(given, expected, what=f"For {case} your correlation", tolerance=1e-6)
    with np.errstate(all="ignore"):
        given = call(function, np.ones(5), np.arange(5.0))
    if isinstance(given, float | np.floating) and np.isnan(given):
        raise NotYetError("If one side is constant, its ranks do not vary, and you divide by 0: return 0.")
    agree(given, 0.0, what="With one side constant your correlation")
    return "Curves, random numbers, ties: as scipy's spearmanr; and a constant, for which scipy gives NaN."


@exercise
def check_alpha_for_share(function: Any) -> str:
    """Answer: F (n×d) and a share → the largest α (to 1 %) at which so much is negative after Eq. 7."""
    generator = torch.Generator().manual_seed(1)
    positive = torch.rand(40, 5, generator=generator) + 0.2
    signed = normalize(torch.randn(60, 4, generator=generator))
    cases = [
        ("positive features", positive, 0.3),
        ("positive features", positive, 0.8),
        ("the same, 100 times as long", positive * 100, 0.5),
        ("centred features", signed, 0.9),
        ("centred features", signed, 0.65),
    ]
    for case, F, wanted in cases:
        given = call(function, F, wanted)
        alpha = _alpha(given)
        if not 0 < alpha < float("inf"):
            raise NotYetError(
                f"For {case} and a share of {wanted} your α is {alpha:g}; some α above 0 reaches it."
            )
        before, after = (float(cc_graph(F, alpha * factor).negative_share()) for factor in (0.985, 1.015))
        if not before >= wanted > after:
            share = float(cc_graph(F, alpha).negative_share())
            where = "a larger" if after >= wanted else "a smaller"
            raise NotYetError(
                f"For {case} your α = {alpha:.4g} makes {share:.1%} negative, and {wanted:.0%} was wanted: "
                f"{where} α is the right one. A larger α means less repulsion."
            )
    already = _alpha(call(function, signed, 0.2))
    if already != float("inf"):
        raise NotYetError(
            f"Centred features can have the wanted share before any shift: return float('inf') then, "
            f"not {already:g}."
        )
    return "Positive and centred features, any length of vectors, and a share that is there already."


def _alpha(given: Any) -> float:
    if given is Ellipsis:
        raise NotYetError("The α is still missing: put it in place of Ellipsis.")
    try:
        alpha = float("text" if isinstance(given, str | bytes) else given)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise NotYetError(f"Give α as a number, not {type(given).__name__}.") from None
    if np.isnan(alpha):
        raise NotYetError("Your α is NaN: is 0 divided by 0?")
    return alpha


@exercise
def check_colour_and_place(extractor: Any) -> str:
    """Answer: an nn.Module class: patches' mean colours and places, as a `Backbone` needs them."""
    if not (isinstance(extractor, type) and issubclass(extractor, nn.Module)):
        raise NotYetError("Give the class itself, derived from nn.Module, without making an instance.")
    module = call(extractor)
    sides = call(lambda: [getattr(module, name, None) for name in ("patch_size", "stride")])
    if not all(isinstance(side, Integral) and side == 16 for side in sides):
        raise NotYetError("A Backbone asks for the attributes patch_size and stride: here both are 16.")
    batch = torch.rand(2, 3, 48, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    extracted = _extract(module, batch, cls=False)
    values = as_array(extracted.values, (2, 18, 5), "values, for two pictures of 48×96,")
    colours, places = _colour_and_place(batch)
    if np.allclose(values[..., :3], colours.unflatten(1, (3, 6)).transpose(1, 2).flatten(1, 2), atol=1e-5):
        raise NotYetError("The patches come column by column: the first row of patches comes first.")
    agree(values[..., :3], colours, "Average each channel over 16×16 pixels.", what="The colour")
    if np.allclose(values[..., 3:], places.flip(-1), atol=1e-5):
        raise NotYetError("Down comes before across: channel 3 tells the row, channel 4 the column.")
    agree(
        values[..., 3:],
        places,
        "The centre of row i of h lies at (2 i + 1) / h − 1, between −1 and 1; columns likewise.",
        what="The place",
    )
    if extracted.cls is not None:
        raise NotYetError("With cls=False nobody asked for a vector of the whole picture: give None.")
    whole = _extract(module, batch, cls=True)
    agree(whole.cls, values.mean(1), "It is the mean of the patches' values.", what="cls, if asked for,")
    alone = _extract(module, batch[1:], cls=False)
    agree(
        alone.values,
        values[1:],
        "A picture's features must not depend on the rest of the batch.",
        what="values, for the second picture alone,",
    )
    half = [0.5] * 3
    backbone = Backbone("yours", module, mean=half, std=half, size=64, device=torch.device("cpu"))
    picture = np.full((40, 80, 3), 255, np.uint8)
    features = call(backbone, picture)
    agree(features.values[:, :3], np.ones((16, 3)), what="As a Backbone, on a white picture, the colour")
    return f"It runs as a Backbone: a picture of 40×80 becomes {features.grid[0]}×{features.grid[1]} patches."


def _extract(module: nn.Module, batch: Tensor, *, cls: bool) -> Extracted:
    """What the learner's module makes of B×3×H×W pictures.

    Raises:
        NotYetError: it stops, or gives something else than `Extracted`.
    """
    extracted = call(lambda pictures: module(pictures, cls=cls), batch)
    if not isinstance(extracted, Extracted):
        raise NotYetError(f"With cls={cls}, return Extracted(values, cls), not {type(extracted).__name__}.")
    return extracted


def _colour_and_place(batch: Tensor) -> tuple[Tensor, Tensor]:
    """B×3×H×W → mean colours B×n×3 and places B×n×2 of patches of 16 pixels."""
    colours = torch.nn.functional.avg_pool2d(batch, 16)
    h, w = colours.shape[2:]
    down, across = ((2 * torch.arange(cells) + 1) / cells - 1 for cells in (h, w))
    places = torch.stack(torch.meshgrid(down, across, indexing="ij"), dim=-1)
    return colours.flatten(2).mT, places.flatten(0, 1).expand(len(batch), -1, -1)
