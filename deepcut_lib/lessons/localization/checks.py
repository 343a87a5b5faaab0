"""Checks of lesson 4's exercises: the border, boxes and their overlap."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from deepcut_lib.baselines import tokencut
from deepcut_lib.features import PatchFeatures
from deepcut_lib.foreground import background_clusters, border_share, foreground_box, touched_edges
from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise
from deepcut_lib.metrics import Box, box_iou, corloc

Boxes = list[Box]


@exercise
def check_shifted(answer: Any) -> str:
    """The IoU of a box and itself, shifted by a quarter, a third, and a quarter both ways."""
    moves = {"A quarter to the right": (3, 0), "A third to the right": (4, 0), "A quarter both ways": (3, 3)}
    values = as_array(answer, (3,), "Your answer")
    if np.allclose(values, [3 / 4, 2 / 3, 9 / 16], atol=0.01):
        raise NotYetError(
            "These are the shares of the box that stay covered: the intersection over one box. The union is "
            "larger than one box."
        )
    for value, (name, (right, down)) in zip(values, moves.items(), strict=True):
        expected = box_iou((0, 0, 12, 12), (right, down, 12 + right, 12 + down))
        hint = "Draw 12×12 squares, count those in both boxes and those in at least one."
        if abs(value - expected) > 0.01:
            raise NotYetError(f"{name}: {value:.3g} is not it. {hint}")
    return (
        "All three agree with the library's box_iou. A third of the width is as far as a box may slip "
        "sideways and still be a hit; a quarter both ways is a miss."
    )


@exercise
def check_box_iou(function: Callable[[Box, Box], float]) -> str:
    """IoU from the boxes' eight numbers."""
    cases = {
        "two boxes that overlap": ((0, 0, 4, 4), (2, 1, 6, 5)),
        "a box and itself": ((3, 5, 9, 7), (3, 5, 9, 7)),
        "a box inside another": ((0, 0, 10, 10), (2, 3, 5, 7)),
        "two boxes that only share an edge": ((0, 0, 4, 4), (4, 0, 8, 4)),
        "two boxes side by side with a gap": ((0, 0, 4, 4), (6, 0, 9, 4)),
        "two boxes far apart in both directions": ((0, 0, 4, 4), (7, 9, 9, 12)),
    }
    for name, (first, second) in cases.items():
        for pair in ((first, second), (second, first)):
            value = float(as_array(call(function, *pair), ()))
            expected = box_iou(*pair)
            if abs(value - expected) > 1e-6:
                raise NotYetError(
                    f"For {name}, {pair[0]} and {pair[1]}, IoU is {expected:.4g}, not {value:.4g}. "
                    + _iou_hint(pair, value)
                )
    return "Overlap, identity, containment, touching, a gap, a gap both ways: all six agree, in either order."


def _iou_hint(pair: tuple[Box, Box], value: float) -> str:
    first, second = pair
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in pair]
    sides = [min(first[i + 2], second[i + 2]) - max(first[i], second[i]) for i in (0, 1)]
    overlap = max(sides[0], 0) * max(sides[1], 0)
    if sum(side < 0 for side in sides) == 2 and value != 0:
        return "Two negative sides have a positive product: cut each side off at 0 before you multiply."
    if min(sides) < 0 and value != 0:
        return "A side of the overlap is negative here: where there is no overlap, it is 0."
    if value == overlap / sum(areas):
        return "The sum of both areas counts the overlap twice."
    plus_one = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in pair]
    grown = max(sides[0] + 1, 0) * max(sides[1] + 1, 0)
    if abs(value - grown / (sum(plus_one) - grown)) < 1e-9:
        return "Far edges are exclusive here: a width is x2 − x1, without + 1."
    return "Which squares are in both boxes, and which in at least one?"


@exercise
def check_border_share(function: Callable[[np.ndarray], np.ndarray]) -> str:
    """The share of the border's patches that each cluster holds."""
    cases = (
        np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1]]),
        np.array([[2, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 2]]),
        np.array([[3, 3, 0], [1, 1, 1]]),
        np.zeros((4, 4), int),
    )
    for labels in cases:
        expected = border_share(labels)
        value = as_array(call(function, labels), expected.shape, f"The share for\n{labels}\n")
        if np.allclose(value, expected, atol=1e-6):
            continue
        strips = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        twice = np.bincount(strips, minlength=len(expected))
        if np.allclose(value, twice / twice.sum(), atol=1e-6):
            raise NotYetError(
                "Your corner patches count twice, once for each of their edges: count each once."
            )
        if np.allclose(value, np.bincount(labels.ravel(), minlength=len(expected)) / labels.size):
            raise NotYetError("These are shares of the whole picture. Only the patches on the border count.")
        if np.allclose(value, expected * expected.size) or value.sum() > 1.001:
            raise NotYetError("Shares sum to one: divide by the number of patches on the border.")
        agree(value, expected, f"The map was\n{labels}", what="The share")
    return (
        "Four maps agree with the library, among them one of two rows, which is all border, and one of a "
        "single cluster."
    )


@exercise
def check_main_box(function: Callable[[np.ndarray, tuple[int, int]], Box]) -> str:
    """The box round the largest connected part."""
    cases = (
        ("one part", ["0000", "0110", "0100"], (30, 40)),
        ("a large part and a crumb", ["10000", "00110", "00110", "00000"], (40, 50)),
        ("two parts that touch at a corner only", ["110000", "110000", "001110", "001110"], (40, 60)),
        ("a picture whose sides are no multiples of the grid", ["00000", "01100", "00000"], (43, 57)),
        ("two parts of one size", ["1100", "0000", "0011"], (30, 40)),
        ("a picture without foreground", ["000", "000"], (20, 30)),
    )
    for name, rows, size in cases:
        foreground = np.array([[cell == "1" for cell in row] for row in rows])
        expected = foreground_box(foreground, size)
        value = as_array(call(function, foreground, size), (4,), f"The box for {name}")
        if np.abs(value - expected).max() <= 1:  # how the last pixel is rounded is a matter of taste
            continue
        box = tuple(int(number) for number in value)
        message = f"For {name} the box should be {expected}, not {box}. "
        if np.abs(value - np.array(expected)[[1, 0, 3, 2]]).max() <= 1:
            raise NotYetError(message + "Rows give y, columns give x: the order is x1, y1, x2, y2.")
        if np.array_equal(value, foreground_box(foreground, foreground.shape)):
            raise NotYetError(message + "This is still in patches: scale it to pixels.")
        patch = np.array([size[1] / foreground.shape[1], size[0] / foreground.shape[0]])
        if np.abs(value - (expected - np.array([0, 0, *patch]))).max() <= 1:
            raise NotYetError(message + "The far edge lies behind the last patch: (last + 1) patches.")
        if "touch" in name:
            raise NotYetError(message + "Patches that share only a corner are not connected.")
        if "crumb" in name:
            raise NotYetError(message + "Only the largest part counts.")
        raise NotYetError(message)
    return "Six maps agree with the library: one part, a crumb, a corner, uneven sides, equal parts, none."


@exercise
def check_corloc(function: Callable[[Boxes, list[Boxes]], float]) -> str:
    """CorLoc where pictures may have several true boxes, or none."""
    square = (0, 0, 10, 10)
    far = (50, 50, 60, 60)
    half = (0, 0, 10, 5)  # IoU with the square is exactly 0.5
    cases: tuple[tuple[str, str, Boxes, list[Boxes]], ...] = (
        ("one hit and one miss", "", [square, far], [[square], [square]]),
        (
            "a picture with two objects, the box round the second",
            "One box of several is enough.",
            [square, square],
            [[far, square], [square, far]],
        ),
        (
            "a picture with two objects, both overlapped well",
            "A picture is one hit at most.",
            [square, far],
            [[square, (0, 0, 10, 9)], [square]],
        ),
        ("an IoU of exactly 0.5", "At least 0.5 is a hit: ≥.", [half], [[square]]),
        (
            "a picture without any true box",
            "It cannot be hit, and still counts in the denominator.",
            [square, square],
            [[square], []],
        ),
    )
    for name, hint, predicted, truths in cases:
        value = float(as_array(call(function, predicted, truths), ()))
        expected = corloc(predicted, truths)
        if abs(value - expected) > 1e-6:
            if abs(value - 100 * expected) < 1e-6:
                raise NotYetError("This is in per cent; give a share between 0 and 1.")
            raise NotYetError(f"With {name}, CorLoc is {expected:.3g}, not {value:.3g}. {hint}".rstrip())
    return (
        "Misses, several objects, an IoU of exactly 0.5 and a picture without boxes: all as in the library."
    )


@exercise
def check_all_background(answer: Any) -> str:
    """A map that the paper's rule takes whole for background, and the library's tie rule rescues."""
    values = as_array(answer, (6, 6), "Your map")
    if not np.isin(values, (0, 1)).all():
        raise NotYetError("Use the numbers 0 and 1 only.")
    labels = values.astype(int)
    if len(np.unique(labels)) < 2:
        raise NotYetError("One cluster alone cannot be cut: both 0 and 1 must occur.")
    edges, share = touched_edges(labels), border_share(labels)
    for k in (0, 1):
        if edges[k] <= 2:
            raise NotYetError(
                f"Cluster {k} lies on {edges[k]} of the four edges; the paper's rule keeps it as foreground. "
                "Let it reach more of them."
            )
    if background_clusters(labels)[1]:
        raise NotYetError(
            "The paper's rule takes all of it, well done; but the library decides for cluster 0, which holds "
            f"{share[0]:.0%} of the border, not for cluster 1 with {share[1]:.0%}."
        )
    return (
        f"The clusters lie on {edges[0]} and {edges[1]} edges, so the paper's rule leaves nothing; the "
        f"library keeps cluster 1, as it holds less of the border: {share[1]:.0%} against {share[0]:.0%}."
    )


OBJECTS = {
    "an object in the middle": (["0000000", "0011100", "0011100", "0011100", "0000000", "0000000"], 13, 0.25),
    "the same, other features": (["0000000", "0011100", "0011100", "0011100", "0000000", "0000000"], 6, 0.35),
    "two objects of one kind": (
        ["00000000", "01110000", "01110000", "00000110", "00000110", "00000000"],
        13,
        0.35,
    ),
    "an object in a corner": (["110000", "110000", "110000", "000000", "000000"], 36, 0.35),
    "features of very different length": (["110000", "110000", "110000", "000000", "000000"], 8, 0.35),
}
"""For TokenCut: a map of two kinds of patches, the seed of their features, and how far these stray.

Seed and threshold are clear in each; the eigenvector comes with either sign."""


def made_features(rows: list[str], seed: int, noise: float) -> PatchFeatures:
    """Features of patches of two kinds, of different length, on a grid of `rows`."""
    kinds = np.array([[int(cell) for cell in row] for row in rows])
    rng = np.random.default_rng(seed)
    values = np.eye(6)[kinds.ravel()] + noise * rng.standard_normal((kinds.size, 6))
    values *= rng.uniform(0.5, 2, (kinds.size, 1))
    height, width = kinds.shape
    return PatchFeatures(
        torch.from_numpy(values).float(), (height, width), None, (10 * height, 10 * width), "made"
    )


@exercise
def check_tokencut(function: Callable[[np.ndarray, tuple[int, int]], np.ndarray]) -> str:
    """TokenCut's foreground, from features."""
    for name, made in OBJECTS.items():
        features = made_features(*made)
        expected = tokencut(features)
        side = expected.eigenvector > expected.eigenvector.mean()
        given = call(function, features.values.double().numpy(), features.grid)
        values = as_array(given, features.grid, f"The foreground for {name}")
        if not np.isin(values, (0, 1)).all():
            raise NotYetError("Give a map of True and False: which patches are foreground.")
        found = values > 0.5
        off = int((found != expected.foreground).sum())
        if not off:
            continue
        message = f"For {name}, {off} of {found.size} patches are not as in the library. "
        if "length" in name:
            raise NotYetError(message + "Cosines are products of vectors of length one.")
        if not found.ravel()[expected.seed]:
            raise NotYetError(
                message
                + "Your foreground lacks the seed, the patch with the largest |v|: where v is below its mean "
                "there, turn v round."
            )
        if np.array_equal(found, side):
            raise NotYetError(
                message + "Of the seed's side, only the part that hangs together with the seed."
            )
        raise NotYetError(
            message + "Is the weak weight 0.00001, the threshold of v its mean, v the second one?"
        )
    return (
        "Five sets of features agree with the library: eigenvectors of either sign, a second object that "
        "does not hang together with the seed, vectors of different length."
    )
