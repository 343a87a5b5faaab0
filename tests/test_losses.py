"""What the theory says of the two losses."""

import pytest
import torch
from torch import Tensor

from deepcut_lib.graphs import cc_graph, ncut_graph
from deepcut_lib.losses import association, cc_loss, cut_term, ncut_loss, orthogonality_term


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    return torch.randn(30, 5, generator=generator)


@pytest.fixture
def assignment(generator: torch.Generator) -> Tensor:
    return torch.softmax(3 * torch.randn(30, 4, generator=generator), dim=1)


def test_terms_are_the_papers_traces(features: Tensor, assignment: Tensor) -> None:
    graph = ncut_graph(features)
    inside = torch.trace(assignment.T @ graph.affinity @ assignment)
    volume = torch.trace(assignment.T @ torch.diag(graph.degrees) @ assignment)
    assert torch.allclose(cut_term(graph, assignment), -inside / volume)
    signed = cc_graph(features, 2.0)
    trace = torch.trace(signed.affinity @ assignment @ assignment.T)
    assert torch.allclose(cc_loss(signed, assignment), -trace, rtol=1e-4)


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 30.0])
def test_bounds(features: Tensor, sharpness: float) -> None:
    for seed in range(20):
        noise = torch.randn(30, 3, generator=torch.Generator().manual_seed(seed))
        assignment = torch.softmax(sharpness * noise, dim=1)
        assert -1 - 1e-6 <= cut_term(ncut_graph(features), assignment) <= 0
        assert 0 <= orthogonality_term(assignment) <= 2


def test_a_perfect_cut_is_the_least_possible() -> None:
    groups = torch.eye(2).repeat_interleave(5, 0)
    assert torch.allclose(ncut_loss(ncut_graph(groups), groups), torch.tensor(-1.0), atol=1e-6)


def test_one_cluster_for_all_is_free_of_cut_but_not_of_the_second_term(features: Tensor) -> None:
    everything = torch.eye(2)[torch.zeros(30, dtype=torch.long)]
    assert torch.allclose(cut_term(ncut_graph(features), everything), torch.tensor(-1.0))
    assert orthogonality_term(everything) > 0.7


def test_correlation_clustering_finds_the_number_of_groups_by_itself() -> None:
    groups = torch.eye(3).repeat_interleave(6, 0)
    graph = cc_graph(groups, 2.0)
    candidates = {
        1: torch.zeros(18, dtype=torch.long),
        2: torch.arange(18) // 9,
        3: torch.arange(18) // 6,
        6: torch.arange(18) // 3,
    }
    losses = {k: float(cc_loss(graph, torch.eye(6)[labels])) for k, labels in candidates.items()}
    assert min(losses, key=losses.__getitem__) == 3


def test_permutation_of_patches_and_of_clusters_changes_nothing(features: Tensor, assignment: Tensor) -> None:
    patches, clusters = torch.randperm(30), torch.randperm(4)
    for loss, build in ((ncut_loss, ncut_graph), (cc_loss, lambda f: cc_graph(f, 3.0))):
        before = loss(build(features), assignment)
        after = loss(build(features[patches]), assignment[patches][:, clusters])
        assert torch.allclose(before, after, rtol=1e-4)


def test_gradient_is_that_of_the_trace(features: Tensor, assignment: Tensor) -> None:
    graph = ncut_graph(features.double())
    assert torch.autograd.gradcheck(
        lambda s: association(graph, s), assignment.double().requires_grad_(), atol=1e-6
    )
    by_hand = 2 * graph.affinity @ assignment.double()
    leaf = assignment.double().requires_grad_()
    association(graph, leaf).backward()
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad, by_hand)


def test_batches_and_several_starts(features: Tensor, assignment: Tensor) -> None:
    pictures = torch.stack([features, 2 * features.flip(0)])
    starts = torch.stack([assignment, assignment.flip(1), assignment.flip(0)]).expand(2, 3, 30, 4)
    for loss, build in ((ncut_loss, ncut_graph), (cc_loss, lambda f: cc_graph(f, 3.0))):
        together = loss(build(pictures), starts)
        assert together.shape == (2, 3)
        for b in range(2):
            for r in range(3):
                assert torch.allclose(together[b, r], loss(build(pictures[b]), starts[b, r]), rtol=1e-4)


def test_a_graph_without_affinities_has_no_cut() -> None:
    assignment = torch.full((4, 2), 0.5)
    assert torch.isfinite(ncut_loss(ncut_graph(torch.zeros(4, 3)), assignment))
