"""Clusters without k: pictures by their vectors, one picture by its patches, and the rivals."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import csgraph
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from deepcut_lib import clustering, kless
from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.baselines import (
    connected_components,
    contraction,
    has_leiden,
    hdbscan,
    leiden,
    spectral,
)
from deepcut_lib.errors import ImageError
from deepcut_lib.graphs import cc_graph, modularity_affinity, ncut_graph
from deepcut_lib.kless import (
    cluster_by_modularity,
    cluster_images,
    cluster_vectors,
    segment_kless,
    suggest,
)
from deepcut_lib.local_search import inside
from tests.conftest import DATA

TRUTH = np.arange(120) // 40


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("pixels")


@pytest.fixture
def vectors(generator: torch.Generator) -> Tensor:
    """120×64 of three groups, all far from the origin in one direction, as pooled features are."""
    centres = torch.randn(3, 64, generator=generator)
    return 4 + centres.repeat_interleave(40, 0) + 0.5 * torch.randn(120, 64, generator=generator)


@pytest.mark.parametrize("alpha", [9.0, 12.0])
def test_the_number_of_clusters_is_found(vectors: Tensor, alpha: float) -> None:
    found = cluster_vectors(vectors, alpha=alpha)
    assert found.n_clusters == 3
    assert adjusted_rand_score(TRUTH, found.labels) == 1
    assert found.alpha == alpha
    assert sorted(np.concatenate([found.members(k) for k in range(3)])) == list(range(120))


def test_clusters_are_numbered_from_the_largest(vectors: Tensor) -> None:
    found = cluster_vectors(vectors[15:100], alpha=10)  # 25, 40 and 20 of the three groups
    assert np.bincount(found.labels).tolist() == [40, 25, 20]


def test_larger_alpha_finds_fewer(vectors: Tensor) -> None:
    counts = [cluster_vectors(vectors, alpha=alpha).n_clusters for alpha in (1.0, 4.0, 12.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_same_seed_same_labels_and_order_does_not_matter(vectors: Tensor) -> None:
    first, second = (cluster_vectors(vectors) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(1))
    assert adjusted_rand_score(TRUTH[order.numpy()], cluster_vectors(vectors[order]).labels) == 1


def test_duplicates_share_a_cluster(vectors: Tensor) -> None:
    found = cluster_vectors(torch.cat([vectors, vectors[::7]]))
    assert np.array_equal(found.labels[120:], found.labels[:120:7])


def test_nothing_to_tell_apart_is_one_cluster() -> None:
    assert cluster_vectors(torch.ones(1, 5)).labels.tolist() == [0]
    assert cluster_vectors(torch.full((30, 5), 0.3)).labels.tolist() == [0] * 30
    assert cluster_vectors(torch.zeros(4, 5)).n_clusters == 1
    assert cluster_vectors(torch.eye(2)).labels.shape == (2,)


@pytest.mark.parametrize("alpha", [0.5, 0.0, -3.0, float("nan"), float("inf")])
def test_alpha_below_one_is_named(vectors: Tensor, backbone: Backbone, alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be at least 1"):
        cluster_vectors(vectors, alpha=alpha)
    with pytest.raises(ValueError, match="alpha must be at least 1"):
        segment_kless(Image.new("RGB", (64, 64)), backbone=backbone, alpha=alpha)


def test_bad_vectors() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        cluster_vectors(torch.zeros(0, 4))
    with pytest.raises(ValueError, match="NaN"):
        cluster_vectors(torch.tensor([[1.0, 2.0], [torch.nan, 1.0]]))


def test_pictures_of_any_kind_and_size(backbone: Backbone, photograph: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    pictures: list[object] = []
    for i in range(10):
        colour = [(200, 30, 30), (30, 30, 200)][i % 2]
        pixels = np.clip(rng.normal(colour, 15, (40 + 5 * i, 60, 3)), 0, 255).astype(np.uint8)
        pictures.append(pixels if i % 3 else Image.fromarray(pixels))
    found = cluster_images(pictures, backbone=backbone, size=32)  # type: ignore[arg-type]
    assert adjusted_rand_score(np.arange(10) % 2, found.labels) == 1
    assert found.vectors.shape[0] == 10
    assert found.scores(["red", "blue"] * 5) == (2, 1.0, 1.0, 1.0)
    assert cluster_images([photograph], backbone="pixels").labels.tolist() == [0]


def test_bad_pictures_are_named(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        cluster_images([], backbone=backbone)
    with pytest.raises(ImageError, match=r"gone\.png"):
        cluster_images([np.zeros((5, 5, 3), np.uint8), "gone.png"], backbone=backbone)


def test_landmarks_give_what_a_stored_graph_gives(vectors: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = cluster_vectors(vectors)
    monkeypatch.setattr(clustering, "MOST_EXACT", 10)
    through_landmarks = cluster_vectors(vectors)  # there are fewer vectors than landmarks
    assert np.array_equal(stored.labels, through_landmarks.labels)
    assert stored.model is not None
    assert through_landmarks.model is not None
    assert np.allclose(stored.model.losses_, through_landmarks.model.losses_, rtol=1e-4)


def test_one_picture_without_k(photograph: np.ndarray, backbone: Backbone) -> None:
    found = segment_kless(photograph, backbone=backbone, alpha=5.0, size=192)
    assert found.labels.shape == found.features.grid
    assert found.pixels.shape == photograph.shape[:2]
    assert found.losses.shape == (100,)
    assert 1 < found.n_clusters < 10
    counts = np.bincount(found.labels.ravel())
    assert list(counts) == sorted(counts, reverse=True)
    disc = found.pixels[46, 70]
    assert disc != found.pixels[5, 5]
    fine = segment_kless(photograph, backbone=backbone, alpha=1.2, size=192).n_clusters
    assert fine > segment_kless(photograph, backbone=backbone, alpha=20.0, size=192).n_clusters


def test_a_picture_of_one_colour_is_one_region(backbone: Backbone) -> None:
    assert segment_kless(Image.new("RGB", (50, 30), "teal"), backbone=backbone, size=192).n_clusters == 1


def test_a_real_picture() -> None:
    found = segment_kless(DATA / "images" / "fruit_01.jpg", backbone="effnet_lite0", alpha=5.0, size=256)
    assert 2 <= found.n_clusters <= 10


class TestWithoutAlpha:
    """Modularity in place of alpha, sureness, suggestions, and local search after the network."""

    @pytest.mark.parametrize("sizes", [(40, 40, 40), (60, 30, 30), (50, 50, 20)])
    def test_the_number_is_found(self, vectors: Tensor, sizes: tuple[int, ...]) -> None:
        rows = torch.cat([vectors[40 * k : 40 * k + 40].repeat(2, 1)[:size] for k, size in enumerate(sizes)])
        found = cluster_vectors(rows, alpha="data")
        assert found.alpha is None
        assert np.bincount(found.labels).tolist() == list(sizes)

    @pytest.mark.parametrize("given", [{"epochs": 5}, {"max_clusters": 4}, {"local_search": True}])
    def test_what_only_a_network_has_is_not_passed_over(self, vectors: Tensor, given: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(given))}: alpha='data' works without a network"):
            cluster_vectors(vectors, alpha="data", **given)

    def test_one_cluster_is_worth_nothing(self, vectors: Tensor) -> None:
        weights = modularity_affinity(ncut_graph(vectors))
        scale = float(weights.abs().sum())
        assert abs(float(weights.sum())) < 1e-5 * scale
        assert weights.sum(0).abs().max() < 1e-4 * scale

    def test_of_many_a_sample_is_searched_and_the_rest_joins(
        self, vectors: Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kless, "SAMPLE", 45)
        monkeypatch.setattr(kless, "CHUNK", 32)
        found = cluster_by_modularity(vectors)
        assert adjusted_rand_score(TRUTH, found.labels) == 1
        assert found.pull.shape == (120, 3)

    def test_who_stands_between_two_is_least_sure(self, vectors: Tensor) -> None:
        between = (vectors[:40].mean(0) + vectors[40:80].mean(0)) / 2
        rows = torch.cat([vectors, between.unsqueeze(0)])
        for alpha in ("data", 12.0):
            found = cluster_vectors(rows, alpha=alpha)  # type: ignore[arg-type]
            assert found.sureness.argmin() == 120
            assert found.sureness[:120].min() > 0
            assert found.sureness.max() <= 1

    def test_suggestions_name_what_is_close_and_what_is_two(self, generator: torch.Generator) -> None:
        directions = torch.linalg.qr(torch.randn(64, 64, generator=generator)).Q
        centres = torch.stack([directions[0], directions[0] + directions[1], directions[2], directions[3]])
        rows = 8 * centres.repeat_interleave(20, 0) + 0.3 * torch.randn(80, 64, generator=generator)
        found = cluster_by_modularity(rows)

        def at(factor: float) -> kless.ImageClusters:
            return cluster_by_modularity(rows, resolution=factor)

        said = suggest(found, at)
        if found.n_clusters == 4:
            assert len(said.merges) == 1
        else:
            assert said.splits == {0: (20, 20)}

    def test_local_search_lowers_the_loss(self, generator: torch.Generator) -> None:
        rows = torch.randn(80, 6, generator=generator)
        plain, searched = (
            cluster_vectors(rows, alpha=4, centred=False, n_init=1, local_search=search)
            for search in (False, True)
        )
        weights = cc_graph(rows, 4).affinity
        assert inside(weights, searched.labels) > inside(weights, plain.labels)

    def test_odd_sets(self) -> None:
        assert cluster_by_modularity(torch.full((9, 3), 2.0)).labels.tolist() == [0] * 9
        assert cluster_by_modularity(torch.eye(2)).labels.tolist() == [0, 1]
        assert cluster_by_modularity(torch.eye(2)).sureness.shape == (2,)
        assert cluster_by_modularity(torch.zeros(4, 5)).n_clusters == 1
        with pytest.raises(ValueError, match="resolution"):
            cluster_by_modularity(torch.eye(3), resolution=0)
        with pytest.raises(ValueError, match="at least one row"):
            cluster_by_modularity(torch.zeros(0, 4))

    def test_duplicates_and_a_far_outlier(self, vectors: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kless, "SAMPLE", 300)
        found = cluster_by_modularity(vectors.repeat_interleave(84, 0)[:10_000])
        assert adjusted_rand_score(np.repeat(TRUTH, 84)[:10_000], found.labels) == 1
        far = torch.cat([vectors, -1e6 * torch.ones(1, 64)])
        assert adjusted_rand_score(TRUTH, cluster_by_modularity(far).labels[:120]) > 0.9


class TestRivals:
    """Connected components and spectral clustering."""

    def test_components_are_what_positive_chains_reach(self) -> None:
        angles = torch.tensor([0.0, 80.0, 160.0, 300.0]).deg2rad()
        chain = torch.stack([angles.cos(), angles.sin()], 1)
        assert connected_components(ncut_graph(chain[:3])).tolist() == [0, 0, 0]
        assert connected_components(ncut_graph(chain)).tolist() == [0, 0, 0, 0]  # 300° is 60° from 0°
        split = chain[[0, 2]]
        assert connected_components(ncut_graph(split)).tolist() == [0, 1]
        assert connected_components(cc_graph(chain, 1.0)).tolist() == [0, 1, 2, 3]

    def test_components_agree_with_scipy(self, generator: torch.Generator) -> None:
        values = torch.randn(300, 6, generator=generator)
        graph = cc_graph(values, 2.2)
        count, expected = csgraph.connected_components((graph.affinity > 0).numpy())
        assert 1 < count < 300
        assert adjusted_rand_score(expected, connected_components(graph)) == 1

    def test_the_eigengap_finds_k(self, blobs: Tensor) -> None:
        labels = spectral(ncut_graph(blobs))
        assert adjusted_rand_score(TRUTH, labels) == 1
        assert len(np.unique(spectral(ncut_graph(blobs), 5))) == 5

    def test_many_nodes_take_products_alone(self, blobs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.modules["deepcut_lib.baselines.spectral"], "DENSE_UP_TO", 10)
        assert adjusted_rand_score(TRUTH, spectral(ncut_graph(blobs, dense=False))) == 1

    @pytest.mark.skipif(not has_leiden(), reason="leidenalg is not installed")
    def test_leiden_finds_what_local_search_finds(self, blobs: Tensor) -> None:
        weights = cc_graph(blobs, 5).affinity
        found = leiden(weights)
        assert inside(weights, found) == pytest.approx(inside(weights, contraction(weights)), rel=1e-3)

    def test_hdbscan_places_everything(self, blobs: Tensor) -> None:
        assert adjusted_rand_score(TRUTH, hdbscan(blobs)) > 0.95
        assert hdbscan(torch.eye(4)).tolist() == [0] * 4
        assert hdbscan(torch.ones(1, 3)).tolist() == [0]

    def test_odd_input(self) -> None:
        assert spectral(ncut_graph(torch.ones(20, 3)), 4).shape == (20,)  # no gap tells anything
        with pytest.raises(ValueError, match="at least 3 nodes"):
            spectral(ncut_graph(torch.ones(2, 3)))
        with pytest.raises(ValueError, match="cannot form"):
            spectral(ncut_graph(torch.ones(5, 3)), 9)
