"""Lesson 10: its explorers, and its checks; what the notebook computes by hand it asserts itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from deepcut_lib import load_backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.video_and_matting import checks
from deepcut_lib.lessons.video_and_matting.explorer import explore_background, explore_clip
from tests.conftest import DATA


def frames(count: int = 4) -> tuple[list[Image.Image], list[np.ndarray]]:
    """A white square that moves over black, and its masks."""
    masks = [np.zeros((24, 32), bool) for _ in range(count)]
    for number, mask in enumerate(masks):
        mask[8:16, 4 + 2 * number : 12 + 2 * number] = True
    return [Image.fromarray(255 * mask.astype(np.uint8)).convert("RGB") for mask in masks], masks


# The explorers


def test_a_frame_is_chosen_among_the_scores() -> None:
    pictures, masks = frames()
    explorer = explore_clip(pictures, masks, {"true": masks, "late": [masks[0], *masks[:-1]]})
    assert explorer.message == ""
    explorer.set(frame=2)
    picture, first, second, scores = explorer.figure.axes
    assert picture.get_title() == "frame 2"
    assert (first.get_title(), first.get_xlabel()) == ("true", "IoU 1.00")
    assert (second.get_title(), second.get_xlabel()) == ("late", "IoU 0.60")
    assert explorer._click is not None and explorer._arrows is not None
    assert explorer._click(scores, 2.8, 0.1) == {"frame": 3}
    assert explorer._click(picture, 2.8, 0.1) == {}
    assert explorer._arrows(0, 5) == {"frame": 3}


def test_a_clip_of_ones_own_has_no_truth() -> None:
    pictures, masks = frames()
    explorer = explore_clip(pictures, None, {"one": masks, "other": masks})
    explorer.set(frame=1)
    assert explorer.message == ""
    _, first, _, scores = explorer.figure.axes
    assert first.get_xlabel() == ""
    assert scores.get_ylabel() == "share of the picture"
    assert np.allclose(scores.lines[0].get_ydata(), 64 / (24 * 32))


def test_a_way_against_itself_is_refused() -> None:
    pictures, masks = frames()
    explorer = explore_clip(pictures, masks, {"one": masks, "other": masks})
    explorer.set(second="one")
    assert "choose two ways" in explorer.message


def test_a_background_shows_where_the_object_is_not() -> None:
    shown = Pictures({"bird_01": DATA / "images" / "bird_01.jpg"})
    backbone = RememberingBackbone(load_backbone("effnet_lite0"))
    explorer = explore_background(shown, backbone, {}, start="bird_01")
    explorer.set(background="pink")
    assert explorer.message == ""
    corner = [np.asarray(axes.images[0].get_array())[0, 0] for axes in explorer.figure.axes]
    for pixel in corner[1:]:
        assert np.allclose(
            pixel / (255 if pixel.max() > 1 else 1), np.array([204, 121, 167]) / 255, atol=0.01
        )
    explorer._taken("mine.jpg", (DATA / "images" / "bird_02.jpg").read_bytes())
    assert explorer.message == ""
    assert explorer.values["picture"] == "own: mine"


# The checks


def alpha_of(seen: np.ndarray, F: np.ndarray, B: np.ndarray) -> float:
    return float(np.clip((seen - B) @ (F - B) / ((F - B) @ (F - B)), 0, 1))


def flickers(first: np.ndarray, second: np.ndarray, still: np.ndarray) -> float:
    return float((first != second)[still].mean()) if still.any() else 0.0


def rename(before: np.ndarray, now: np.ndarray, k: int) -> np.ndarray:
    table = np.array([[((now == i) & (before == j)).sum() for j in range(k)] for i in range(k)])
    return linear_sum_assignment(-table)[1][now]


def votes(signs: np.ndarray, m: float, h: float) -> list[bool]:
    vote, state, states = 0.0, False, []
    for sign in signs:
        vote = m * vote + (1 - m) * sign
        state = True if vote >= h else False if vote <= -h else state
        states.append(state)
    return states


def trimap(mask: np.ndarray, r: float) -> np.ndarray:
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    return np.where(np.maximum(inside, outside) <= r, 0.5, mask)


def cuts(histograms: np.ndarray, share: float) -> list[int]:
    overlap = np.minimum(histograms[1:], histograms[:-1]).sum(axis=1)
    return [int(i) + 1 for i in np.flatnonzero(overlap < share)]


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_alpha, alpha_of),
        (checks.check_flicker, flickers),
        (checks.check_rename, rename),
        (checks.check_votes, votes),
        (checks.check_trimap, trimap),
        (checks.check_cuts, cuts),
    ],
)
def test_right_answers_pass(check: Callable, answer: Any) -> None:
    assert check(answer), check(answer)


@pytest.mark.parametrize(
    ("check", "answer", "message"),
    [
        (checks.check_alpha, lambda seen, F, B: 1 - alpha_of(seen, F, B), "background's share"),
        (checks.check_alpha, lambda seen, F, B: (seen - B) @ (F - B) / ((F - B) @ (F - B)), "no share"),
        (checks.check_flicker, lambda a, b, still: (a != b).mean(), "moving pixels"),
        (checks.check_flicker, lambda a, b, still: ((a != b) & still).mean(), "number of still"),
        (checks.check_flicker, lambda a, b, still: 1 - flickers(a, b, still), "share that stays"),
        (checks.check_rename, lambda before, now, k: before, "whole clusters"),
        (checks.check_rename, lambda before, now, k: now * 0, "one name"),
        (checks.check_rename, lambda before, now, k: (rename(before, now, k) + 1) % k, "agreement"),
        (checks.check_rename, lambda before, now, k: now[0], "shape"),
        (checks.check_votes, lambda signs, m, h: signs > 0, "vote remember"),
        (checks.check_votes, lambda signs, m, h: votes(signs, m, 1e-12), "Between"),
        (checks.check_votes, lambda signs, m, h: votes(signs, m, h)[1:], "One answer for each"),
        (
            checks.check_trimap,
            lambda mask, r: np.where(trimap(mask, r) + mask == 1.5, 0.5, mask),
            "both sides",
        ),
        (checks.check_trimap, lambda mask, r: 0.3 * mask, "three values"),
        (checks.check_trimap, lambda mask, r: trimap(mask, r + 3), "Distance"),
        (checks.check_cuts, lambda h, share: [i - 1 for i in cuts(h, share)], "last frames"),
        (checks.check_cuts, lambda h, share: [0, *cuts(h, share)], "first frame"),
        (checks.check_cuts, lambda h, share: cuts(h, 0.0), "lesser of the two"),
        (checks.check_cuts, lambda h, share: 3, "list of frame numbers"),
        (checks.check_cuts, ..., "function"),
    ],
)
def test_mistakes_get_a_helpful_message(check: Callable, answer: Any, message: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert message in verdict.message, verdict.message
