"""The other rivals: published numbers where there are some, easy cases, and bad input."""

import importlib.util
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import eigh

from deepcut_lib import load_backbone
from deepcut_lib.baselines import (
    amir_parts,
    cls_foreground,
    deep_spectral,
    dff,
    edge_boxes,
    extract_with_attention,
    has_cls_attention,
    has_ximgproc,
    lost,
    proposals,
    saliency_of,
    selective_search,
)
from deepcut_lib.baselines.deep_spectral import colour_affinity
from deepcut_lib.features import PatchFeatures
from tests.conftest import ROOT

REFERENCE = np.load(ROOT / "tests" / "data" / "baselines.npz")
IMAGES = ["image0", "image1", "image2"]


def published(image: str) -> PatchFeatures:
    values = torch.from_numpy(REFERENCE[f"{image}/features"].astype(np.float32))
    return PatchFeatures(values, tuple(REFERENCE[f"{image}/grid"].tolist()), None, (448, 448), "reference")


def scene(seed: int = 0, grid: tuple[int, int] = (10, 12)) -> tuple[PatchFeatures, np.ndarray]:
    """A 10×12 grid with an object of 20 patches, unlike the background in six noisy channels."""
    truth = np.zeros(grid, bool)
    truth[3:7, 4:9] = True
    noise = 0.2 * torch.randn(truth.size, 6, generator=torch.Generator().manual_seed(seed))
    kinds = torch.tensor([[-1.0, 2, -1, 2, -1, 2], [3.0, -1, 3, -1, 3, -1]])
    values = kinds[torch.from_numpy(truth).ravel().long()] + noise
    return PatchFeatures(values, grid, None, (100, 120), "scene"), truth


@pytest.mark.parametrize("image", IMAGES)
def test_lost_published_numbers(image: str) -> None:
    found = lost(published(image))
    assert found.seed == REFERENCE[f"{image}/lost_seed"]
    assert np.array_equal(found.box, REFERENCE[f"{image}/lost_k100_box_xyxy"])
    assert np.array_equal(-found.degrees.ravel(), REFERENCE[f"{image}/lost_inverse_degree"])
    assert found.foreground.ravel()[found.seed]


@pytest.mark.parametrize("image", IMAGES)
def test_deep_spectral_published_numbers(image: str) -> None:
    found = deep_spectral(published(image))
    assert np.abs(found.eigenvalues - REFERENCE[f"{image}/spectral_eigenvalues"]).max() < 1e-4
    for vector, wanted in zip(found.eigenvectors, REFERENCE[f"{image}/spectral_eigenvectors"], strict=True):
        assert min(np.abs(sign * vector.ravel() - wanted).max() for sign in (1, -1)) < 1e-3


def test_an_easy_object_is_found() -> None:
    features, truth = scene()
    assert np.array_equal(lost(features).foreground, truth)
    assert lost(features).box == (40, 30, 90, 70)
    # its affinities must connect object and background, or the second eigenvector is any
    connected = replace(features, values=features.values + 2)
    assert np.array_equal(deep_spectral(connected).foreground, truth)
    assert deep_spectral(connected).box == (40, 30, 90, 70)


def test_lost_joins_no_more_than_k_patches() -> None:
    features, truth = scene()
    assert not np.array_equal(lost(features, k=1).degrees, np.zeros_like(truth))
    assert lost(features, k=1).foreground.sum() >= 1
    with pytest.raises(ValueError, match="at least 1"):
        lost(features, k=0)


def test_features_of_nothing_give_the_whole_picture() -> None:
    empty = PatchFeatures(torch.zeros(12, 5), (3, 4), None, (30, 40), "empty")
    assert not lost(empty).foreground.any()
    assert lost(empty).box == (0, 0, 40, 30)
    assert np.isfinite(deep_spectral(empty).eigenvalues).all()


def test_deep_spectral_solves_the_generalised_problem_with_colours() -> None:
    features, _ = scene()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8))
    found = deep_spectral(features, picture, colour_weight=10.0)
    unit = torch.nn.functional.normalize(features.values.double()).numpy()
    affinity = np.maximum(unit @ unit.T, 0)
    affinity = affinity / affinity.max() + 10 * colour_affinity(picture, features.grid)
    degrees = np.diag(affinity.sum(1))
    values, vectors = eigh(degrees - affinity, degrees, subset_by_index=[0, 4])
    assert np.allclose(found.eigenvalues, values, atol=1e-9)
    for mine, wanted in zip(found.eigenvectors, vectors.T, strict=True):
        assert min(np.abs(mine.ravel() - sign * wanted).max() for sign in (1, -1)) < 1e-7
    with pytest.raises(ValueError, match="needs the picture"):
        deep_spectral(features, colour_weight=10.0)
    with pytest.raises(ValueError, match="120 patches"):
        deep_spectral(features, count=121)


def test_colour_affinity_ties_what_is_alike() -> None:
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:, 60:] = 255
    ties = colour_affinity(Image.fromarray(pixels), (8, 12))
    assert np.array_equal(ties, ties.T)
    assert set(np.unique(ties)) <= {0, 1, 2, 3, 4}
    assert (ties.diagonal() == 4).all()  # from both ends, under both weights
    left = np.tile(np.arange(12) < 6, 8)
    assert ties[np.ix_(left, ~left)].sum() == 0


@pytest.fixture(scope="module")
def vit() -> object:
    return load_backbone("random_vit")


def test_cls_attention_is_the_last_blocks(vit, photograph: np.ndarray) -> None:
    photograph = photograph[:32, :48]
    features, attentions = extract_with_attention(vit, [photograph, photograph[:16]], size=None)
    assert [attention.shape for attention in attentions] == [(6, 4, 6), (6, 2, 6)]
    assert [one.grid for one in features] == [(4, 6), (2, 6)]
    assert torch.equal(features[0].values, vit(photograph, size=None).values)
    # what the block itself computes, by timm's own softmax over all tokens
    block = vit.extractor.model.blocks[-1].attn
    seen = {}
    handle = block.register_forward_hook(lambda module, given, result: seen.update(x=given[0]))
    vit(photograph, size=None)
    handle.remove()
    qkv = block.qkv(seen["x"]).reshape(1, 25, 3, 6, 64).permute(2, 0, 3, 1, 4)
    weights = (qkv[0] @ qkv[1].mT * 64**-0.5).softmax(-1)[0, :, 0, 1:]
    assert np.allclose(attentions[0].reshape(6, -1), weights.detach().cpu().numpy(), atol=1e-6)
    assert len(block._forward_pre_hooks) == 0


def test_backbones_without_cls_attention_are_named(photograph: np.ndarray) -> None:
    pixels = load_backbone("pixels")
    assert not has_cls_attention(pixels)
    with pytest.raises(ValueError, match="pixels has no CLS attention"):
        extract_with_attention(pixels, [photograph])


def test_cls_foreground_keeps_the_mass_and_its_largest_part() -> None:
    features, truth = scene()
    attention = np.full((6, *truth.shape), 0.01)
    attention[4][truth] = 0.3
    attention[4, 0, 0] = 0.3
    found = cls_foreground(attention, features)
    assert (found.foreground <= truth).all()
    assert found.foreground.sum() >= 0.6 * truth.sum()
    with pytest.raises(ValueError, match="no head 9"):
        cls_foreground(attention, features, head=9)


def test_dff_labels_alike_in_all_pictures() -> None:
    (first, truth), (second, _) = scene(0), scene(1)
    found = dff([first, second], 2)
    object_label = found.labels[0][4, 5]
    for labels in found.labels:
        assert np.array_equal(labels == object_label, truth)
    assert np.array_equal(found.predict(scene(2)[0]) == object_label, truth)
    assert (found.factors >= 0).all()
    assert np.array_equal(
        dff([first], 2, random_state=3).labels[0], dff([first], 2, random_state=3).labels[0]
    )
    with pytest.raises(ValueError, match="one backbone"):
        dff([], 2)


def test_amir_parts_are_alike_in_all_pictures() -> None:
    pictures, maps = [], []
    for seed in range(3):
        features, truth = scene(seed)
        values = features.values.clone()
        right = truth & (np.arange(12) >= 7)
        values[torch.from_numpy(right.ravel())] += torch.tensor([0.0, 0, 0, 3, 3, 3])
        pictures.append(PatchFeatures(values, features.grid, None, features.image_size, "scene"))
        maps.append(np.where(truth, 1.0, 0.0))
    found = amir_parts(pictures, maps, 2, n_init=2)
    left_part, right_part = found.labels[0][4, 5], found.labels[0][4, 7]
    assert {int(left_part), int(right_part)} == {1, 2}
    for labels in found.labels:
        assert np.array_equal(labels > 0, truth)
        assert np.array_equal(labels == right_part, right)
    assert np.array_equal(found.predict(pictures[0]), found.labels[0])
    assert found.n_clusters == len(found.salient) >= 2
    with pytest.raises(ValueError, match="one for each"):
        amir_parts(pictures, maps[:1])


def test_amir_parts_without_any_vote_takes_what_has_most() -> None:
    features, truth = scene()
    found = amir_parts([features], [np.where(truth, 0.01, 0.0)], 2, n_init=1)
    assert found.salient.any()


def test_saliency_is_stretched() -> None:
    attention = np.random.default_rng(0).random((6, 4, 5))
    map_ = saliency_of(attention)
    assert (map_.min(), map_.max()) == (0, 1)
    assert np.unravel_index(map_.argmax(), (4, 5)) == np.unravel_index(
        attention[[0, 2, 4, 5]].mean(0).argmax(), (4, 5)
    )


def test_proposals_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))  # OpenCV without its contributed modules
    assert not has_ximgproc()
    with pytest.raises(proposals.OpenCVMissingError, match="opencv-contrib"):
        selective_search(Image.new("RGB", (8, 8)))


class _Proposer:
    """Answers every call of OpenCV's proposal classes; its boxes are x, y, width, height."""

    def __init__(self, boxes: list[tuple[int, int, int, int]]) -> None:
        self.boxes = boxes

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: None

    def process(self) -> np.ndarray:
        return np.array(self.boxes)

    def getBoundingBoxes(self, edges: object, directions: object) -> tuple[np.ndarray, None]:
        return np.array(self.boxes), None


@pytest.mark.parametrize(
    ("proposed", "box"), [([(2, 3, 4, 90), (0, 0, 1, 1)], (2, 3, 6, 20)), ([], (0, 0, 30, 20))]
)
def test_proposals_become_boxes(
    proposed: list[tuple[int, int, int, int]],
    box: tuple[int, int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = SimpleNamespace(
        ximgproc=SimpleNamespace(
            segmentation=SimpleNamespace(createSelectiveSearchSegmentation=lambda: _Proposer(proposed)),
            createStructuredEdgeDetection=lambda model: _Proposer(proposed),
            createEdgeBoxes=lambda: _Proposer(proposed),
        )
    )
    monkeypatch.setitem(sys.modules, "cv2", fake)  # type: ignore[arg-type]
    picture = Image.new("RGB", (30, 20))
    assert selective_search(picture) == box
    assert edge_boxes(picture, "model.yml.gz") == box


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
def test_opencv_itself(photograph: np.ndarray) -> None:
    if not has_ximgproc():
        pytest.skip("OpenCV is installed without its contributed modules")
    x1, y1, x2, y2 = selective_search(Image.fromarray(photograph))
    assert 0 <= x1 < x2 <= 128
    assert 0 <= y1 < y2 <= 96
    with pytest.raises(ValueError, match="nowhere"):
        edge_boxes(Image.fromarray(photograph), "nowhere.yml.gz")
