"""Lesson 4: what the notebook defines, its explorer, and its checks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from scipy.linalg import eigh
from sklearn.metrics import adjusted_rand_score

from deepcut_lib import PatchFeatures, load_backbone
from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.baselines import tokencut
from deepcut_lib.baselines.spectral import spectral
from deepcut_lib.features import normalize
from deepcut_lib.foreground import (
    background_clusters,
    best_union,
    border_share,
    corner_rule,
    foreground_box,
    paper_rule,
    touched_edges,
)
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.verdict import Verdict
from deepcut_lib.lessons.localization import checks
from deepcut_lib.lessons.localization import explorer as widgets
from deepcut_lib.lessons.localization import figures as plots
from deepcut_lib.localization import localize
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import box_iou, box_of, corloc
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.recipe import Recipe
from tests.conftest import DATA
from tests.lessons.definitions import definitions, same_picture


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return definitions("04_localization")


@pytest.fixture
def maps() -> list[np.ndarray]:
    """Label maps of many shapes, some with numbers that no patch has."""
    rng = np.random.default_rng(0)
    shapes = [(2, 2), (3, 5), (4, 4), (6, 3), (8, 8)] * 12
    return [rng.integers(0, k, shape) for shape, k in zip(shapes, [1, 2, 3, 4, 7, 9] * 10, strict=True)]


# What the notebook defines


def test_edges_by_loops_and_slices_are_the_library_s(lesson: dict[str, Any], maps: list[np.ndarray]) -> None:
    for labels in maps:
        expected = touched_edges(labels)
        assert np.array_equal(lesson["touched_edges_by_loops"](labels), expected)
        assert np.array_equal(lesson["touched_edges_vectorised"](labels), expected)


def test_border_rules_are_the_library_s(lesson: dict[str, Any], maps: list[np.ndarray]) -> None:
    for labels in maps:
        assert np.array_equal(lesson["library_rule"](labels), background_clusters(labels))
        assert np.array_equal(lesson["paper_rule"](labels), paper_rule(labels))
        assert np.array_equal(lesson["corner_rule"](labels), corner_rule(labels))


def test_the_corner_rule_is_the_published_code_s_for_two_clusters() -> None:
    rng = np.random.default_rng(1)
    for labels in rng.integers(0, 2, (40, 4, 5)):
        if labels.max() < 1:
            continue
        corners = labels[0, 0] + labels[0, -1] + labels[-1, 0] + labels[-1, -1]
        published = 1 - labels if corners > 2 else labels
        assert np.array_equal(~corner_rule(labels)[labels], published.astype(bool))


def test_the_tight_box_is_the_library_s_for_one_part(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        (y1, y2), (x1, x2) = np.sort(rng.integers(0, 7, (2, 2)), axis=1)
        foreground = np.zeros((7, 9), bool)
        foreground[y1 : y2 + 1, x1 : x2 + 1] = True
        size = tuple(int(side) for side in rng.integers(20, 300, 2))
        assert lesson["tight_box"](foreground, size) == foreground_box(foreground, size)


def test_iou_by_counting_is_the_library_s(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    for corner, side in zip(rng.integers(0, 9, (40, 2, 2)), rng.integers(1, 9, (40, 2, 2)), strict=True):
        one, other = ((*map(int, c), *map(int, c + s)) for c, s in zip(corner, side, strict=True))
        assert lesson["box_iou_by_counting"](one, other) == pytest.approx(box_iou(one, other))


def test_the_eigenvector_is_tokencut_s(lesson: dict[str, Any], generator: torch.Generator) -> None:
    values = torch.randn(48, 6, generator=generator)
    features = PatchFeatures(values, (6, 8), None, (60, 80), "made")
    for tau in (0.2, 0.5):
        expected = tokencut(features, tau).eigenvector
        np.testing.assert_allclose(lesson["second_eigenvector"](features, tau), expected, atol=1e-9)


def test_spectral_clusters_are_the_library_s(lesson: dict[str, Any], generator: torch.Generator) -> None:
    for n_clusters in (2, 3):
        graph = ncut_graph(torch.rand(40, 5, generator=generator))
        vectors = lesson["first_eigenvectors"](graph.affinity.double().numpy(), 3)
        found = lesson["spectral_labels"](vectors, n_clusters, 0)
        assert adjusted_rand_score(found, spectral(graph, n_clusters)) == 1


def test_unions_by_loops_are_the_library_s(lesson: dict[str, Any], generator: torch.Generator) -> None:
    rng = np.random.default_rng(4)
    tried = 0
    for n_clusters in (3, 4, 5):
        for _ in range(6):
            labels = np.zeros((8, 9), int)
            labels[1:-1, 1:-1] = rng.integers(0, n_clusters, (6, 7))
            labels[0, :3] = n_clusters - 1
            graph = ncut_graph(torch.rand(72, 4, generator=generator))
            scores = lesson["union_scores"](labels, graph.affinity.numpy())
            union = min(scores, key=scores.get)
            background, score = best_union(labels, graph)
            assert np.array_equal(np.flatnonzero(~background), union)
            assert score == pytest.approx(scores[union], abs=1e-4)
            tried += len(scores) > 1
    assert tried


def test_the_middle_box_has_half_of_each_side(lesson: dict[str, Any]) -> None:
    assert lesson["middle_box"](Image.new("RGB", (80, 40))) == (20, 10, 60, 30)


def test_the_rival_gets_the_features_that_are_clustered(
    lesson: dict[str, Any], generator: torch.Generator
) -> None:
    features = PatchFeatures(torch.rand(12, 5, generator=generator), (3, 4), None, (30, 40), "made")
    clustered = lesson["as_clustered"](features, Recipe(centred=True))
    assert torch.equal(clustered.values, normalize(features.values))
    plain = lesson["as_clustered"](features, Recipe(centred=False))
    assert torch.equal(plain.values, features.values)


# The explorer and its parts


@pytest.fixture(scope="module")
def remembering() -> RememberingBackbone:
    return RememberingBackbone(load_backbone("pixels"))


@pytest.fixture(scope="module")
def explorer(remembering: RememberingBackbone) -> Explorer:
    return widgets.explore_localization(DATA, remembering)


def expected_figure(
    backbone: Backbone, name: str, options: dict[str, Any], rule: Callable[[np.ndarray], np.ndarray]
) -> Any:
    picture = Image.open(DATA / "images" / f"{name}.jpg").convert("RGB")
    cut = localize(picture, backbone=backbone, recipe=backbone.recipe, **options)
    labels = cut.segmentation.labels
    background = rule(labels)
    box = foreground_box(~background[labels], (picture.height, picture.width))
    mask = DATA / "masks" / f"{name}.png"
    truth = box_of(read_mask(mask)) if mask.exists() else None
    return plots.localization_figure(picture, labels, background, box, truth)


def test_controls_lead_to_the_very_figure(explorer: Explorer, remembering: Backbone) -> None:
    first = explorer.controls["picture"].options[0]
    usual = expected_figure(
        remembering, first, {"n_clusters": remembering.recipe.n_clusters}, background_clusters
    )
    assert same_picture(explorer.figure, usual)
    explorer.controls["picture"].value = "vehicle_09"
    explorer.controls["clusters"].value = 2
    explorer.controls["rule"].value = "four corners (published code)"
    explorer.controls["seed"].value = 3
    options = {"n_clusters": 2, "random_state": 3}
    assert same_picture(explorer.figure, expected_figure(remembering, "vehicle_09", options, corner_rule))
    assert not same_picture(explorer.figure, expected_figure(remembering, "vehicle_09", options, paper_rule))


def test_cc_and_a_photograph_without_a_mask(explorer: Explorer, remembering: Backbone) -> None:
    explorer.set(
        picture="photo_cat",
        objective="cc",
        rule="more than two edges (paper)",
        seed=0,
    )
    expected = expected_figure(remembering, "photo_cat", {"objective": "cc"}, paper_rule)
    assert same_picture(explorer.figure, expected)


def test_a_picture_that_cannot_be_read_is_a_message(
    tmp_path: Path, remembering: RememberingBackbone, photograph: np.ndarray
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(photograph).save(tmp_path / "images" / "a.jpg")
    (tmp_path / "images" / "b.jpg").write_bytes(b"")
    explorer = widgets.explore_localization(tmp_path, remembering)
    assert explorer._status.value == ""
    explorer.controls["picture"].value = "b"
    assert "empty" in explorer._status.value
    explorer.controls["picture"].value = "a"
    assert explorer._status.value == ""


def test_features_are_computed_once(photograph: np.ndarray) -> None:
    plain = load_backbone("pixels")
    remembering = RememberingBackbone(plain)
    first = remembering(photograph, cls=False)
    assert remembering(Image.fromarray(photograph), cls=False) is first
    assert torch.equal(first.values, plain(photograph, cls=False).values)
    assert RememberingBackbone(remembering)(photograph, cls=False) is first
    assert remembering(255 - photograph, cls=False) is not first
    assert remembering(photograph, cls=False, size=112).grid != first.grid
    assert remembering.recipe == plain.recipe


def test_another_prior_speaks_of_what_is_known_already(
    photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_backbone("pixels")
    remembering = RememberingBackbone(plain)
    known = remembering(photograph, cls=False)
    prior = ForegroundPrior(torch.linspace(-1, 1, known.values.shape[1]), 0.0, "pixels")
    guided = remembering.with_prior(prior)
    with monkeypatch.context() as patched:  # no second look
        patched.setattr(guided, "batch", None)
        assert guided(photograph, cls=False).prior is not None
    for picture in (photograph, 255 - photograph):  # one that it knows, and one that it has yet to see
        of_guided = guided(picture, cls=False)
        torch.testing.assert_close(of_guided.prior, plain.with_prior(prior)(picture, cls=False).prior)
        assert guided(picture, cls=False) is of_guided
        assert guided.with_prior(None)(picture, cls=False).prior is None
    assert torch.equal(guided(photograph, cls=False).values, known.values)
    assert remembering(photograph, cls=False) is known and known.prior is None
    assert guided.foreground_recipe == plain.with_prior(prior).foreground_recipe
    again = RememberingBackbone(guided)
    assert again.prior is prior
    assert again(photograph, cls=False) is guided(photograph, cls=False)


def test_the_figure_draws_ten_clusters_and_an_absent_one() -> None:
    labels = np.arange(12).reshape(3, 4)
    labels[labels == 5] = 11
    figure = plots.localization_figure(
        Image.new("RGB", (40, 30)), labels, np.zeros(12, bool), (0, 0, 40, 30), (1, 1, 9, 9)
    )
    words = [text.get_text() for text in figure.axes[2].texts]
    assert "11" in words
    assert "5" not in words
    assert words.count("foreground") == 11


# The checks of the exercises


def test_shifted_boxes() -> None:
    assert checks.check_shifted([0.6, 0.5, 0.391])
    assert checks.check_shifted(torch.tensor([0.6, 0.5, 0.391]))
    assert "one box" in checks.check_shifted([0.75, 0.667, 0.5625]).message
    assert "A third" in checks.check_shifted([0.6, 0.6, 0.39]).message
    assert "missing" in checks.check_shifted(...).message
    assert "shape" in checks.check_shifted([0.6, 0.5]).message


def iou_with(first: Any, second: Any, *, floor: int | None = 0, extra: int = 0, twice: bool = False) -> float:
    sides = [min(first[i + 2], second[i + 2]) - max(first[i], second[i]) + extra for i in (0, 1)]
    if floor is not None:
        sides = [max(side, floor) for side in sides]
    both = sides[0] * sides[1]
    total = sum((box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (first, second))
    return both / (total if twice else total - both)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ({"floor": None}, "negative"),
        ({"extra": 1}, "exclusive"),
        ({"twice": True}, "overlap twice"),
    ],
)
def test_box_iou_mistakes_get_their_own_words(mistake: dict[str, Any], words: str) -> None:
    assert words in checks.check_box_iou(lambda one, other: iou_with(one, other, **mistake)).message


def test_box_iou_right_answers() -> None:
    assert checks.check_box_iou(box_iou)
    assert checks.check_box_iou(lambda one, other: torch.tensor(box_iou(one, other)))
    assert "None" in checks.check_box_iou(lambda one, other: None).message
    assert "ZeroDivisionError" in checks.check_box_iou(lambda one, other: 1 / 0).message
    clipped_late = checks.check_box_iou(
        lambda one, other: max(iou_with(one, other, floor=None), 0)  # two negatives still make a positive
    )
    assert "positive product" in clipped_late.message


def test_border_share() -> None:
    def corners_twice(labels: np.ndarray) -> np.ndarray:
        strips = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        return np.bincount(strips, minlength=labels.max() + 1) / len(strips)

    def whole(labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels.ravel()) / labels.size

    def counts(labels: np.ndarray) -> np.ndarray:
        border = np.ones(labels.shape, bool)
        border[1:-1, 1:-1] = False
        return np.bincount(labels[border], minlength=labels.max() + 1)

    assert checks.check_border_share(border_share)
    assert checks.check_border_share(lambda labels: border_share(labels).tolist())
    assert "twice" in checks.check_border_share(corners_twice).message
    assert "whole picture" in checks.check_border_share(whole).message
    assert "sum to one" in checks.check_border_share(counts).message
    assert "shape" in checks.check_border_share(lambda labels: border_share(labels)[:1]).message


def test_main_box(lesson: dict[str, Any]) -> None:
    tight = lesson["tight_box"]

    def labelled(foreground: np.ndarray, structure: np.ndarray | None = None) -> np.ndarray:
        parts, _ = ndimage.label(foreground, structure)
        return parts == 1 + np.bincount(parts.ravel())[1:].argmax()

    def rows_first(foreground: np.ndarray, size: tuple[int, int]) -> tuple[int, ...]:
        x1, y1, x2, y2 = foreground_box(foreground, size)
        return (y1, x1, y2, x2)

    def inclusive(foreground: np.ndarray, size: tuple[int, int]) -> tuple[float, ...]:
        x1, y1, x2, y2 = foreground_box(foreground, size)
        return (x1, y1, x2 - size[1] / foreground.shape[1], y2 - size[0] / foreground.shape[0])

    eight = np.ones((3, 3), int)
    assert checks.check_main_box(foreground_box)
    assert checks.check_main_box(lambda kept, size: np.array(foreground_box(kept, size)))
    assert "crumb" in checks.check_main_box(tight).message
    assert (
        "not connected"
        in checks.check_main_box(lambda kept, size: tight(labelled(kept, eight), size)).message
    )
    assert not checks.check_main_box(
        lambda kept, size: tight(labelled(kept), size)
    )  # fails without foreground
    assert "x1, y1, x2, y2" in checks.check_main_box(rows_first).message
    assert "behind the last patch" in checks.check_main_box(inclusive).message
    assert "pixels" in checks.check_main_box(lambda kept, size: foreground_box(kept, kept.shape)).message


def test_corloc() -> None:
    def mean_of(wanted: Callable[[list[float]], float]) -> Callable[..., float]:
        return lambda predicted, truths: float(
            np.mean(
                [
                    wanted([box_iou(box, true) for true in boxes])
                    for box, boxes in zip(predicted, truths, strict=True)
                ]
            )
        )

    def only_with_truth(predicted: list[Any], truths: list[Any]) -> float:
        kept = [(box, boxes) for box, boxes in zip(predicted, truths, strict=True) if boxes]
        return corloc([box for box, _ in kept], [boxes for _, boxes in kept])

    assert checks.check_corloc(corloc)
    assert checks.check_corloc(lambda predicted, truths: np.float32(corloc(predicted, truths)))
    assert "per cent" in checks.check_corloc(lambda *given: 100 * corloc(*given)).message
    assert "several" in checks.check_corloc(mean_of(lambda ious: bool(ious) and ious[0] >= 0.5)).message
    assert "one hit" in checks.check_corloc(mean_of(lambda ious: sum(iou >= 0.5 for iou in ious))).message
    assert "≥" in checks.check_corloc(mean_of(lambda ious: any(iou > 0.5 for iou in ious))).message
    assert "denominator" in checks.check_corloc(only_with_truth).message


def test_a_map_that_is_all_background() -> None:
    arms = np.zeros((6, 6), int)
    arms[2:4] = 1
    arms[3:, 2:4] = 1
    assert checks.check_all_background(arms)
    assert checks.check_all_background(arms.tolist())
    assert "cluster 0, which holds" in checks.check_all_background(1 - arms).message
    inside = np.zeros((6, 6), int)
    inside[2:4, 2:4] = 1
    assert "lies on 0" in checks.check_all_background(inside).message
    assert "both 0 and 1" in checks.check_all_background(np.zeros((6, 6))).message
    assert "0 and 1 only" in checks.check_all_background(arms * 2).message
    assert "shape" in checks.check_all_background(arms[:5]).message


def cut_by_eigenvector(
    values: np.ndarray, grid: tuple[int, int], *, cosine: bool = True, sign: float = 0, part: bool = True
) -> np.ndarray:
    unit = values / np.linalg.norm(values, axis=1, keepdims=True) if cosine else values
    affinity = np.where(unit @ unit.T > 0.2, 1.0, 1e-5)
    degrees = np.diag(affinity.sum(axis=1))
    vector = eigh(degrees - affinity, degrees)[1][:, 1]
    seed = np.abs(vector).argmax()
    vector = vector * (sign or np.sign(vector[seed] - vector.mean()))
    side = (vector > vector.mean()).reshape(grid)
    parts, _ = ndimage.label(side)
    return parts == parts.ravel()[seed] if part else side


def test_tokencut() -> None:
    assert checks.check_tokencut(cut_by_eigenvector)
    assert checks.check_tokencut(lambda values, grid: cut_by_eigenvector(values, grid).astype(int).tolist())
    for mistake, words in [
        ({"cosine": False}, "length one"),
        ({"part": False}, "hangs together"),
        ({"sign": 1, "part": False}, "turn v round"),
        ({"sign": -1, "part": False}, "turn v round"),
    ]:
        verdict = checks.check_tokencut(lambda values, grid, m=mistake: cut_by_eigenvector(values, grid, **m))
        assert words in verdict.message
        assert not verdict
    assert "shape" in checks.check_tokencut(lambda values, grid: np.zeros(len(values))).message
    assert "True and False" in checks.check_tokencut(lambda values, grid: np.full(grid, 0.3)).message


@pytest.mark.parametrize("made", checks.OBJECTS.values(), ids=checks.OBJECTS)
def test_tokencut_s_pictures_leave_no_doubt(made: tuple[list[str], int, float]) -> None:
    cut = tokencut(checks.made_features(*made))
    size = np.sort(np.abs(cut.eigenvector).ravel())
    assert size[-1] - size[-2] > 0.01 * size[-1]
    assert np.abs(cut.eigenvector - cut.eigenvector.mean()).min() > 0.01 * size[-1]


CHECKS = {name: check for name, check in vars(checks).items() if name.startswith("check_")}


def mutating(*arguments: Any) -> Any:
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            argument[:] = 0
        elif isinstance(argument, list):
            argument.clear()
    return 0.5


ODD = {
    "none": None,
    "ellipsis": ...,
    "words": "a box",
    "a number": 7,
    "nan": float("nan"),
    "a huge number": [10**400] * 3,
    "an empty list": [],
    "a ragged list": [[1, 2], [3]],
    "words in a list": ["a", "b", "c"],
    "a dictionary": {"a": 1},
    "complex numbers": np.full(3, 1j),
    "objects": np.array([None, object(), "a"]),
    "a sparse tensor": torch.eye(6).to_sparse(),
    "half precision": torch.ones(6, 6, dtype=torch.bfloat16),
    "a class": dict,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_whatever_is_handed_in_or_returned_gets_a_verdict(
    check: Callable[[Any], Verdict], odd: object
) -> None:
    for answer in (odd, lambda *arguments: odd, lambda: odd):
        verdict = check(answer)
        assert isinstance(verdict, Verdict)
        assert not verdict
        assert len(verdict.message) > 10


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_functions_that_fail_or_spoil_their_input_get_a_verdict(check: Callable[[Any], Verdict]) -> None:
    def failing(*arguments: Any) -> Any:
        raise KeyError

    def recurring(*arguments: Any) -> Any:
        return recurring(*arguments)

    for answer in (failing, recurring, mutating):
        verdict = check(answer)
        assert isinstance(verdict, Verdict)
        assert not verdict
    assert check(mutating) == check(mutating)
