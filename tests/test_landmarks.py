"""Landmarks: what products through groups of patches keep of exact ones, and the estimator that uses them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from deepcut_lib import clustering
from deepcut_lib.clustering import DeepCut, graph_form
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.landmarks import LANDMARKS, WIDE, through_landmarks


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    """600×12: twelve loose groups, of which about half repel each other."""
    centres = torch.randn(12, 12, generator=generator)
    return centres.repeat_interleave(50, 0) + 0.4 * torch.randn(600, 12, generator=generator)


def pair(features: Tensor, landmarks: int, objective: str = "ncut") -> tuple[Graph, Graph]:
    """The exact graph, and the one through landmarks."""
    if objective == "cc":
        return cc_graph(features, 2.0), cc_graph(features, 2.0, landmarks=landmarks)
    return ncut_graph(features), ncut_graph(features, landmarks=landmarks)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("objective", ["ncut", "cc"])
@pytest.mark.parametrize("landmarks", [600, 10_000])
def test_as_many_landmarks_as_patches_are_exact(features: Tensor, objective: str, landmarks: int) -> None:
    exact, coarse = pair(features, landmarks, objective)
    assert error(coarse.degrees, exact.degrees) < 1e-5
    for columns in (torch.randn(600, 3), torch.randn(600, WIDE)):
        assert error(coarse.matmul(columns), exact.matmul(columns)) < 1e-5
    assert error(coarse.propagate(features), exact.propagate(features)) < 1e-5


def test_the_error_falls_with_the_number_of_landmarks(features: Tensor) -> None:
    exact = ncut_graph(features).propagate(features)
    errors = [error(pair(features, m)[1].propagate(features), exact) for m in (12, 50, 200, 600)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.05


def test_both_corrections_bring_products_nearer(features: Tensor) -> None:
    exact, coarse = pair(features, 50)
    landmarks = through_landmarks(features, None, 50)
    sharp = (features @ landmarks.centres.mT).clamp(min=0)
    plain = sharp @ landmarks.counts
    assert error(coarse.degrees[:, None], exact.degrees[:, None]) < 0.5 * error(plain, exact.degrees[:, None])
    through_means = sharp @ landmarks.sums(features)
    product = exact.matmul(features)
    assert error(coarse.matmul(features), product) < 0.5 * error(through_means, product)


def test_nothing_is_lost_where_no_affinity_is_near_zero(generator: torch.Generator) -> None:
    features = 1 + 0.1 * torch.rand(300, 8, generator=generator)
    exact, coarse = pair(features, 5)
    columns = torch.randn(300, 2, generator=generator)
    assert error(coarse.matmul(columns), exact.matmul(columns)) < 1e-5
    assert error(coarse.propagate(features), exact.propagate(features)) < 1e-5


def test_a_batch_equals_its_pictures(features: Tensor) -> None:
    pictures = torch.stack([features, features.flip(0) * 2 - 1])
    together = ncut_graph(pictures, landmarks=40).propagate(pictures)
    alone = [ncut_graph(picture, landmarks=40).propagate(picture) for picture in pictures]
    assert torch.allclose(together, torch.stack(alone), atol=1e-4)


@pytest.mark.parametrize("objective", ["ncut", "cc"])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(torch.ones(50, 4), id="all equal"),
        pytest.param(torch.zeros(50, 4), id="all zero"),
        pytest.param(torch.eye(2, 4).repeat(25, 1), id="duplicates"),
        pytest.param(torch.cat([torch.ones(49, 4), -1e4 * torch.ones(1, 4)]), id="a far outlier"),
        pytest.param(1e-15 * torch.ones(50, 4), id="tiny"),
    ],
)
def test_worst_cases_stay_finite(case: Tensor, objective: str) -> None:
    exact, coarse = pair(case, 7, objective)
    assert torch.isfinite(coarse.degrees).all()
    propagated = coarse.propagate(case)
    assert torch.isfinite(propagated).all()
    expected = exact.propagate(case)
    assert torch.allclose(propagated, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("objective", ["ncut", "soft_ncut", "cc"])
def test_labels_of_groups_equal_the_exact_ones(
    features: Tensor, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clustering, "LANDMARKS", 60)
    options = {"n_clusters": 3, "objective": objective, "epochs": 30, "learning_rate": 2e-2, "n_init": 2}
    exact = DeepCut(memory="dense", **options).fit(features)  # type: ignore[arg-type]
    coarse = DeepCut(memory="landmarks", **options).fit(features)  # type: ignore[arg-type]
    assert exact.n_clusters_found_ > 1
    assert adjusted_rand_score(exact.labels_, coarse.labels_) > 0.98
    again = DeepCut(memory="landmarks", **options).fit(features)  # type: ignore[arg-type]
    assert np.array_equal(again.assignments_, coarse.assignments_)
    assert np.array_equal(coarse.predict(features), coarse.labels_)


def test_objectives_of_ones_own_take_landmarks(blobs: Tensor) -> None:
    def objective(graph: Graph, assignment: Tensor) -> Tensor:
        assert graph.landmarks
        return -(assignment * graph.matmul(assignment)).sum()

    DeepCut(objective=objective, memory="landmarks", epochs=2).fit(blobs)


def test_auto_takes_landmarks_above_a_size() -> None:
    assert graph_form(clustering.MOST_EXACT) == {"dense": True, "landmarks": 0}
    assert graph_form(clustering.MOST_EXACT + 1) == {"dense": False, "landmarks": LANDMARKS}
    assert graph_form(10**6, "dense") == {"dense": True, "landmarks": 0}
    assert graph_form(10**6, "matrix-free") == {"dense": False, "landmarks": 0}
    assert graph_form(10, "landmarks") == {"dense": False, "landmarks": LANDMARKS}
