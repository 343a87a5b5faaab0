"""Checks of lesson 5's exercises."""

from typing import Any

import numpy as np

from deepcut_lib.foreground import background_clusters
from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise

MARGINS = {10: 100 / 144, 4: 16 / 36}
"""Exercise 5.1: IoU of a square object with the same square one patch wider on every side, by its side."""

GRID = 6
LARGEST = 12
"""Exercise 5.4: side of the map, and the most patches that the object may hold."""


@exercise
def check_margin(answer: Any) -> str:
    """Exercise 5.1: IoU of a fat mask, for an object of 10×10 patches and one of 4×4."""
    values = as_array(answer, (2,), "The pair of numbers")
    if (values > 1).any():
        raise NotYetError("An IoU is at most 1: divide by the area of the union, 12×12 for the first.")
    for value, (side, true) in zip(values, MARGINS.items(), strict=True):
        one_sided = side**2 / (side + 1) ** 2
        if abs(value - one_sided) < 0.01:
            raise NotYetError(
                f"For {side}×{side}: a patch more on every side makes the mask two patches wider, {side + 2}."
            )
        if abs(value - true) > 0.01:
            raise NotYetError(
                f"For {side}×{side} patches {value:.2f} is not right. The object lies wholly inside the "
                "mask: the intersection is the object, the union the mask."
            )
    return "The same margin costs the small object far more: part of why small objects score low."


@exercise
def check_precision_recall(function: Any) -> str:
    """Exercise 5.2: (precision, recall) of two H×W bool masks; 0 where nothing can be divided by."""
    rng = np.random.default_rng(1)
    pairs = [rng.random((2, 6, 5)) > share for share in (0.3, 0.5, 0.7)]
    empty, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    for predicted, truth in pairs:
        both = np.logical_and(predicted, truth).sum()
        expected = np.array([both / predicted.sum(), both / truth.sum()])
        given = as_array(call(function, predicted, truth), (2,), "The pair (precision, recall)")
        if np.allclose(given, expected[::-1]) and not np.allclose(*expected):
            raise NotYetError(
                "The two are swapped: precision divides by what was found, recall by the truth."
            )
        agree(given, expected, "Both have the intersection above the line.", what="(precision, recall)")
    for name, predicted, truth in (
        ("nothing found", empty, some),
        ("nothing there", some, empty),
        ("both masks empty", empty, empty),
    ):
        with np.errstate(all="ignore"):
            given = as_array(call(function, predicted, truth), (2,), f"The pair for {name}")
        agree(given, (0, 0), "What cannot be divided counts 0.", what=f"(precision, recall) with {name}")
    return "Numbers, order and empty masks are right."


@exercise
def check_best_patches(best_patches: Any) -> str:
    """Exercise 5.3: H×W bool mask and (h, w) → h×w bool, true where most of a patch's pixels are."""
    small = np.zeros((4, 6), bool)
    small[1:, 1:4] = True
    halves = np.tile([[True, False]], (4, 2))
    rng = np.random.default_rng(2)
    noise = rng.random((12, 20)) > 0.5
    for truth, grid in ((noise, (3, 4)), (noise, (12, 20)), (small, (2, 3)), (halves, (2, 2))):
        down, across = truth.shape[0] // grid[0], truth.shape[1] // grid[1]
        blocks = truth.reshape(grid[0], down, grid[1], across).transpose(0, 2, 1, 3).reshape(*grid, -1)
        share = blocks.mean(axis=2)
        given = call(best_patches, truth, grid)
        array = as_array(given, grid, "The map of patches")
        if np.array_equal(array, share >= 0.5) and not np.array_equal(share >= 0.5, share > 0.5):
            raise NotYetError(
                "A patch that is exactly half object should be background: more than half, no tie."
            )
        if np.allclose(array, share) and not np.isin(share, (0, 1)).all():
            raise NotYetError(
                "These are the shares of object pixels. Say true where it is more than one half."
            )
        if np.array_equal(array, share > 0) and not np.array_equal(share > 0, share > 0.5):
            raise NotYetError("You keep every patch with any object in it; keep those with more than half.")
        centre = truth[down // 2 :: down, across // 2 :: across]
        if np.array_equal(array, centre) and not np.array_equal(centre, share > 0.5):
            raise NotYetError("You ask one pixel of each patch. Let all of them vote.")
        agree(array, share > 0.5, f"Truth {truth.shape}, grid {grid}.", what="The map of patches")
    uneven = np.zeros((10, 7), bool)
    uneven[5:, 3:] = True
    array = as_array(call(best_patches, uneven, (4, 3)), (4, 3), "The map where patches are not whole pixels")
    if array[0].any() or array[:, 0].any() or not array[3, 1:].all():
        raise NotYetError(
            "Where 10×7 pixels meet 4×3 patches, the object in the lower right is not in the lower right any "
            "more: give pixel i of H to patch int((i + 0.5) / H · h)."
        )
    return "Every patch follows the majority of its pixels; a tie is background."


@exercise
def check_lost_object(answer: Any) -> str:
    """Exercise 5.4: a map of three clusters on which the border rule drops the object."""
    labels = as_array(answer, (GRID, GRID), "The map")
    if not np.isin(labels, (0, 1, 2)).all():
        raise NotYetError("Use the clusters 0, 1 and 2 only.")
    labels = labels.astype(int)
    areas = np.bincount(labels.ravel(), minlength=3)
    if not areas.all():
        raise NotYetError(f"Cluster {int(areas.argmin())} has no patch; all three must be there.")
    if areas[2] > LARGEST:
        raise NotYetError(f"The object, 2, has {areas[2]} patches; it may have {LARGEST} at most.")
    background = background_clusters(labels)
    if not background[2]:
        raise NotYetError(
            "The rule keeps the object here. It goes if it lies on more than two edges, or holds more than a "
            "quarter of the border's 20 patches."
        )
    if background[1]:
        raise NotYetError(
            "The object is dropped, as asked, but so is cluster 1, and 0 is called foreground. Keep cluster "
            "1 off the border, or nearly."
        )
    return "The rule drops the object and keeps cluster 1: a perfect clustering, and a wrong mask."


@exercise
def check_step(step: Any) -> str:
    """Exercise 5.5: one step x → x' of a row of pixels towards the solver's answer."""
    rng = np.random.default_rng(3)
    for n in (8, 2, 30):
        x, target = rng.random(n), (rng.random(n) > 0.5).astype(float)
        weights, confidence = rng.uniform(0.1, 4, n - 1), rng.uniform(0.5, 1.5, n)
        left, right = np.append(0, weights), np.append(weights, 0)
        pulled = left * np.append(0, x[:-1]) + right * np.append(x[1:], 0) + confidence * target
        expected = pulled / (left + right + confidence)
        given = as_array(call(step, x, target, weights, confidence), (n,), "The next row")
        new = expected.copy()
        for i in range(n):  # what comes out if already changed pixels are used for the next ones
            near = left[i] * (new[i - 1] if i else 0) + right[i] * (x[i + 1] if i + 1 < n else 0)
            new[i] = (near + confidence[i] * target[i]) / (left[i] + right[i] + confidence[i])
        if n > 2 and np.allclose(given, new):
            raise NotYetError(
                "You change x while you read it (a Gauss–Seidel step: fine, but another one). Write the new "
                "values into a new array."
            )
        if np.allclose(given, pulled) and not np.allclose(pulled, expected):
            raise NotYetError("The sum is right, but an average also divides by the sum of its weights.")
        agree(
            given,
            expected,
            "Average the left neighbour, the right neighbour and the target, each with its weight; the ends "
            "have one neighbour.",
            what="The next row",
        )
    x, target = np.full(6, 0.5), np.array([1.0, 1, 0, 1, 0, 0])
    weights, confidence = np.array([3.0, 3, 0.01, 3, 3]), np.ones(6)
    for _ in range(200):
        x = np.asarray(call(step, x, target, weights, confidence))
    matrix = np.diag(confidence + np.append(0, weights) + np.append(weights, 0))
    matrix -= np.diag(weights, 1) + np.diag(weights, -1)
    agree(x, np.linalg.solve(matrix, confidence * target), what="What 200 steps come to")
    return "One step is the weighted average, and 200 of them reach the solution of the linear system."
