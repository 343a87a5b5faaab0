"""From a picture to masks and boxes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from deepcut_lib import DeepCut, Segmentation, load_backbone, localize, segment
from deepcut_lib.backbones import Backbone
from deepcut_lib.foreground import best_union
from deepcut_lib.graphs import Graph, ncut_graph
from deepcut_lib.losses import ncut_loss
from deepcut_lib.metrics import mask_iou
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.recipe import CENTRED_RECIPE, PRIOR_RECIPE, PUBLISHED_RECIPE
from deepcut_lib.segmentation import cut, find_background
from tests.conftest import DATA, patch_features


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("effnet_lite0")


@pytest.fixture(scope="module")
def found(backbone: Backbone) -> Segmentation:
    return segment(DATA / "images" / "fruit_01.jpg", backbone=backbone)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.asarray(Image.open(DATA / "masks" / "fruit_01.png")) > 127


def test_what_a_segmentation_holds(found: Segmentation, backbone: Backbone, truth: np.ndarray) -> None:
    assert found.labels.shape == found.features.grid == (28, 28)
    assert found.mask.shape == truth.shape
    assert found.mask.dtype == bool
    assert found.losses.shape == (backbone.foreground_recipe.epochs,)
    assert found.n_clusters == len(np.unique(found.labels))
    x1, y1, x2, y2 = found.box
    assert 0 <= x1 < x2 <= truth.shape[1]
    assert 0 <= y1 < y2 <= truth.shape[0]
    assert not found.background[found.labels[found.foreground]].any()


def test_finds_the_object(found: Segmentation, truth: np.ndarray) -> None:
    assert mask_iou(found.mask, truth) > 0.7


def test_refinement_sharpens_it(found: Segmentation, backbone: Backbone, truth: np.ndarray) -> None:
    refined = segment(DATA / "images" / "fruit_01.jpg", backbone=backbone, refine=True)
    assert np.array_equal(refined.labels, found.labels)
    assert mask_iou(refined.mask, truth) > mask_iou(found.mask, truth)


def test_path_picture_and_array_give_the_same(found: Segmentation, backbone: Backbone) -> None:
    path = DATA / "images" / "fruit_01.jpg"
    for given in (str(path), Image.open(path), np.asarray(Image.open(path))):
        assert np.array_equal(segment(given, backbone=backbone).mask, found.mask)


def test_two_stage_cuts_foreground_and_background_again(found: Segmentation, backbone: Backbone) -> None:
    two = segment(DATA / "images" / "fruit_01.jpg", backbone=backbone, two_stage=True)
    assert two.n_clusters > found.n_clusters
    # no part straddles the first cut
    for part in np.unique(two.labels):
        assert len(np.unique(found.foreground[two.labels == part])) == 1
    # and no part of the background turns into foreground
    assert two.foreground.any()
    assert not (two.foreground & ~found.foreground).any()


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "cc"},
        {"objective": "cc", "alpha": 10.0, "n_clusters": 4},
        {"n_clusters": 2, "learning_rate": 1e-3, "n_init": 1, "centred": False},
        {"n_clusters": 5, "epochs": 3},
        {"size": 224},
        {"size": None},
        {"size": (160, 320)},
    ],
)
def test_knobs(options: dict[str, Any], backbone: Backbone, truth: np.ndarray) -> None:
    result = segment(DATA / "images" / "fruit_01.jpg", backbone=backbone, **options)
    assert result.mask.shape == truth.shape
    assert result.n_clusters <= options.get("n_clusters", 10)


def test_the_published_behaviour_is_one_plain_deepcut(backbone: Backbone) -> None:
    path = DATA / "images" / "fruit_01.jpg"
    result = segment(path, backbone=backbone, recipe=PUBLISHED_RECIPE, random_state=5)
    plain = DeepCut(random_state=5).fit(backbone(path).values)
    assert np.array_equal(result.labels.ravel(), plain.labels_)
    assert np.array_equal(result.losses, plain.losses_)


def test_own_loss(backbone: Backbone, found: Segmentation) -> None:
    def same(graph: Graph, assignment: Tensor) -> Tensor:
        return ncut_loss(graph, assignment)

    result = segment(DATA / "images" / "fruit_01.jpg", backbone=backbone, objective=same)
    assert (result.labels == found.labels).mean() > 0.99


def test_vits_follow_the_papers_recipe(photograph: np.ndarray) -> None:
    result = segment(photograph, backbone="random_vit", size=64)
    assert result.features.grid == (8, 8)
    assert result.n_clusters <= 2


def test_stride_makes_a_finer_grid(photograph: np.ndarray) -> None:
    assert segment(photograph, backbone="pixels", size=128, stride=8).labels.shape == (15, 15)
    with pytest.raises(ValueError, match="loaded with stride 16"):
        segment(photograph, backbone=load_backbone("pixels"), stride=8)


def test_a_picture_of_one_colour_has_no_foreground(backbone: Backbone) -> None:
    for side in (1, 50):
        picture = Image.new("RGB", (side, side), "teal")
        result = segment(picture, backbone=load_backbone("pixels"))
        assert not result.mask.any()
        assert result.box == (0, 0, side, side)
        assert segment(picture, backbone=backbone, refine=True).mask.shape == (side, side)


def test_too_few_patches_are_named(photograph: np.ndarray, backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"1 sample"):
        segment(photograph, backbone=backbone, size=16, n_clusters=4)


def test_a_single_patch_cannot_be_cut() -> None:
    with pytest.raises(
        ValueError, match=r"1 sample \(patch\) cannot be cut: give a larger picture or a smaller"
    ):
        cut([patch_features(torch.ones(1, 5), (1, 1))])


def test_one_cluster_is_all_background(backbone: Backbone, photograph: np.ndarray) -> None:
    found = segment(photograph, backbone=backbone, n_clusters=1, size=160)
    assert found.n_clusters == 1
    assert not found.mask.any()


def test_localize_boxes_the_object(backbone: Backbone, truth: np.ndarray) -> None:
    result = localize(DATA / "images" / "fruit_01.jpg", backbone=backbone)
    rows, columns = np.nonzero(truth)
    x1, y1, x2, y2 = result.box
    assert x1 <= np.median(columns) < x2
    assert y1 <= np.median(rows) < y2
    assert len(result.edges) >= result.segmentation.n_clusters
    foreground = np.unique(result.segmentation.labels[result.segmentation.foreground])
    assert (result.edges[foreground] <= 2).all()


def test_the_same_picture_gives_the_same_mask(found: Segmentation) -> None:
    again = segment(DATA / "images" / "fruit_01.jpg", backbone="effnet_lite0")
    assert np.array_equal(again.mask, found.mask)
    assert torch.equal(again.features.values, found.features.values)


HORSES = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "horses"


@pytest.mark.skipif(not HORSES.exists(), reason="the horse photographs are not on this machine")
def test_horses(backbone: Backbone) -> None:
    pictures = sorted((HORSES / "images").iterdir())[::8]
    scores = []
    for path in pictures:
        mask = np.asarray(Image.open(HORSES / "masks" / f"{path.stem}.png")) > 0
        scores.append(mask_iou(segment(path, backbone=backbone).mask, mask))
    assert np.mean(scores) > 0.5  # the whole set: RESULTS.md


@pytest.mark.parametrize("name", ["effnet_lite0", "tiny_vit", "pixels"])
def test_a_picture_with_nothing_to_cut_says_so(name: str) -> None:
    rng = np.random.default_rng(0)
    y = np.mgrid[:120, :160][0]
    sky = np.stack([120 + y * 0.2, 160 + y * 0.15, 230 - y * 0.02], -1)
    backbone = load_backbone(name)
    for blank in (np.full_like(sky, 255), np.zeros_like(sky), 128 + rng.integers(-1, 2, sky.shape), sky):
        found = segment(blank.astype(np.uint8), backbone=backbone)
        assert found.message.startswith("nothing to cut")
        assert 0 <= found.spread < backbone.recipe.least_spread
    for path in [*sorted((DATA / "images").glob("*_01.jpg")), DATA / "images" / "photo_cat.jpg"]:
        found = segment(path, backbone=backbone)
        assert found.message == ""
        assert backbone.recipe.least_spread < found.spread <= 1


def reddish(strength: float = 8.0) -> ForegroundPrior:
    """What is redder and less green than its picture is foreground; if negative, the other way round."""
    weight = torch.zeros(14)
    weight[0], weight[1] = strength, -strength
    return ForegroundPrior(weight, 0.0, "pixels")


@pytest.fixture(scope="module")
def pixels() -> Backbone:
    """A backbone without a prior."""
    return load_backbone("pixels").with_prior(None)


class TestPrior:
    """Foreground and background by a prior."""

    @pytest.mark.parametrize("objective", ["soft_ncut", "ncut", "cc", ncut_loss])
    def test_it_says_which_is_the_object(
        self, pixels: Backbone, photograph: np.ndarray, disc: np.ndarray, objective: Any
    ) -> None:
        red, green = (
            segment(
                photograph,
                backbone=pixels.with_prior(reddish(sign * 8)),
                size=256,
                objective=objective,
                n_clusters=2,
            )
            for sign in (1, -1)
        )
        assert mask_iou(red.mask, disc) > 0.8
        assert mask_iou(green.mask, ~disc) > 0.8
        for found in (red, green):
            assert found.background.tolist() == [True, False]
            assert np.array_equal(found.foreground, found.labels == 1)
            assert np.array_equal(found.probability > 0.5, found.foreground)

    def test_refinement_finds_the_edge(
        self, pixels: Backbone, photograph: np.ndarray, disc: np.ndarray
    ) -> None:
        backbone = pixels.with_prior(reddish())
        coarse = segment(photograph, backbone=backbone, size=128)
        refined = segment(photograph, backbone=backbone, size=128, refine=True)
        assert np.array_equal(refined.labels, coarse.labels)
        assert np.array_equal(refined.coarse_mask, coarse.mask)
        assert mask_iou(coarse.mask, disc) < 0.9
        assert mask_iou(refined.mask, disc) > 0.95

    def test_of_more_clusters_the_first_is_background(
        self, pixels: Backbone, photograph: np.ndarray, disc: np.ndarray
    ) -> None:
        found = segment(photograph, backbone=pixels.with_prior(reddish()), size=256, n_clusters=3)
        assert found.background.tolist() == [True, False, False]
        assert np.array_equal(found.foreground, found.labels > 0)
        assert mask_iou(found.mask, disc) > 0.7

    def test_of_several_starts_the_one_of_least_loss_is_taken(
        self, pixels: Backbone, photograph: np.ndarray
    ) -> None:
        backbone = pixels.with_prior(reddish(1.0))
        found = segment(photograph, backbone=backbone, size=160, n_init=4, epochs=3)
        features = found.features
        recipe = backbone.foreground_recipe.but(n_init=4, epochs=3)
        model = recipe.estimator("cpu").fit(recipe.prepare(features.values), prior=features.prior)
        assert np.array_equal(found.labels.ravel(), model.labels_)
        wanted = model.assignments_[:, 1] / model.assignments_.sum(1)
        assert np.allclose(found.probability.ravel(), wanted, atol=1e-6)

    def test_a_backbone_without_one_and_a_recipe_with_it(
        self, pixels: Backbone, photograph: np.ndarray
    ) -> None:
        for options in ({"recipe": PRIOR_RECIPE}, {"prior_weight": 24.0}):
            with pytest.raises(ValueError, match=r"pixels has none; give the backbone one .*with_prior"):
                segment(photograph, backbone=pixels, size=96, **options)

    def test_the_backbones_other_recipe_leaves_it_out(self, pixels: Backbone, photograph: np.ndarray) -> None:
        backbone = pixels.with_prior(reddish(-8))
        plain = segment(photograph, backbone=pixels, size=160)
        for options in ({"recipe": backbone.recipe}, {"recipe": PUBLISHED_RECIPE}):
            without = segment(photograph, backbone=backbone, size=160, **options)
            wanted = segment(photograph, backbone=pixels, size=160, **options)
            assert np.array_equal(without.labels, wanted.labels)
            assert np.array_equal(without.mask, wanted.mask)
        assert np.array_equal(segment(photograph, backbone=pixels, size=160).mask, plain.mask)
        with pytest.raises(ValueError, match="prior_weight must be positive"):
            segment(photograph, backbone=backbone, size=160, prior_weight=-1.0)

    def test_pictures_of_several_grids_are_each_as_alone(
        self, pixels: Backbone, photograph: np.ndarray
    ) -> None:
        backbone = pixels.with_prior(reddish(2.0))
        pictures = [photograph, photograph[:, ::-1], photograph[::-1, :80], np.rot90(photograph).copy()]
        features = [backbone(picture, size=None, cls=False) for picture in pictures]
        assert len({one.grid for one in features}) > 1
        for found, picture in zip(cut(features, recipe=PRIOR_RECIPE), pictures, strict=True):
            alone = segment(picture, backbone=backbone, size=None)
            assert np.array_equal(found.labels, alone.labels)
            assert np.allclose(found.probability, alone.probability, atol=1e-4)
        with pytest.raises(ValueError, match="pixels has none"):
            cut([features[0], pixels(photograph, size=None)], recipe=PRIOR_RECIPE)

    def test_two_stages_keep_to_its_foreground(
        self, pixels: Backbone, photograph: np.ndarray, disc: np.ndarray
    ) -> None:
        backbone = pixels.with_prior(reddish())
        one = segment(photograph, backbone=backbone, size=256)
        two = segment(photograph, backbone=backbone, size=256, two_stage=True, refine=True)
        assert two.foreground.any()
        assert not (two.foreground & ~one.foreground).any()
        assert two.background.shape == (6,)
        assert np.array_equal(two.probability, two.foreground)
        assert mask_iou(two.mask, disc) > 0.5

    def test_a_blank_picture_still_says_so(self, pixels: Backbone) -> None:
        backbone = pixels.with_prior(reddish())
        rng = np.random.default_rng(0)
        for blank in (np.full((90, 120, 3), 200), 128 + rng.integers(-1, 2, (90, 120, 3))):
            for options in ({}, {"two_stage": True}, {"recipe": PRIOR_RECIPE}):
                found = segment(blank.astype(np.uint8), backbone=backbone, refine=True, **options)
                assert np.isfinite(found.probability).all()
                assert found.mask.shape == (90, 120)
                told = "recipe" not in options or not np.ptp(blank)  # PRIOR_RECIPE has no least spread
                assert found.message.startswith("nothing to cut") == told
        assert segment(np.full((90, 120, 3), 200, np.uint8), backbone=pixels.with_prior(None)).message

    def test_tiny_pictures_and_grids(self, pixels: Backbone, photograph: np.ndarray) -> None:
        backbone = pixels.with_prior(reddish())
        with pytest.raises(ValueError, match=r"1 sample \(patch\) cannot be cut"):
            segment(photograph, backbone=backbone, size=16)
        for size, grid in (((16, 32), (1, 2)), ((32, 16), (2, 1)), (32, (2, 2))):
            found = segment(photograph, backbone=backbone, size=size, refine=True)
            assert found.labels.shape == grid
            assert found.mask.shape == (96, 128)
        with pytest.raises(ValueError, match="2 patches cannot form 3 clusters"):
            segment(photograph, backbone=backbone, size=(16, 32), n_clusters=3)
        for side in (1, 3):
            found = segment(photograph[40 : 40 + side, 40 : 40 + side], backbone=backbone, refine=True)
            assert found.mask.shape == (side, side)

    def test_no_foreground_is_a_result(self, pixels: Backbone, photograph: np.ndarray) -> None:
        nowhere = replace(reddish(), bias=-50.0)
        for options in ({}, {"two_stage": True}):
            found = segment(photograph, backbone=pixels.with_prior(nowhere), size=96, refine=True, **options)
            assert not found.mask.any()
            assert found.box == (0, 0, 128, 96)
            assert found.n_clusters >= 1

    def test_inference_mode(self, pixels: Backbone, photograph: np.ndarray) -> None:
        wanted = segment(photograph, backbone=pixels.with_prior(reddish()), size=96)
        with torch.inference_mode():
            found = segment(photograph, backbone=pixels.with_prior(reddish()), size=96)
        assert np.array_equal(found.probability, wanted.probability)


class TestUnion:
    """The rule "union", where no prior is."""

    def test_it_decides_which_clusters_are_background(
        self, pixels: Backbone, photograph: np.ndarray, disc: np.ndarray
    ) -> None:
        found = segment(photograph, backbone=pixels, size=256, rule="union", n_clusters=4)
        values = CENTRED_RECIPE.prepare(found.features.values)
        background, score = best_union(found.labels, ncut_graph(values))
        assert np.array_equal(found.background, background)
        assert np.isfinite(score)
        assert mask_iou(found.mask, disc) > 0.7
        assert np.array_equal(found.probability > 0.5, found.foreground)
        assert np.array_equal(
            find_background(found.labels, pixels.recipe.but(rule="union"), ncut_graph(values)), background
        )

    def test_the_start_of_the_best_score_is_kept(self, pixels: Backbone) -> None:
        options: dict[str, Any] = {"size": 160, "rule": "union", "n_clusters": 4, "epochs": 5}
        path = DATA / "images" / "fruit_01.jpg"
        found = segment(path, backbone=pixels, n_init=4, **options)
        values = CENTRED_RECIPE.prepare(found.features.values)
        graph = ncut_graph(values)
        recipe = pixels.recipe.but(n_clusters=4, epochs=5, n_init=4)
        starts = [
            found.features.to_map(labels) for labels in recipe.estimator("cpu").fit(values).start_labels_
        ]
        scores = [best_union(labels, graph)[1] for labels in starts]
        assert len(set(scores)) > 1
        assert np.array_equal(found.labels, starts[int(np.argmin(scores))])

    def test_an_unknown_rule_is_named(self, pixels: Backbone, photograph: np.ndarray) -> None:
        with pytest.raises(ValueError, match="rule must be one of border, union, not 'corner'"):
            segment(photograph, backbone=pixels, size=96, rule="corner")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_clusters": 2},
        {"objective": "cc"},
        {"objective": "soft_ncut", "n_clusters": 5},
        {"centred": False, "n_init": 1},
        {"rule": "union", "n_clusters": 6},
        {"recipe": PRIOR_RECIPE},
        {"recipe": PRIOR_RECIPE, "n_clusters": 4, "epochs": 3},
        {"recipe": PRIOR_RECIPE, "objective": "cc"},
    ],
)
@pytest.mark.parametrize("two_stage", [False, True])
def test_what_is_likely_foreground_is_foreground(
    options: dict[str, Any], two_stage: bool, pixels: Backbone, photograph: np.ndarray
) -> None:
    options = {"recipe": pixels.recipe, **options}
    found = segment(
        photograph, backbone=pixels.with_prior(reddish(1.0)), size=160, two_stage=two_stage, **options
    )
    assert found.probability.shape == found.labels.shape
    assert found.probability.min() >= 0
    assert found.probability.max() <= 1
    assert np.array_equal(found.probability > 0.5, found.foreground)
    if two_stage:
        assert set(np.unique(found.probability)) <= {0, 1}
