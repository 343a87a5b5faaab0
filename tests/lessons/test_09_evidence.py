"""Lesson 9: what the notebook defines, its figures, its explorer, and its checks."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from deepcut_lib import load_backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.errors import ImageError
from deepcut_lib.evaluation.methods import METHODS, Setup
from deepcut_lib.evaluation.spread import bootstrap
from deepcut_lib.evaluation.views import View
from deepcut_lib.images import load_image
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.evidence import checks
from deepcut_lib.lessons.evidence import figures as plots
from deepcut_lib.lessons.evidence.explorer import explore_evidence
from deepcut_lib.masks import read_mask
from tests.conftest import DATA
from tests.lessons.definitions import definitions


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return definitions("09_evidence")


@pytest.fixture(scope="module")
def backbone() -> RememberingBackbone:
    return RememberingBackbone(load_backbone("pixels"))


# What the notebook defines


def test_the_interval_is_the_library_s(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for n in (3, 40, 81):
        values = rng.random(n)
        assert lesson["interval_of"](values) == pytest.approx(bootstrap(values.tolist()))


def test_unpaired_intervals_are_wider_where_scores_rise_together(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(60)
    first, second = hard + rng.normal(0, 0.02, 60), hard + rng.normal(0, 0.02, 60)
    paired, apart = lesson["interval_of"](first - second), lesson["unpaired_interval"](first, second)
    assert apart[1] - apart[0] > 3 * (paired[1] - paired[0])


def test_the_middle_box_is_that_of_the_tables(lesson: dict[str, Any], backbone: RememberingBackbone) -> None:
    picture = load_image(DATA / "images" / "bird_01.jpg")
    view = View(picture, backbone(picture, cls=False))
    (expected,) = METHODS["middle_box"].run([view], Setup(backbone), 0)
    assert expected.mask is not None
    assert np.array_equal(lesson["middle_box"](expected.mask.shape), expected.mask)


def test_crops_cut_the_object_at_as_many_edges_as_asked(lesson: dict[str, Any]) -> None:
    truth = read_mask(DATA / "masks" / "bird_01.png")
    for edges in range(3):
        left, top, right, bottom = lesson["crop_box"](truth, edges)
        cropped = truth[top:bottom, left:right]
        sides = (cropped[0], cropped[-1], cropped[:, 0], cropped[:, -1])
        assert sum(side.any() for side in sides) == edges
        assert lesson["on_border"](cropped) == (edges > 0)


# Figures


def test_intervals_stand_at_their_numbers() -> None:
    rows = {"a": {"x": (1.0, (0.5, 1.5)), "y": (-2.0, (-3.0, 0.0))}, "b": {"y": (4.0, (3.0, 4.5))}}
    figure = plots.intervals_figure(rows, "points", line=0)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    marks = {bars.get_label(): bars.lines[0].get_xdata().tolist() for bars in axes.containers}
    assert marks == {"x": [1.0], "y": [-2.0, 4.0]}


@pytest.mark.parametrize(
    ("shift", "words"), [(0.2, "is better"), (-0.2, "is worse"), (0.0, "neither better nor worse")]
)
def test_the_title_says_what_the_interval_says(shift: float, words: str) -> None:
    differences = {f"p{i}": shift + 0.02 * (i - 4.5) for i in range(10)}
    axes = plots.differences_figure(differences, ("one", "other")).axes[0]
    assert words in axes.get_title()
    heights = [bar.get_height() for bar in axes.patches[:10]]
    assert heights == sorted(differences.values())


# The explorer


def left_half(features: Any) -> np.ndarray:
    mask = np.zeros(features.grid, bool)
    mask[:, : features.grid[1] // 2] = True
    return mask


NAMES = [f"{kind}_{number:02}" for kind in ("bird", "fruit") for number in range(1, 5)]
METHODS_HERE = {"left": left_half, "right": lambda f: ~left_half(f), "all": lambda f: left_half(f) | True}


@pytest.fixture
def explorer(backbone: RememberingBackbone) -> Explorer:
    return explore_evidence(Pictures.of_folder(DATA), NAMES, backbone, METHODS_HERE, backbone.recipe)


def test_the_explorer_pairs_two_methods(explorer: Explorer) -> None:
    assert explorer.message == ""
    picture, first, second, bars = explorer.figure.axes
    assert (picture.get_title(), first.get_title(), second.get_title()) == ("bird_01", "left", "right")
    assert bars.get_title().startswith("8 pictures")
    explorer.set(group="fruit", count=5, second="all")
    assert explorer.figure.axes[3].get_title().startswith("4 pictures")


def test_a_bar_chooses_its_picture(explorer: Explorer) -> None:
    bars = explorer.figure.axes[3]
    assert explorer._click is not None and explorer._arrows is not None
    first = explorer._click(bars, -0.4, 0.0)["picture"]
    explorer.set(picture=first)
    assert explorer.figure.axes[0].get_title() == first
    after = explorer._arrows(0, 1)["picture"]
    assert after == explorer._click(bars, 1.2, 0.0)["picture"] != first
    assert explorer._click(explorer.figure.axes[0], 3.0, 3.0) == {}


def test_the_solver_can_be_given_to_one_alone(explorer: Explorer) -> None:
    explorer.set(solver="the first alone")
    assert explorer.message == ""
    assert [axes.get_title() for axes in explorer.figure.axes[1:3]] == ["left, solver", "right"]


def test_an_own_photograph_is_shown_and_not_counted(explorer: Explorer) -> None:
    explorer._taken("mine.jpg", (DATA / "images" / "photo_cat.jpg").read_bytes())
    assert explorer.message == ""
    assert explorer.values["picture"] == "own: mine"
    assert [axes.get_xlabel() for axes in explorer.figure.axes[:3]] == [""] * 3
    assert explorer.figure.axes[3].get_title().startswith("8 pictures")


def test_a_method_against_itself_is_refused(explorer: Explorer) -> None:
    explorer.set(second="left")
    assert "choose two methods" in explorer.message


def test_too_few_pictures_are_refused(backbone: RememberingBackbone) -> None:
    with pytest.raises(ImageError, match="too few"):
        explore_evidence(Pictures.of_folder(DATA), NAMES[:2], backbone, METHODS_HERE, backbone.recipe)


# The checks


def interval(values: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.percentile([rng.choice(values, len(values)).mean() for _ in range(1000)], [2.5, 97.5])


def paired(first: dict, second: dict) -> float:
    return float(np.mean([first[name] - second[name] for name in first if name in second]))


def p_value(differences: np.ndarray, least: Callable = np.abs) -> float:
    signs = np.array(list(product((1, -1), repeat=len(differences))))
    means = (signs * differences).mean(axis=1)
    return float((least(means) >= least(np.mean(differences)) - 1e-12).mean())


def fair_pairs(rows: list[dict], apart: int = 1) -> list[tuple[int, int]]:
    return [
        (i, j)
        for j, other in enumerate(rows)
        for i, row in enumerate(rows[:j])
        if sum(row[key] != other[key] for key in row) == apart
    ]


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_chance, (1 / 6, 0.2)),
        (checks.check_interval, interval),
        (checks.check_paired, paired),
        (checks.check_sign_flip, p_value),
        (checks.check_fair_pairs, fair_pairs),
        (checks.check_fair_pairs, lambda rows: set(fair_pairs(rows))),
    ],
)
def test_right_answers_pass(check: Callable, answer: Any) -> None:
    assert check(answer), check(answer)


@pytest.mark.parametrize(
    ("check", "answer", "message"),
    [
        (checks.check_chance, ..., "missing"),
        (checks.check_chance, (0.1, 0.2), "intersection"),
        (checks.check_chance, (0.2, 0.2), "how large is the union"),
        (checks.check_chance, (1 / 6, 0.5), "For the whole"),
        (checks.check_interval, lambda v: np.percentile(v, [2.5, 97.5]), "single pictures"),
        (checks.check_interval, lambda v: (v.mean(), v.mean()), "with replacement"),
        (checks.check_interval, lambda v: interval(v)[::-1], "lower end"),
        (checks.check_interval, lambda v: interval(v) + 1, "round the mean"),
        (checks.check_interval, lambda v: interval(v[: len(v) // 4]), "should be about"),
        (checks.check_paired, lambda a, b: -paired(a, b), "turned"),
        (
            checks.check_paired,
            lambda a, b: np.mean(list(a.values())) - np.mean(list(b.values())),
            "must not count",
        ),
        (
            checks.check_paired,
            lambda a, b: np.mean([x - y for x, y in zip(a.values(), b.values(), strict=False)]),
            "different orders",
        ),
        (checks.check_sign_flip, lambda d: p_value(d, lambda m: m), "one side"),
        (checks.check_sign_flip, lambda d: p_value(d) - 2 / 2 ** len(d), "observed one"),
        (checks.check_fair_pairs, lambda rows: fair_pairs(rows, 2), "differ in 2 settings"),
        (checks.check_fair_pairs, lambda rows: [(j, i) for i, j in fair_pairs(rows)], "smaller number"),
        (checks.check_fair_pairs, lambda rows: fair_pairs(rows)[1:], "missing"),
        (checks.check_fair_pairs, lambda rows: 3, "pairs of numbers"),
        (checks.check_fair_pairs, lambda rows: [(0, 0)], "itself"),
    ],
)
def test_mistakes_get_a_helpful_message(check: Callable, answer: Any, message: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert message in verdict.message
