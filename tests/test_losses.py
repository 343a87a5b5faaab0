"""What the theory says of the losses."""

import numpy as np
import pytest
import torch
from torch import Tensor

from deepcut_lib.graphs import Graph, cc_graph, ncut_graph, normalized_cut
from deepcut_lib.losses import (
    association,
    association_of_each,
    cc_loss,
    cut_term,
    ncut_loss,
    orthogonality_term,
    prior_term,
    soft_ncut_loss,
)

LOSSES = (
    (ncut_loss, ncut_graph),
    (soft_ncut_loss, ncut_graph),
    (cc_loss, lambda features: cc_graph(features, 3.0)),
)


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
    for loss, build in LOSSES:
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
    for loss, build in LOSSES:
        together = loss(build(pictures), starts)
        assert together.shape == (2, 3)
        for b in range(2):
            for r in range(3):
                assert torch.allclose(together[b, r], loss(build(pictures[b]), starts[b, r]), rtol=1e-4)


def test_a_graph_without_affinities_has_no_cut() -> None:
    assignment = torch.full((4, 2), 0.5)
    assert torch.isfinite(ncut_loss(ncut_graph(torch.zeros(4, 3)), assignment))


def naive_affinity(features: Tensor, alpha: float | None = None) -> np.ndarray:
    """W by loops, in float64: of Eq. 6, or of Eq. 7 where there is an alpha."""
    rows = features.double().numpy()
    affinity = np.array([[float((a * b).sum()) for b in rows] for a in rows])
    return np.maximum(affinity, 0) if alpha is None else affinity - affinity.max() / alpha


def naive_association(affinity: np.ndarray, assignment: Tensor) -> np.ndarray:
    """Each cluster's affinity inside, patch by patch."""
    each = assignment.double().numpy()
    n, clusters = each.shape
    inside = np.zeros(clusters)
    for i in range(n):
        for j in range(n):
            inside += each[i] * affinity[i, j] * each[j]
    return inside


@pytest.mark.parametrize("dense", [True, False])
def test_association_is_the_sum_over_all_pairs(features: Tensor, assignment: Tensor, dense: bool) -> None:
    for alpha in (None, 2.0):
        affinity = naive_affinity(features, alpha)
        graph = ncut_graph(features, dense=dense) if alpha is None else cc_graph(features, alpha, dense=dense)
        inside = naive_association(affinity, assignment)
        assert np.allclose(association_of_each(graph, assignment), inside, rtol=1e-4)
        assert float(association(graph, assignment)) == pytest.approx(inside.sum(), rel=1e-4)
    affinity = naive_affinity(features)
    volume = (affinity.sum(1) @ assignment.double().numpy() ** 2).sum()
    assert float(cut_term(ncut_graph(features, dense=dense), assignment)) == pytest.approx(
        -naive_association(affinity, assignment).sum() / volume, rel=1e-4
    )


@pytest.mark.parametrize("dense", [True, False])
def test_the_soft_cut_is_a_sum_of_fractions(features: Tensor, assignment: Tensor, dense: bool) -> None:
    affinity = naive_affinity(features)
    volume = affinity.sum(1) @ assignment.double().numpy()
    fractions = naive_association(affinity, assignment) / volume
    loss = soft_ncut_loss(ncut_graph(features, dense=dense), assignment)
    assert float(loss) == pytest.approx(4 - fractions.sum(), rel=1e-5)
    assert 0 <= float(loss) <= 4


def test_the_soft_cut_of_hard_clusters_is_the_normalised_cut(features: Tensor) -> None:
    graph = ncut_graph(features)
    for seed in range(10):
        labels = torch.randint(3, (30,), generator=torch.Generator().manual_seed(seed))
        hard = torch.eye(3)[labels]
        assert float(soft_ncut_loss(graph, hard)) == pytest.approx(normalized_cut(graph, labels), rel=1e-4)


def test_an_empty_cluster_earns_no_fraction(features: Tensor) -> None:
    graph = ncut_graph(features)
    hard = torch.eye(3)[torch.arange(30) // 15].requires_grad_()  # nothing in the last
    loss = soft_ncut_loss(graph, hard)
    loss.backward()
    assert hard.grad is not None
    assert torch.isfinite(hard.grad).all()
    two = soft_ncut_loss(graph, hard.detach()[:, :2])
    assert float(loss.detach()) == pytest.approx(float(two) + 1)
    assert float(soft_ncut_loss(graph, torch.eye(2)[torch.zeros(30, dtype=torch.long)])) == pytest.approx(1)


def test_the_soft_cut_without_affinities_is_finite() -> None:
    for build in (ncut_graph, lambda features: ncut_graph(features, dense=False)):
        assignment = torch.full((4, 2), 0.5, requires_grad=True)
        loss = soft_ncut_loss(build(torch.zeros(4, 3)), assignment)
        loss.backward()
        assert assignment.grad is not None
        assert torch.isfinite(loss)
        assert torch.isfinite(assignment.grad).all()


def test_a_small_object_may_stay_small_for_the_soft_cut() -> None:
    small = torch.eye(2)[(torch.arange(40) < 3).long()]
    halves = torch.eye(2)[(torch.arange(40) < 20).long()]
    graph = ncut_graph(small)  # two groups without affinity between them, of 3 and of 37
    assert float(soft_ncut_loss(graph, small)) == pytest.approx(0, abs=1e-5)
    assert float(soft_ncut_loss(graph, halves)) > 0.5
    assert orthogonality_term(small) > orthogonality_term(halves) + 0.3


@pytest.mark.parametrize("loss", [ncut_loss, soft_ncut_loss])
def test_gradients_are_those_of_finite_differences(
    loss: object, features: Tensor, assignment: Tensor
) -> None:
    graph = ncut_graph(features.double())
    starts = torch.stack([assignment, assignment.flip(0)]).double().requires_grad_()
    assert callable(loss)
    assert torch.autograd.gradcheck(lambda s: loss(graph, s), starts, atol=1e-6)


@pytest.mark.parametrize("build", [ncut_graph, lambda features, dense: cc_graph(features, 3.0, dense=dense)])
def test_a_stored_and_an_unstored_graph_agree(build: object, features: Tensor, assignment: Tensor) -> None:
    assert callable(build)
    pictures = torch.stack([features, 2 * features.flip(0)])
    starts = torch.stack([assignment, assignment.flip(1), assignment.flip(0)]).expand(2, 3, 30, 4)
    found = []
    for dense in (True, False):
        graph: Graph = build(pictures, dense=dense)
        leaf = starts.clone().requires_grad_()
        inside = association_of_each(graph, leaf)
        assert inside.shape == (2, 3, 4)
        inside.square().sum().backward()
        assert leaf.grad is not None
        found.append((inside.detach(), leaf.grad))
    for stored, unstored in zip(*found, strict=True):
        assert torch.allclose(stored, unstored, rtol=1e-4, atol=1e-3)


class TestPrior:
    """What a foreground prior adds to a loss."""

    @pytest.mark.parametrize(
        ("foreground", "prior", "wanted"),
        [
            ([1, 1, 0, 0], [1, 1, 0, 0], -0.25),  # as a sure prior says: −½ for each patch of the foreground
            ([1, 1, 1, 1], [1, 1, 1, 1], -0.5),
            ([1, 1, 1, 1], [0, 0, 0, 0], 0.5),
            ([0, 0, 0, 0], [1, 0, 1, 0], 0.0),  # no foreground says nothing
            ([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], 0.0),  # nor does a prior that knows nothing
            ([1, 0, 0, 0], [0.75, 0, 0, 0], -0.0625),
        ],
    )
    def test_by_hand(self, foreground: list[int], prior: list[float], wanted: float) -> None:
        hard = torch.eye(2)[torch.tensor(foreground)]
        assert float(prior_term(hard, torch.tensor(prior))) == pytest.approx(wanted)

    def test_all_clusters_but_the_first_are_foreground(self, generator: torch.Generator) -> None:
        assignment = torch.softmax(torch.randn(30, 4, generator=generator), dim=1)
        prior = torch.rand(30, generator=generator)
        naive = np.mean(
            [
                (1 - float(row[0])) * (0.5 - float(q))
                for row, q in zip(assignment.double(), prior.double(), strict=True)
            ]
        )
        assert float(prior_term(assignment, prior)) == pytest.approx(naive, abs=1e-6)
        assert prior_term(assignment, prior) == prior_term(assignment[:, [0, 3, 1, 2]], prior)

    def test_bounds(self) -> None:
        for seed in range(20):
            generator = torch.Generator().manual_seed(seed)
            assignment = torch.softmax(20 * torch.randn(30, 3, generator=generator), dim=1)
            prior = (torch.rand(30, generator=generator) > 0.5).float()
            assert -0.5 <= float(prior_term(assignment, prior)) <= 0.5

    def test_it_draws_each_patch_to_its_own_side(self, assignment: Tensor) -> None:
        leaf = assignment.clone().requires_grad_()
        prior = torch.linspace(0, 1, 30)
        prior_term(leaf, prior).backward()
        assert leaf.grad is not None
        assert torch.allclose(leaf.grad[:, 0], (prior - 0.5) / 30)  # above ½ background costs, below it pays
        assert not leaf.grad[:, 1:].any()

    def test_batches_and_several_starts(self, generator: torch.Generator) -> None:
        for pictures, starts in ((2, 3), (3, 2), (2, 2), (3, 1), (1, 3)):
            assignment = torch.softmax(torch.randn(pictures, starts, 30, 4, generator=generator), dim=-1)
            prior = torch.rand(pictures, 30, generator=generator)
            together = prior_term(assignment, prior)
            assert together.shape == (pictures, starts)
            for b in range(pictures):
                for r in range(starts):
                    assert torch.allclose(together[b, r], prior_term(assignment[b, r], prior[b]), atol=1e-6)
