"""From a picture to masks and boxes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from deepcut_lib import DeepCut, Segmentation, load_backbone, localize, segment
from deepcut_lib.backbones import Backbone
from deepcut_lib.graphs import Graph
from deepcut_lib.losses import ncut_loss
from deepcut_lib.metrics import mask_iou
from deepcut_lib.segmentation import cut
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


def test_what_a_segmentation_holds(found: Segmentation, truth: np.ndarray) -> None:
    assert found.labels.shape == found.features.grid == (28, 28)
    assert found.mask.shape == truth.shape
    assert found.mask.dtype == bool
    assert found.losses.shape == (10,)
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
    result = segment(
        path, backbone=backbone, n_clusters=2, learning_rate=1e-3, n_init=1, centred=False, random_state=5
    )
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
