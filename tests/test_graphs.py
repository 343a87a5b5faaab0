"""Affinities against sums written out by hand, dense against matrix-free."""

import pytest
import torch
from torch import Tensor

from deepcut_lib.graphs import Graph, cc_graph, ncut_graph, normalized_cut, to_pyg


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    return torch.randn(40, 6, generator=generator)


def both(features: Tensor, dense: bool) -> list[Graph]:
    return [ncut_graph(features, dense=dense), cc_graph(features, 2.0, dense=dense)]


def test_equations_5_to_7(features: Tensor) -> None:
    products = torch.tensor([[float(a @ b) for b in features] for a in features])
    assert torch.allclose(ncut_graph(features).affinity, products.clamp(min=0), atol=1e-5)
    assert torch.allclose(cc_graph(features, 3.0).affinity, products - products.max() / 3, atol=1e-5)


def test_matrix_free_equals_dense(features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepcut_lib.graphs.TILE_BYTES", 7 * 40 * 4)  # seven rows a tile, the last one short
    columns = torch.randn(40, 3)
    for stored, made in zip(both(features, True), both(features, False), strict=True):
        assert torch.allclose(made.matmul(columns), stored.affinity @ columns, atol=1e-4)
        assert torch.allclose(made.degrees, stored.affinity.sum(1), atol=1e-3)
        assert torch.allclose(made.propagate(columns), stored.propagate(columns), atol=1e-5)
        assert torch.equal(made.negative_share(), stored.negative_share())


def test_batches_equal_single_graphs(features: Tensor) -> None:
    pictures = torch.stack([features, features.flip(0) * 2])
    columns = torch.randn(2, 40, 3)
    for together, first, second in zip(
        both(pictures, False), both(pictures[0], True), both(pictures[1], True), strict=True
    ):
        alone = torch.stack([first.propagate(columns[0]), second.propagate(columns[1])])
        assert torch.allclose(together.propagate(columns), alone, atol=1e-5)


def test_permuted_patches_give_a_permuted_graph(features: Tensor) -> None:
    order = torch.randperm(40)
    for graph, shuffled in zip(both(features, True), both(features[order], True), strict=True):
        assert torch.allclose(shuffled.affinity, graph.affinity[order][:, order], atol=1e-5)


def test_propagation_is_the_normalised_positive_part_with_self_loops(features: Tensor) -> None:
    # alpha below 1 leaves some patches without a positive affinity even to themselves
    graph = cc_graph(features, 0.9)
    weights = graph.affinity.clamp(min=0)
    weights += torch.diag((weights.diagonal() == 0).float())
    scale = weights.sum(1).rsqrt()
    expected = scale[:, None] * weights * scale @ features
    assert (weights.diagonal() == 1).any()
    assert torch.allclose(graph.propagate(features), expected, atol=1e-5)


def test_negative_share(features: Tensor) -> None:
    share = (features @ features.T < 0).float().mean()
    assert torch.allclose(ncut_graph(features).negative_share(), share)
    assert ncut_graph(features.abs()).negative_share() == 0
    shares = [cc_graph(features, alpha).negative_share() for alpha in (1.0, 2.0, 5.0)]
    assert shares == sorted(shares, reverse=True)


def test_alpha_must_be_positive(features: Tensor) -> None:
    for alpha in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="alpha must be positive"):
            cc_graph(features, alpha)


def test_normalised_cut_of_a_partition() -> None:
    graph = ncut_graph(torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 3.0]]))
    # W = [[4, 2, 0, 2], [2, 1, 0, 1], [0, 0, 1, 3], [2, 1, 3, 10]]; between {0, 1} and {2, 3}: 3
    expected = 3 / (8 + 4) + 3 / (4 + 16)
    assert normalized_cut(graph, torch.tensor([0, 0, 7, 7])) == pytest.approx(expected)
    assert normalized_cut(graph, torch.zeros(4, dtype=torch.long)) == 0


def test_pyg_view(features: Tensor) -> None:
    graph = ncut_graph(features)
    data = to_pyg(graph)
    rebuilt = torch.zeros(40, 40)
    rebuilt[tuple(data.edge_index)] = data.edge_weight
    assert torch.equal(rebuilt, graph.affinity)
    assert torch.equal(data.x, features)
    with pytest.raises(ValueError, match="single graph"):
        to_pyg(ncut_graph(features[None]))
