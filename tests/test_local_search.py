"""Correlation clustering without a network: local search, contraction, certificate, against brute force."""

import numpy as np
import pytest
import torch

from deepcut_lib.baselines import contraction
from deepcut_lib.certificate import certify
from deepcut_lib.graphs import cc_graph
from deepcut_lib.lessons.k_less.checks import groupings, merged, same_groups
from deepcut_lib.local_search import contract, improve, inside
from deepcut_lib.losses import cc_loss


def signed(n: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(n, n))
    return values + values.T


def best(weights: np.ndarray) -> float:
    """The optimum, by trying all groupings."""
    every = np.array(groupings(len(weights)))
    upper = np.triu_indices(len(weights), 1)
    same = every[:, upper[0]] == every[:, upper[1]]
    return float((same @ weights[upper]).max())


def test_inside_is_the_loss() -> None:
    graph = cc_graph(torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), 3.0)
    labels = np.arange(30) % 4
    loss = float(cc_loss(graph, torch.eye(4)[labels]))
    assert -2 * inside(graph.affinity, labels) - float(graph.affinity.diagonal().sum()) == pytest.approx(loss)


@pytest.mark.parametrize("seed", range(20))
def test_no_step_is_left_and_the_bound_holds(seed: int) -> None:
    weights = signed(8, seed)
    optimum = best(weights)
    labels = improve(weights, np.zeros(8, int))
    reached = inside(weights, labels)
    assert reached <= optimum + 1e-9
    assert reached >= 0.9 * optimum
    for node in range(8):
        for cluster in range(labels.max() + 2):
            moved = np.where(np.arange(8) == node, cluster, labels)
            assert inside(weights, moved) <= reached + 1e-9
    certificate = certify(weights)
    assert certificate.complete
    assert certificate.reached <= optimum + 1e-9
    assert certificate.bound == pytest.approx(optimum)


@pytest.mark.parametrize("seed", range(5))
def test_linear_programs_alone_bound_from_above(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepcut_lib.certificate.WHOLE_UP_TO", 0)
    weights = signed(9, seed)
    optimum = best(weights)
    assert optimum - 1e-6 <= certify(weights).bound <= 1.1 * optimum


def test_graphs_of_ten_nodes_agree_with_brute_force() -> None:
    weights = signed(10, 3)
    certificate = certify(weights)
    assert certificate.reached == pytest.approx(best(weights))
    assert certificate.bound == pytest.approx(certificate.reached)
    assert certificate.gap == pytest.approx(certificate.short_of(certificate.reached))


def test_what_is_clear_is_certified_as_optimal() -> None:
    truth = np.arange(60) // 15
    weights = np.where(truth[:, None] == truth, 1.0, -1.0) + 0.3 * signed(60, 0)
    certificate = certify(weights)
    assert certificate.gap < 1e-6
    assert same_groups(certificate.labels, truth)


def test_of_a_star_the_linear_program_says_half(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = -np.ones((5, 5))
    weights[0, 1:] = weights[1:, 0] = 1.0  # 0 likes all others, who dislike one another
    assert certify(weights).bound == certify(weights).reached == 1
    monkeypatch.setattr("deepcut_lib.certificate.WHOLE_UP_TO", 0)
    assert certify(weights).bound == pytest.approx(2)  # four times one half


def test_out_of_time_the_bound_so_far_is_given() -> None:
    weights = signed(60, 1)
    short, longer = certify(weights, seconds=1e-6), certify(weights, seconds=0.3)
    assert not short.complete
    assert short.rounds == 0
    assert short.bound >= longer.bound >= longer.reached


def test_bad_affinities_are_named() -> None:
    with pytest.raises(ValueError, match="finite"):
        certify(np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match="symmetric"):
        certify(np.arange(9.0).reshape(3, 3))
    with pytest.raises(ValueError, match="seconds"):
        certify(np.eye(3), seconds=0)


@pytest.mark.parametrize("seed", range(5))
def test_contraction_merges_what_attracts_most(seed: int) -> None:
    weights = signed(25, seed)
    assert same_groups(contract(weights), merged(torch.from_numpy(weights)))
    alone, searched = contraction(weights, search=False), contraction(weights)
    assert same_groups(alone, contract(weights))
    assert inside(weights, searched) >= inside(weights, alone)


def test_odd_graphs() -> None:
    assert improve(np.zeros((1, 1)), np.zeros(1, int)).tolist() == [0]
    assert improve(np.zeros((2, 2)), np.arange(2)).tolist() == [0, 1]
    assert improve(np.ones((50, 50)), np.arange(50)).max() == 0
    assert improve(-np.ones((50, 50)), np.zeros(50, int)).max() == 49
    assert certify(np.ones((2, 2))).gap == 0
    assert certify(-np.ones((4, 4))).bound == 0
