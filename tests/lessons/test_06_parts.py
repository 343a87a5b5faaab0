"""Lesson 6: its definitions against the library's, its figures and explorer, and what its checks say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backend_bases import MouseEvent
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score, normalized_mutual_info_score
from torch import Tensor

from deepcut_lib import DeepCut, load_backbone
from deepcut_lib.features import PatchFeatures
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.images import load_image
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.parts import checks
from deepcut_lib.lessons.parts.explorer import explore_parts
from deepcut_lib.lessons.parts.figures import (
    OPACITY,
    agreement_figure,
    coloured,
    keypoints_figure,
    modes_figure,
    named_alike,
    parts_figure,
    parts_view,
)
from deepcut_lib.network import NAMES
from deepcut_lib.parts import Parts, chance_level, find_parts, label_agreement, label_rows
from deepcut_lib.plots.style import PALETTE
from deepcut_lib.segmentation import cut
from tests.conftest import DATA
from tests.lessons.definitions import definitions, same_picture

PICTURES = [DATA / "images" / f"bird_{number:02}.jpg" for number in (1, 7, 9)]


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return definitions("06_parts")


def some_parts(seed: int, k: int = 3, grid: tuple[int, int] = (6, 5)) -> Parts:
    """Random features, with random labels on about two thirds of the grid."""
    generator = torch.Generator().manual_seed(seed)
    n = grid[0] * grid[1]
    values = torch.randn(n, 4, generator=generator) + 1
    labels = torch.randint(1, k + 1, (n,), generator=generator)
    labels[torch.rand(n, generator=generator) < 0.3] = 0
    features = PatchFeatures(values, grid, None, (grid[0] * 10, grid[1] * 10), "made by hand")
    return Parts(labels.reshape(grid).numpy(), features)


# ------------------------------------------------------------------------------------------- definitions


def test_affinities_are_the_librarys(lesson: dict[str, Any], generator: torch.Generator) -> None:
    F = torch.randn(9, 3, generator=generator)
    torch.testing.assert_close(lesson["affinity_by_loops"](F), ncut_graph(F).affinity)


def test_modes_are_the_librarys(lesson: dict[str, Any], generator: torch.Generator) -> None:
    rows = [torch.randn(n, 5, generator=generator) for n in (20, 31, 14)]
    for mode, name in (
        ("shared start", "shared_start"),
        ("sequential", "sequential"),
        ("joint", "joint"),
    ):
        ours, library = DeepCut(3, epochs=15), DeepCut(3, epochs=15)
        for given, expected in zip(
            lesson[name](ours, rows),
            label_rows(library, rows, mode),  # type: ignore[arg-type]
            strict=True,
        ):
            np.testing.assert_array_equal(given, expected)
        assert ours.initial_weights is None


def test_agreement_is_the_librarys(lesson: dict[str, Any]) -> None:
    for seed in range(5):
        first, second = some_parts(seed), some_parts(seed + 50)
        given = lesson["agreement"](first, second)
        assert given == pytest.approx(label_agreement([first, second]).as_named)
    one = some_parts(3)
    assert lesson["agreement"](one, one) == 1


def test_chance_is_the_librarys(lesson: dict[str, Any]) -> None:
    parts = [some_parts(seed) for seed in range(3)]
    assert lesson["chance"](parts) == pytest.approx(chance_level(parts))
    shares = lesson["part_shares"](parts)
    assert shares.shape == (4,)
    assert shares.sum() == pytest.approx(1)
    assert shares[3] == 0
    alike = [replace(one, labels=(one.labels > 0) * 2) for one in parts]
    assert lesson["chance"](alike) == chance_level(alike) == 1


def test_turning_keeps_affinities_alone(lesson: dict[str, Any]) -> None:
    features = some_parts(1).features
    turned = lesson["turn"](features, 5)
    torch.testing.assert_close(turned.values @ turned.values.T, features.values @ features.values.T)
    assert not torch.allclose(turned.values, features.values, atol=0.1)
    torch.testing.assert_close(lesson["turn"](features, 5).values, turned.values)


def test_points_are_counted_where_they_lie(lesson: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    count = lesson["count"]
    monkeypatch.setitem(count.__globals__, "k", 2)
    features = PatchFeatures(torch.zeros(4, 1), (2, 2), None, (40, 60), "made by hand")
    one = Parts(np.array([[1, 2], [0, 2]]), features)
    points = [[(20, 20), (80, 20), None], [(20, 20), (90, 90), (20, 80)]]
    table, scores = count([one, one], points)
    np.testing.assert_array_equal(table, [[0, 2, 0], [0, 0, 2], [1, 0, 0]])
    assert scores.nmi == pytest.approx(1)


def test_scores_by_hand_are_scikit_learns(lesson: dict[str, Any]) -> None:
    generator = np.random.default_rng(3)
    for shape in ((2, 2), (3, 5), (4, 2)):
        table = generator.integers(0, 7, shape)
        names, parts = np.nonzero(table)
        names, parts = (np.repeat(places, table[table > 0]) for places in (names, parts))
        assert lesson["nmi"](table) == pytest.approx(normalized_mutual_info_score(names, parts))
        assert lesson["ari"](table) == pytest.approx(adjusted_rand_score(names, parts))
    assert lesson["nmi"](np.diag([3, 2, 4])) == pytest.approx(1)
    assert lesson["ari"](np.diag([3, 2, 4])) == pytest.approx(1)


def test_rivals_cut_the_heap_of_all_pictures(
    lesson: dict[str, Any], monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    centres = 5 * torch.eye(3)
    kinds = [torch.tensor([0, 1, 2, 1]), torch.tensor([2, 0, 0]), torch.tensor([1, 2, 0, 0, 1])]
    rows = [centres[kind] + 0.1 * torch.rand(len(kind), 3, generator=generator) for kind in kinds]
    for name in ("by_kmeans", "by_dff"):
        cut = lesson[name]
        monkeypatch.setitem(cut.__globals__, "k", 3)
        monkeypatch.setitem(cut.__globals__, "ends", np.array([4, 7]))
        monkeypatch.setitem(cut.__globals__, "features", [some_parts(i).features for i in range(3)])
        labels = cut(rows, 0)
        assert [len(of_picture) for of_picture in labels] == [4, 3, 5]
        assert adjusted_rand_score(torch.cat(kinds).numpy(), np.concatenate(labels)) == 1


def test_agreement_by_bird_is_that_of_its_pairs(
    lesson: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [some_parts(seed) for seed in range(3)]
    judged = [some_parts(seed + 9).features for seed in range(3)]
    monkeypatch.setitem(lesson["by_bird"].__globals__, "judged", judged)
    first, second, third = (
        label_agreement([parts[i], parts[j]], [judged[i], judged[j]]).as_named
        for i, j in ((0, 1), (0, 2), (1, 2))
    )
    expected = np.array([first + second, first + third, second + third]) / 2
    np.testing.assert_allclose(lesson["by_bird"](parts), expected)


def test_bands_are_equal_and_go_down(lesson: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bands = lesson["bands"]
    monkeypatch.setitem(bands.__globals__, "k", 4)
    labels = bands(np.ones((6, 6), bool))
    np.testing.assert_array_equal(np.bincount(labels), [9] * 4)
    assert (np.diff(labels) >= 0).all()


def test_the_tiny_network_and_picture_are_those_of_the_exercise(lesson: dict[str, Any]) -> None:
    labels = lesson["assign"](checks.TINY, checks.CLASSIFIER).argmax(1)
    assert labels.tolist() == [0, 0, 1, 1]


# ----------------------------------------------------------------------------------------------- figures


def test_pictures_are_seen_through_outlined_parts(photograph: np.ndarray) -> None:
    picture = load_image(photograph)
    height, width = picture.height, picture.width
    features = PatchFeatures(torch.zeros(4, 1), (2, 2), None, (height, width), "made by hand")
    shown = coloured(picture, Parts(np.array([[1, 0], [0, 2]]), features)).astype(float)
    corner = shown[shown.shape[0] // 4, 3 * shown.shape[1] // 4]
    assert corner.std() == 0
    h, w = shown.shape[:2]
    for place, label in (((h // 4, w // 4), 1), ((3 * h // 4, 3 * w // 4), 2)):
        colour = shown[place] - OPACITY * PALETTE[label - 1]
        assert np.ptp(colour) < 1.01  # what is left is grey
    np.testing.assert_array_equal(shown[h // 4, w // 2 - 1], PALETTE[0])
    assert shown[h // 4, w // 2].std() == 0  # the outline lies inside


def test_parts_are_numbered_as_the_reference_numbers_them() -> None:
    reference = [some_parts(seed, k=4) for seed in range(3)]
    swapped = [replace(one, labels=np.array([0, 3, 1, 4, 2])[one.labels]) for one in reference]
    for given, wanted in zip(named_alike(swapped, reference), reference, strict=True):
        np.testing.assert_array_equal(given.labels, wanted.labels)
    one_part = [replace(one, labels=np.where(one.labels > 0, 2, 0)) for one in reference]
    labels = np.concatenate([one.labels.ravel() for one in named_alike(one_part, reference)])
    all_labels = np.concatenate([one.labels.ravel() for one in reference])
    assert set(labels) == {0, int(np.bincount(all_labels)[1:].argmax()) + 1}


def test_figures_have_a_panel_for_each(photograph: np.ndarray) -> None:
    picture = load_image(photograph)
    features = PatchFeatures(torch.zeros(4, 1), (2, 2), None, (picture.height, picture.width), "by hand")
    one = Parts(np.array([[1, 3], [0, 2]]), features)
    figure = parts_figure(
        [picture] * 3, [one] * 3, list("abc"), columns=2, points=[[(10, 20), None, None]] * 3
    )
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["part 1", "part 2", "part 3", "head", "tail", "foot"]
    assert len(figure.axes[0].lines) == 1
    figure = parts_figure([picture] * 3, [one] * 3, list("abc"), columns=2, originals=True)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "", "", "c", "", "", ""]
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1, 1, 0, 1, 0]
    figure = modes_figure([picture] * 2, {"joint": [one] * 2, "other": [one] * 2}, ["x", "y"])
    assert len(figure.axes) == 6
    figure = keypoints_figure({"joint": np.array([[0, 3], [2, 1], [0, 0]])})
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "3", "2", "1", "0", "0"]
    agreement = label_agreement([some_parts(1), some_parts(2)])
    figure = agreement_figure({"left": {"joint": (agreement, 0.25)}, "right": {"joint": (agreement, 0.25)}})
    drawn = [float(line.get_xdata()[0]) for line in figure.axes[0].lines]  # type: ignore[index,arg-type]
    assert drawn == [0.25, agreement.renamed, agreement.as_named]


# ---------------------------------------------------------------------------------------------- explorer


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load_backbone("pixels", device="cpu")


@pytest.fixture(scope="module")
def explorer(backbone: Any) -> Explorer:
    return explore_parts(backbone, PICTURES)


def expected(backbone: Any, k: int, mode: Any, two_stage: bool, chosen: int) -> Any:
    pictures = [load_image(path) for path in PICTURES]
    features = [backbone(picture, cls=False) for picture in pictures]
    recipe = backbone.recipe
    where = [np.ones(one.grid, bool) for one in features]
    options: dict[str, Any] = {"epochs": 10, "learning_rate": recipe.learning_rate}
    if two_stage:
        where, options = [one.foreground for one in cut(features, recipe=recipe)], {}
    parts = find_parts(features, where, k, mode=mode, recipe=recipe, **options)
    names = [path.stem for path in PICTURES]
    return parts_view(pictures, parts, names, chosen, label_agreement(parts))


def test_the_explorer_shows_the_functions_figure(explorer: Explorer, backbone: Any) -> None:
    explorer.set(k=3, mode="shared start", two_stage=True, picture=0)
    before = expected(backbone, 3, "shared start", True, 0)
    assert same_picture(explorer.figure, before)
    explorer.controls["k"].value = 2
    assert not same_picture(explorer.figure, before)
    explorer.set(mode="sequential", two_stage=False, picture=2)
    assert same_picture(explorer.figure, expected(backbone, 2, "sequential", False, 2))


def test_a_click_on_a_small_picture_chooses_it(explorer: Explorer) -> None:
    explorer.set(k=2, mode="shared start", two_stage=True, picture=0)
    canvas = explorer.figure.canvas

    def click(x: float, y: float) -> None:
        size = explorer.figure.bbox
        event = MouseEvent("button_press_event", canvas, x * size.width, (1 - y) * size.height, button=1)
        canvas.callbacks.process("button_press_event", event)

    click(0.2, 0.6)  # second row, first column, beside the upright picture
    assert explorer.values["picture"] == 2
    click(0.4, 0.2)
    assert explorer.values["picture"] == 1
    click(0.8, 0.5)  # the large one
    click(0.99, 0.99)
    assert explorer.values["picture"] == 1


def test_a_single_picture_has_nothing_to_agree_with(backbone: Any) -> None:
    explorer = explore_parts(backbone, PICTURES[:1])
    assert "at least two pictures" in explorer.message


# ------------------------------------------------------------------------------------------------ checks


def says(check: Callable[[Any], Any], answer: Any, words: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert words in verdict.message, verdict


def test_renamings() -> None:
    for right in ((24, 1 / 24, 1), [24, 0.041667, 1.0], torch.tensor([24, 1 / 24, 1])):
        assert checks.check_renamings(right)
    says(checks.check_renamings, (256, 1 / 24, 1), "given once")
    says(checks.check_renamings, (16, 1 / 24, 1), "how many are then left")
    says(checks.check_renamings, (12, 1 / 24, 1), "order of the four")
    says(checks.check_renamings, (24, 1 / 576, 1), "Divide by 24 once")
    says(checks.check_renamings, (24, 0.25, 1), "probability")
    says(checks.check_renamings, (24, 1 / 24, 0.25), "one part")
    says(checks.check_renamings, (24, 1 / 24, 2), "Add up")
    says(checks.check_renamings, 24, "shape")


def rotation(degrees: float) -> Tensor:
    t = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([torch.stack([t.cos(), t.sin()]), torch.stack([-t.sin(), t.cos()])])


def test_rotation() -> None:
    for right in ([[-1, 0], [0, -1]], rotation(180), rotation(166).numpy(), rotation(205)):
        assert checks.check_rotation(right)
    says(checks.check_rotation, [[0, 1], [1, 0]], "mirror")
    says(checks.check_rotation, [[-2, 0], [0, -2]], "W changes")
    says(checks.check_rotation, rotation(90), "2 of the four")
    says(checks.check_rotation, rotation(0), "4 of the four")
    says(checks.check_rotation, 180, "shape")


def test_rename() -> None:
    def right(first: np.ndarray, second: np.ndarray, k: int) -> np.ndarray:
        counts = np.zeros((k, k), int)
        np.add.at(counts, (first - 1, second - 1), 1)
        rows, columns = checks.linear_sum_assignment(-counts)
        names = np.zeros(k, int)
        names[columns] = rows + 1
        return names[second - 1]

    def majority(first: np.ndarray, second: np.ndarray, k: int) -> np.ndarray:
        counts = np.zeros((k, k), int)
        np.add.at(counts, (first - 1, second - 1), 1)
        return counts.argmax(0)[second - 1] + 1

    def worst(first: np.ndarray, second: np.ndarray, k: int) -> np.ndarray:
        if len(first) == 6:
            return right(first, second, k)
        counts = np.zeros((k, k), int)
        np.add.at(counts, (first - 1, second - 1), 1)
        rows, columns = checks.linear_sum_assignment(counts)
        names = np.zeros(k, int)
        names[columns] = rows + 1
        return names[second - 1]

    assert checks.check_rename(right)
    assert checks.check_rename(lambda a, b, k: right(a, b, k).tolist())
    says(checks.check_rename, lambda a, b, k: b, "unchanged")
    says(checks.check_rename, lambda a, b, k: np.array([0, 3, 1, 2])[b], "wrong way")
    says(checks.check_rename, majority, "one-to-one")
    says(checks.check_rename, worst, "another renaming")
    says(checks.check_rename, lambda a, b, k: a, "two new names")
    says(checks.check_rename, lambda a, b, k: right(a, b, k) - 1, "expected")
    says(checks.check_rename, lambda a, b, k: right(a, b, k)[:2], "shape")


def test_above_chance() -> None:
    def right(first: np.ndarray, second: np.ndarray) -> float:
        p = (first == second).mean()
        c = sum((first == one).mean() * (second == one).mean() for one in np.union1d(first, second))
        return float((p - c) / (1 - c)) if c < 1 else 0.0

    def unguarded(first: np.ndarray, second: np.ndarray) -> float:
        if first.max() == first.min() == second.max() == second.min():
            return float("nan")
        return right(first, second)

    assert checks.check_above_chance(right)
    assert checks.check_above_chance(lambda a, b: torch.tensor(right(a, b)))
    says(checks.check_above_chance, lambda a, b: (a == b).mean(), "plain agreement")
    says(checks.check_above_chance, lambda a, b: ((a == b).mean() - 1 / 3) / (2 / 3), "1/k")
    says(checks.check_above_chance, unguarded, "Return 0")
    says(checks.check_above_chance, lambda a, b: right(a, b) ** 2, "Chance is")

    def undivided(first: np.ndarray, second: np.ndarray) -> float:
        c = sum((first == one).mean() * (second == one).mean() for one in np.union1d(first, second))
        return float((first == second).mean() - c)

    says(checks.check_above_chance, undivided, "Divide by")


def test_turned_weights() -> None:
    def with_first(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., dict[str, Tensor]]:
        return lambda weights, Q: {**weights, "gcn_weight": change(weights["gcn_weight"], Q)}

    def in_place(weights: dict[str, Tensor], Q: Tensor) -> dict[str, Tensor]:
        weights["gcn_weight"] = weights["gcn_weight"] @ Q
        return weights

    assert checks.check_turned_weights(with_first(lambda W, Q: W @ Q))
    says(checks.check_turned_weights, with_first(lambda W, Q: W @ Q.T), "other way")
    says(checks.check_turned_weights, with_first(lambda W, Q: W), "old weights")
    says(checks.check_turned_weights, with_first(lambda W, Q: Q @ W.T), "shape")
    says(checks.check_turned_weights, with_first(lambda W, Q: 2 * W @ Q), "must be F times")
    says(checks.check_turned_weights, in_place, "changes the weights")
    says(checks.check_turned_weights, lambda weights, Q: weights["gcn_weight"] @ Q, "dictionary")
    says(
        checks.check_turned_weights,
        lambda weights, Q: {
            **weights,
            "gcn_weight": weights["gcn_weight"] @ Q,
            "gcn_bias": Q[0, 0] + weights["gcn_bias"],
        },
        "leave gcn_bias",
    )


class Odd:
    """An answer that cannot be turned into an array."""

    def __array__(self, *given: Any, **options: Any) -> np.ndarray:
        raise RuntimeError("no array")


ODD: list[Any] = [
    *(None, ..., "", "abc", b"x", [], {}, [[]], [1, "a"], [[1, 2], [3]], 0, 1.5, True, 1j, 10**400),
    *(np.nan, [np.nan] * 3, [[np.nan, 0], [0, np.nan]], np.zeros(0), np.zeros((0, 2)), np.eye(3), [1.5] * 6),
    *(torch.zeros(0), torch.eye(2, requires_grad=True) * 2, torch.eye(2).to_sparse(), Odd(), int, iter([1])),
    *({"gcn_weight": 1}, dict.fromkeys(NAMES), dict.fromkeys(NAMES, "a"), dict.fromkeys(NAMES, np.nan)),
    *(dict.fromkeys(NAMES, Odd()), dict.fromkeys(NAMES, torch.eye(2) * 1j)),
]


def fails(*given: Any) -> Any:
    raise KeyError("a mistake")


@pytest.mark.parametrize(
    "check",
    [
        checks.check_renamings,
        checks.check_rotation,
        checks.check_rename,
        checks.check_above_chance,
        checks.check_turned_weights,
    ],
)
def test_whatever_is_given_there_is_a_verdict(check: Callable[[Any], Any]) -> None:
    for answer in ODD:
        for given in (answer, lambda *_, answer=answer: answer):
            verdict = check(given)
            assert not verdict, answer
            assert len(verdict.message) > 20
    assert not check(fails)


def test_a_function_may_break_at_any_call() -> None:
    def kappa(first: np.ndarray, second: np.ndarray) -> float:
        return float(cohen_kappa_score(first, second)) if len({*first, *second}) > 1 else 0.0

    def only_where_labels_differ(collapsed: Any) -> Callable[..., Any]:
        return lambda a, b: kappa(a, b) if len({*a, *b}) > 1 else collapsed

    assert checks.check_above_chance(kappa)
    for collapsed in ("a", [], [0, 0], np.nan, np.inf, 1, Odd(), torch.zeros(0)):
        says(checks.check_above_chance, only_where_labels_differ(collapsed), "Return 0")
    says(checks.check_above_chance, only_where_labels_differ(None), "returns None")

    calls: list[int] = []

    def once(weights: dict[str, Tensor], Q: Tensor) -> dict[str, Tensor]:
        calls.append(1)
        return {**weights, "gcn_weight": weights["gcn_weight"] @ Q} if len(calls) == 1 else fails()

    says(checks.check_turned_weights, once, "KeyError")
    for odd in ("a", None, Odd(), torch.eye(2) * 1j):
        says(checks.check_turned_weights, lambda w, Q, odd=odd: {**w, "gcn_weight": odd}, "gcn_weight")
