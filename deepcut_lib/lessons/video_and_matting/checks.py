"""Checks of lesson 10's exercises."""

from itertools import permutations
from typing import Any

import numpy as np
from scipy import ndimage

from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise
from deepcut_lib.metrics import flicker


@exercise
def check_alpha(alpha_of: Any) -> str:
    """Exercise 10.1: colours I, F and B, (3,) each → the α in 0…1 that fits I = αF + (1 − α)B best."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        F, B, alpha = rng.random(3), rng.random(3), rng.random()
        observed = alpha * F + (1 - alpha) * B + 0.05 * rng.normal(size=3)
        exact = float((observed - B) @ (F - B) / ((F - B) @ (F - B)))
        given = float(as_array(call(alpha_of, observed, F, B), (), "α"))
        if abs(given - exact) < 1e-9 and not 0 <= exact <= 1:
            raise NotYetError(f"{exact:.2f} is no share: cut it off at 0 and 1.")
        if abs(given - (1 - np.clip(exact, 0, 1))) < 1e-6 < abs(1 - 2 * exact):
            raise NotYetError("That is the background's share. α is the foreground's.")
        agree(given, np.clip(exact, 0, 1), "Project I − B onto F − B.", what="α")
    for grey, exact in ((1.2, 1.0), (-0.1, 0.0)):
        given = float(as_array(call(alpha_of, np.full(3, grey), np.ones(3), np.zeros(3)), (), "α"))
        agree(given, exact, "A pixel brighter than F is all foreground: cut off at 0 and 1.", what="α")
    return "One equation for each channel and one unknown: least squares, cut off at 0 and 1."


@exercise
def check_flicker(measure: Any) -> str:
    """Exercise 10.2: two H×W label maps and an H×W bool map of what is still → the share that changes."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(3, size=(2, 6, 8))
    still = rng.random((6, 8)) < 0.5
    given = float(as_array(call(measure, first, second, still), (), "The share"))
    everywhere = (first != second).mean()
    of_all = ((first != second) & still).mean()
    expected = flicker(first, second, still)
    if abs(given - expected) > 1e-9:
        if abs(given - everywhere) < 1e-9:
            raise NotYetError("You count moving pixels, too: there a label may well change.")
        if abs(given - of_all) < 1e-9:
            raise NotYetError("Divide by the number of still pixels, not by that of all.")
        if abs(given - (1 - expected)) < 1e-9:
            raise NotYetError("That is the share that stays.")
    agree(given, expected, "Of the still pixels: how many have another label?", what="The share")
    nothing = float(as_array(call(measure, first, second, np.zeros_like(still)), (), "The share"))
    agree(nothing, 0.0, "Where nothing is still, nothing can flicker.", what="The share")
    return "Only where nothing moves is a change of label a mistake for certain."


@exercise
def check_rename(rename: Any) -> str:
    """Exercise 10.3: labels before and now, and k → those of now, renamed to agree best with before."""
    rng = np.random.default_rng(2)
    for k in (2, 3, 4):
        before = rng.integers(k, size=(10, 12))
        now = np.where(rng.random(before.shape) < 0.2, rng.integers(k, size=before.shape), before)
        now = rng.permutation(k)[now]
        given = np.asarray(call(rename, before, now, k))
        if given.shape != now.shape:
            raise NotYetError(f"The renamed labels have shape {given.shape}, and should have {now.shape}.")
        pairs = set(zip(now.ravel().tolist(), given.ravel().tolist(), strict=True))
        if len(pairs) != len({old for old, _ in pairs}):
            raise NotYetError("One cluster has got two names: rename whole clusters, do not copy old labels.")
        if len({new for _, new in pairs}) != len(pairs):
            raise NotYetError("Two clusters have got one name: names must stay apart.")
        best = max((np.asarray(names)[now] == before).mean() for names in permutations(range(k)))
        agree((given == before).mean(), best, f"{k} clusters.", what="The agreement with the frame before")
    return "Renaming mends the lottery of names, and nothing else: a wrong border stays where it is."


@exercise
def check_votes(foreground: Any) -> str:
    """Exercise 10.4: signs (n,) of ±1, memory m, threshold h → (n,) bool, foreground with hysteresis."""
    for signs, memory, least in (
        ([1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1], 0.8, 0.3),
        ([-1, -1, 1, 1, 1, 1, -1, 1], 0.8, 0.3),
    ):
        vote, state = 0.0, False
        expected, without = [], []
        for sign in signs:
            vote = memory * vote + (1 - memory) * sign
            state = True if vote >= least else False if vote <= -least else state
            expected.append(state)
            without.append(vote > 0)
        given = np.asarray(call(foreground, np.array(signs), memory, least))
        if given.shape != (len(signs),):
            raise NotYetError(f"One answer for each frame, please: {len(signs)}, not {given.shape}.")
        given = given.astype(bool).tolist()
        if given != expected and given == [sign > 0 for sign in signs]:
            raise NotYetError("You follow each frame's word. Let the vote remember.")
        if given != expected and given == without:
            raise NotYetError("Between −h and h nothing changes, whatever the sign of the vote.")
        if given != expected:
            at = next(i for i, pair in enumerate(zip(given, expected, strict=True)) if pair[0] != pair[1])
            raise NotYetError(
                f"For the signs {signs}, frame {at} is not right. First the vote, then the state."
            )
    return "It can change its mind, but one odd frame does not make it."


@exercise
def check_trimap(trimap: Any) -> str:
    """Exercise 10.5: a mask, H×W bool, and r → H×W of 1, 0, and ½ where the other side is nearer than r."""
    y, x = np.mgrid[:40, :50]
    for mask in ((y - 18) ** 2 + (x - 25) ** 2 < 130, x > 20):
        for reach in (2.0, 5.0):
            depth = np.where(
                mask, ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
            )
            expected = np.where(depth <= reach, 0.5, mask)
            given = as_array(call(trimap, mask, reach), mask.shape, "The trimap")
            if not set(np.unique(given)) <= {0, 0.5, 1}:
                raise NotYetError("A trimap has three values: 0, ½ and 1.")
            if ((given == 0.5) & mask).sum() and not ((given == 0.5) & ~mask).sum():
                raise NotYetError(
                    "The band is unknown on both sides of the edge: the mask can be too small, too."
                )
            if (given == 0.5).mean() and np.array_equal(given, np.where(depth < reach, 0.5, mask)):
                continue
            agree(
                given, expected, "Distance to the other side, by distance_transform_edt.", what="The trimap"
            )
    return "Sure inside, sure outside, and a band in which the picture itself has to say."


@exercise
def check_cuts(find_cuts: Any) -> str:
    """Exercise 10.6: histograms (n, bins) that sum to 1, and a share → the frames that begin a scene."""
    rng = np.random.default_rng(3)
    scenes = rng.dirichlet(np.full(32, 0.3), 3)
    of_frames = np.repeat(scenes, (5, 4, 6), axis=0) * rng.uniform(0.9, 1.1, (15, 32))
    of_frames /= of_frames.sum(1, keepdims=True)
    overlaps = np.minimum(of_frames[1:], of_frames[:-1]).sum(1)
    expected = [int(i) + 1 for i in np.flatnonzero(overlaps < 0.8)]
    given = call(find_cuts, of_frames, 0.8)
    try:
        numbers = [int(number) for number in given]
    except (TypeError, ValueError):
        raise NotYetError("Return a list of frame numbers, such as [4, 9].") from None
    if numbers != expected and numbers == [i - 1 for i in expected]:
        raise NotYetError("Those are the last frames of scenes. Say which frames begin one.")
    if numbers != expected and 0 in numbers:
        raise NotYetError("The first frame begins nothing that the one before could tell.")
    if numbers != expected:
        raise NotYetError(f"You found {numbers}. Overlap: the sum over bins of the lesser of the two shares.")
    return "A new scene shares few colours with the one before; there labels must begin anew, and be said to."
