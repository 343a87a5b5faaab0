"""Lesson 5: what the notebook defines, its figures, its explorer, and its checks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deepcut_lib import DeepCut, PatchFeatures, load_backbone, segment
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.features import upsample
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.masks import Panel, masks_figure
from deepcut_lib.lessons.segmentation import checks
from deepcut_lib.lessons.segmentation import figures as plots
from deepcut_lib.lessons.segmentation.explorer import explore_segment
from deepcut_lib.losses import prior_term, soft_ncut_loss
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import PRIOR_RECIPE
from deepcut_lib.refinement import bilateral_solver
from tests.conftest import DATA
from tests.lessons.definitions import definitions, same_picture


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return definitions("05_segmentation")


@pytest.fixture(scope="module")
def backbone() -> RememberingBackbone:
    return RememberingBackbone(load_backbone("pixels"))


def read(name: str) -> tuple[Image.Image, np.ndarray]:
    picture = Image.open(DATA / "images" / f"{name}.jpg").convert("RGB")
    return picture, np.asarray(Image.open(DATA / "masks" / f"{name}.png")) > 127


# What the notebook defines


def test_enlarging_is_the_library_s(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for grid, size in (((2, 2), (8, 8)), ((3, 5), (40, 33)), ((28, 28), (330, 440)), ((1, 4), (7, 9))):
        features = PatchFeatures(torch.zeros(grid[0] * grid[1], 1), grid, None, size, "made")
        foreground = rng.random(grid) > 0.5
        expected = upsample(foreground, features, smooth=True)
        enlarged = lesson["enlarge"](foreground, size)
        np.testing.assert_allclose(enlarged, expected, atol=1e-6)
        assert np.array_equal(enlarged > 0.5, expected > 0.5)


def test_iou_is_the_library_s(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    for share in (0.0, 0.2, 0.7, 1.0):
        one, other = rng.random((2, 9, 7)) < share
        assert lesson["iou"](one, other) == pytest.approx(mask_iou(one, other))


def test_the_hand_s_weights_are_the_vectorised_ones(lesson: dict[str, Any]) -> None:
    by_hand = [[lesson["weight"](pixel, patch) for patch in range(2)] for pixel in range(8)]
    np.testing.assert_allclose(by_hand, lesson["weights"](8, 2))


@pytest.mark.parametrize("name", ["fruit_01", "bird_14"])
@pytest.mark.parametrize("objective", ["ncut", "cc"])
def test_finding_the_foreground_is_what_segment_does(
    lesson: dict[str, Any], backbone: RememberingBackbone, name: str, objective: str
) -> None:
    picture, truth = read(name)
    features, recipe = backbone(picture, cls=False), backbone.recipe
    values = lesson["prepare"](features.values, recipe)
    k = 10 if objective == "cc" else recipe.n_clusters
    # the twelve starts of a single fit, of which the second four are those of seed 4
    starts = DeepCut(k, objective, learning_rate=recipe.learning_rate, n_init=12).fit(values).start_labels_
    foreground = lesson["find_foreground"](ncut_graph(values), starts[4:8], features.grid)
    expected = segment(picture, backbone=backbone, recipe=recipe, objective=objective, random_state=4).mask
    assert np.array_equal(lesson["enlarge"](foreground, truth.shape) > 0.5, expected)


@pytest.mark.parametrize("name", ["vehicle_03", "bird_01", "other_05", "mammal_13"])
def test_cutting_again_leaves_the_foreground_of_two_stages(
    lesson: dict[str, Any], backbone: RememberingBackbone, name: str
) -> None:
    picture, _ = read(name)
    first = segment(picture, backbone=backbone, recipe=backbone.recipe, random_state=1)
    values = backbone(picture, cls=False).values
    again = lesson["cut_again"](first.foreground, values, backbone.recipe, 1)
    expected = segment(picture, backbone=backbone, recipe=backbone.recipe, two_stage=True, random_state=1)
    assert np.array_equal(again, expected.foreground)


def test_a_second_cut_takes_the_part_on_the_border(lesson: dict[str, Any], blobs: torch.Tensor) -> None:
    values = torch.cat([blobs[:40], blobs[40:80], blobs[80:]])  # three bands of four rows
    foreground = np.ones((12, 10), bool)
    foreground[:4] = False  # below: one band in the middle, one on three edges
    recipe = load_backbone("pixels").recipe
    kept = lesson["cut_again"](foreground, values, recipe, 0)
    assert 0 < kept.sum() < foreground.sum()
    assert not (kept & ~foreground).any()


def test_the_row_of_pixels_is_solved_and_sides_with_the_library(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    brightness, target = rng.uniform(0, 255, 12), (rng.random(12) > 0.5).astype(float)
    x = lesson["solve_row"](brightness, target)
    w = 4 * np.exp(-(np.diff(brightness) ** 2) / 200)

    def energy(x: np.ndarray) -> float:
        return float((w * np.diff(x) ** 2).sum() + ((x - target) ** 2).sum())

    assert all(energy(x) < energy(x + step) for step in rng.normal(0, 0.01, (50, 12)))
    two_tones = np.array([30, 30, 30, 30, 220, 220, 220, 220.0])
    target = np.array([1, 1, 1, 0, 0, 0, 0, 0.0])
    strip = np.repeat(two_tones.astype(np.uint8)[None, :, None], 3, axis=2)
    library = bilateral_solver(strip, target[None] > 0.5)[0]
    assert np.array_equal(lesson["solve_row"](two_tones, target) > 0.5, library > 0.5)


def test_a_soft_mask_is_refined_as_the_library_does(
    lesson: dict[str, Any], backbone: RememberingBackbone
) -> None:
    for name in ("bird_01", "mammal_05"):
        picture, _ = read(name)
        result = segment(picture, backbone=backbone, recipe=backbone.recipe, refine=True)
        probability = upsample(result.probability, result.features, smooth=True)
        assert np.array_equal(lesson["solve_softly"](picture, probability, backbone.recipe), result.mask)
        gentle = lesson["solve_softly"](picture, probability, PRIOR_RECIPE)
        assert np.array_equal(gentle, PRIOR_RECIPE.sharpen(picture, probability))
        assert not np.array_equal(gentle, result.mask)


@pytest.mark.parametrize("k", [2, 4])
def test_the_loss_with_a_prior_is_the_library_s(lesson: dict[str, Any], blobs: torch.Tensor, k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    assignment = torch.randn(len(blobs), k, generator=generator).softmax(dim=1)
    prior = torch.rand(len(blobs), generator=generator)
    graph = ncut_graph(blobs)
    for mu in (0.0, 24.0):
        expected = soft_ncut_loss(graph, assignment) + mu * prior_term(assignment, prior)
        torch.testing.assert_close(lesson["cut_with_prior"](graph, assignment, prior, mu), expected)


# Figures


def test_masks_are_shown_in_rows_with_their_iou() -> None:
    picture, truth = read("bird_01")
    panels = [Panel(f"panel {i}", picture, truth, truth if i else None) for i in range(3)]
    axes = masks_figure(panels, columns=2).axes
    assert [one.get_title() for one in axes[:3]] == ["panel 0", "panel 1", "panel 2"]
    assert [one.get_xlabel() for one in axes[:3]] == ["", "IoU 1.00", "IoU 1.00"]
    assert not axes[3].axison


def test_empty_and_full_masks_can_be_shown() -> None:
    picture, truth = read("bird_01")
    for mask in (np.zeros_like(truth), np.ones_like(truth)):
        figure = masks_figure([Panel("", picture, mask, truth)])
        assert figure.axes[0].get_xlabel().startswith("IoU 0.")


def test_priors_are_shown_below_their_pictures() -> None:
    picture, _ = read("bird_01")
    sure, half = np.full((4, 6), 0.9), np.repeat([[0.2], [0.7]], 3, axis=1)
    figure = plots.prior_figure([picture, picture], [sure, half])
    above, below = ([axes.images[0] for axes in figure.axes[at : at + 2]] for at in (0, 2))
    for drawn, prior in zip(below, (sure, half), strict=True):
        np.testing.assert_allclose(drawn.get_array(), 2 * prior - 1)
        assert drawn.get_clim() == (-1, 1)
        assert drawn.get_extent() == [0, picture.width, picture.height, 0]
    colours, pixels = (np.asarray(shown) for shown in (above[1].get_array(), picture))
    assert np.array_equal(above[0].get_array(), pixels)
    assert np.array_equal(colours[-9:], pixels[-9:])
    assert (np.ptp(colours[:9], axis=2) == 0).all()


# The explorer


@pytest.fixture(scope="module")
def explorer(backbone: RememberingBackbone) -> Explorer:
    return explore_segment(DATA, backbone)


START = {
    "picture": "bird_01",
    "backbone": "pixels",
    "size": "usual",
    "stride": "usual",
    "objective": "ncut",
    "n_clusters": 3,
    "two_stage": False,
    "refine": False,
    "epochs": 10,
}


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, {}),
        ({"n_clusters": 5, "refine": True}, {"n_clusters": 5, "refine": True}),
        (
            {"picture": "vehicle_03", "objective": "cc", "n_clusters": 8},
            {"objective": "cc", "n_clusters": 8},
        ),
        ({"size": "half", "two_stage": True}, {"size": 224, "two_stage": True}),
    ],
)
def test_the_explorer_shows_what_segment_finds(
    explorer: Explorer, backbone: RememberingBackbone, values: dict[str, Any], options: dict[str, Any]
) -> None:
    explorer.set(**START | values)
    picture, truth = read(values.get("picture", "bird_01"))
    expected = segment(picture, backbone=backbone, recipe=backbone.recipe, **{"n_clusters": 3, **options})
    assert explorer.message == ""
    assert same_picture(explorer.figure, plots.segmentation_figure(picture, expected, truth))


def test_a_single_control_redraws(explorer: Explorer) -> None:
    explorer.set(**START)
    explorer.controls["n_clusters"].value = 4
    assert explorer.figure.axes[1].get_title().startswith("4 clusters")


def test_the_explorer_takes_finer_strides_and_other_backbones(explorer: Explorer) -> None:
    explorer.set(**START | {"stride": "half", "n_init": 1, "epochs": 1})
    assert explorer.figure.axes[0].get_title() == "picture, 55×55 patches"
    explorer.set(**START | {"backbone": "tiny_vit"})
    assert explorer.figure.axes[0].get_title() == "picture, 35×35 patches"
    explorer.set(**START | {"n_init": 4})


def test_a_photograph_without_a_mask_has_no_iou(explorer: Explorer) -> None:
    explorer.set(**START | {"picture": "photo_coffee"})
    assert [axes.get_xlabel() for axes in explorer.figure.axes] == [""] * 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"n_init": 0}, "n_init must be at least 1"),
    ],
)
def test_the_explorer_says_what_it_refuses(explorer: Explorer, values: dict[str, Any], message: str) -> None:
    before = explorer.values
    explorer.set(**values)
    assert message in explorer.message
    assert not explorer.figure.axes
    explorer.set(**before)
    assert explorer.message == ""


# The checks


def precision_recall(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    both = (predicted & truth).sum()
    return both / max(predicted.sum(), 1), both / max(truth.sum(), 1)


def best_patches(truth: np.ndarray, grid: tuple[int, int], vote: Callable = np.mean) -> np.ndarray:
    rows, columns = (
        ((np.arange(size) + 0.5) / size * cells).astype(int)
        for size, cells in zip(truth.shape, grid, strict=True)
    )
    shares = [[vote(truth[np.ix_(rows == r, columns == c)]) for c in range(grid[1])] for r in range(grid[0])]
    return np.array(shares) > 0.5


def one_pixel_each(truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    down, across = truth.shape[0] // grid[0], truth.shape[1] // grid[1]
    return truth[down // 2 :: down, across // 2 :: across]


def jacobi(x: Any, target: Any, weights: Any, confidence: Any) -> np.ndarray:
    left, right = np.append(0, weights), np.append(weights, 0)
    pull = left * np.append(0, x[:-1]) + right * np.append(x[1:], 0) + confidence * target
    return pull / (left + right + confidence)


def in_place(x: Any, target: Any, weights: Any, confidence: Any) -> np.ndarray:
    for i in range(len(x)):
        total, pull = confidence[i], confidence[i] * target[i]
        for j, w in ((i - 1, weights[i - 1] if i else 0), (i + 1, weights[i] if i + 1 < len(x) else 0)):
            if 0 <= j < len(x):
                total, pull = total + w, pull + w * x[j]
        x[i] = pull / total
    return x


SOFA = np.zeros((6, 6), int)
SOFA[1:3, 2:4], SOFA[4:] = 1, 2


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_margin, [0.694, 0.444]),
        (checks.check_margin, np.array([25 / 36, 4 / 9])),
        (checks.check_precision_recall, precision_recall),
        (checks.check_precision_recall, lambda p, t: torch.tensor(precision_recall(p, t))),
        (checks.check_best_patches, best_patches),
        (checks.check_best_patches, lambda truth, grid: torch.from_numpy(best_patches(truth, grid))),
        (checks.check_lost_object, SOFA),
        (checks.check_lost_object, SOFA.tolist()),
        (checks.check_step, jacobi),
    ],
)
def test_right_answers_pass(check: Callable, answer: Any) -> None:
    assert check(answer), check(answer)


def with_value(where: Any, value: int) -> np.ndarray:
    labels = SOFA.copy()
    labels[where] = value
    return labels


@pytest.mark.parametrize(
    ("check", "answer", "message"),
    [
        (checks.check_margin, ..., "missing"),
        (checks.check_margin, (100 / 121, 16 / 25), "two patches wider"),
        (checks.check_margin, (1.44, 2.25), "at most 1"),
        (checks.check_margin, (0.694, 0.5), "For 4×4"),
        (checks.check_precision_recall, lambda p, t: precision_recall(t, p), "swapped"),
        (checks.check_precision_recall, lambda p, t: (p & t).sum() / np.array([p.sum(), t.sum()]), "NaN"),
        (checks.check_precision_recall, lambda p, t: ..., "missing"),
        (checks.check_best_patches, lambda truth, grid: best_patches(truth, grid, np.max), "any object"),
        (checks.check_best_patches, lambda truth, grid: truth[: grid[0], : grid[1]], "The map of patches"),
        (
            checks.check_best_patches,
            lambda truth, grid: best_patches(truth, grid, lambda pixels: pixels.mean() + 1e-9),
            "exactly half",
        ),
        (checks.check_best_patches, one_pixel_each, "one pixel"),
        (checks.check_lost_object, np.zeros((6, 6)), "Cluster 1 has no patch"),
        (checks.check_lost_object, with_value((slice(3, 6),), 2), "at most"),
        (checks.check_lost_object, with_value((slice(4, 6), slice(0, 3)), 0), "keeps the object"),
        (checks.check_lost_object, with_value((slice(0, 2),), 1), "so is cluster 1"),
        (checks.check_lost_object, with_value((0, 0), 3), "0, 1 and 2 only"),
        (checks.check_step, in_place, "new array"),
        (
            checks.check_step,
            lambda x, t, w, c: jacobi(x, t, w, c) * (np.append(0, w) + np.append(w, 0) + c),
            "divides by the sum",
        ),
        (checks.check_step, lambda x, t, w, c: x, "The next row"),
        (checks.check_step, lambda x, t, w, c: w, "shape"),
    ],
)
def test_mistakes_get_a_helpful_message(check: Callable, answer: Any, message: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert message in verdict.message
