"""The border rule and its ties, and boxes."""

from itertools import chain, combinations

import numpy as np
import pytest
import torch

from deepcut_lib.foreground import (
    UNION_BORDER_SHARE,
    UNION_CLUSTERS,
    UNION_LEAST,
    background_clusters,
    best_union,
    border_share,
    foreground_box,
    touched_edges,
)
from deepcut_lib.graphs import Graph, ncut_graph, normalized_cut


def labels(*rows: str) -> np.ndarray:
    return np.array([[int(cell) for cell in row] for row in rows])


def test_an_object_inside() -> None:
    grid = labels("00000", "01110", "01100", "00000")
    assert touched_edges(grid).tolist() == [4, 0]
    assert background_clusters(grid).tolist() == [True, False]


def test_sky_and_ground_are_both_background() -> None:
    grid = labels("000000", "000000", "011100", "211122", "222222")
    assert touched_edges(grid).tolist() == [3, 0, 3]
    assert background_clusters(grid).tolist() == [True, False, True]


def test_an_object_on_two_edges_is_foreground() -> None:
    grid = labels("00000", "00000", "00001", "00111")
    assert touched_edges(grid).tolist() == [4, 2]
    assert background_clusters(grid).tolist() == [True, False]


def test_more_than_a_quarter_of_the_border_is_background() -> None:
    # cluster 1 lies on two edges only, yet holds half of the border
    grid = labels("11111", "10001", "00000", "02000", "00000")
    share = border_share(grid)
    assert share.sum() == pytest.approx(1)
    assert share[1] > 0.25
    assert background_clusters(grid).tolist() == [True, True, False]


def test_tie_where_all_would_be_background_goes_to_the_smaller_border_share() -> None:
    grid = labels("0000", "0001", "1111", "1111")
    assert touched_edges(grid).tolist() == [3, 3]
    assert border_share(grid).tolist() == [5 / 12, 7 / 12]
    assert background_clusters(grid).tolist() == [False, True]


def test_tie_with_equal_border_share_goes_to_the_smaller_cluster_then_the_first() -> None:
    assert background_clusters(labels("0000", "0000", "1111", "1111")).tolist() == [False, True]
    # six border patches each, cluster 1 has one patch more inside
    assert background_clusters(labels("0000", "0101", "1111")).tolist() == [False, True]


def test_where_none_would_be_background_the_largest_border_share_is() -> None:
    # six clusters, each on at most two edges and with less than a quarter of the border
    grid = labels("001122", "006622", "336655", "334455")
    found = background_clusters(grid)
    assert (touched_edges(grid) <= 2).all()
    assert found.sum() == 1
    assert found[border_share(grid).argmax()]


def test_one_cluster_is_all_background() -> None:
    assert background_clusters(np.zeros((3, 4), int)).tolist() == [True]
    assert background_clusters(np.full((3, 4), 2)).tolist() == [True, True, True]


def test_numbers_without_patches_are_background() -> None:
    assert background_clusters(labels("0000", "0330", "0000")).tolist() == [True, True, True, False]


def test_renaming_clusters_renames_the_background() -> None:
    grid = labels("000000", "000000", "011100", "211122", "222222")
    swapped = np.array([2, 0, 1])[grid]
    assert background_clusters(swapped)[[2, 0, 1]].tolist() == background_clusters(grid).tolist()


def test_box_is_round_the_largest_part_with_exclusive_far_edges() -> None:
    foreground = labels("10000", "00110", "00110", "00000").astype(bool)
    assert foreground_box(foreground, (40, 50)) == (20, 10, 40, 30)
    assert foreground_box(foreground, (43, 57)) == (22, 10, 46, 32)


def test_box_without_foreground_is_the_whole_picture() -> None:
    assert foreground_box(np.zeros((4, 5), bool), (40, 50)) == (0, 0, 50, 40)


def test_a_box_is_never_empty() -> None:
    foreground = np.zeros((28, 28), bool)
    foreground[5, 5] = True
    x1, y1, x2, y2 = foreground_box(foreground, (3, 3))
    assert x1 < x2 <= 3
    assert y1 < y2 <= 3


def union_by_loops(
    grid: np.ndarray, graph: Graph, prior: np.ndarray | None = None
) -> tuple[set[int], float] | None:
    """The best union and its score as the definition has them, each tried by itself; None without any."""
    present = sorted(set(grid.ravel().tolist()))
    share, flat = border_share(grid), grid.ravel()
    best = None
    for union in chain.from_iterable(combinations(present, size) for size in range(1, len(present))):
        inside = np.isin(flat, union)
        on_border = sum(share[k] for k in union)
        if on_border > UNION_BORDER_SHARE or inside.sum() < UNION_LEAST * inside.size:
            continue
        score = normalized_cut(graph, torch.from_numpy(inside)) + on_border
        if prior is not None:
            score -= 2 * (prior[inside].mean() - prior[~inside].mean())
        if best is None or score < best[1]:
            best = (set(union), score)
    return best


def random_clusters(seed: int, shape: tuple[int, int], clusters: int) -> tuple[np.ndarray, Graph, np.ndarray]:
    """Clusters that fill the border with one of them mostly, features that follow them loosely, a prior."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, clusters, shape)
    border = np.ones(shape, bool)
    border[1:-1, 1:-1] = False
    grid[border & (rng.random(shape) < rng.random())] = rng.integers(clusters)
    features = rng.normal(size=(clusters, 6))[grid.ravel()] + rng.normal(size=(grid.size, 6))
    return grid, ncut_graph(torch.from_numpy(features).float()), rng.random(grid.size).astype(np.float32)


@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize("dense", [True, False])
def test_the_best_union_is_the_best_of_all(with_prior: bool, dense: bool) -> None:
    found = none = 0
    for seed in range(40):
        grid, graph, q = random_clusters(seed, (5 + seed % 4, 7), 2 + seed % 5)
        prior = q if with_prior else None
        background, score = best_union(grid, ncut_graph(graph.features, dense=dense), prior)
        assert background.shape == (grid.max() + 1,)
        assert background.dtype == bool
        wanted = union_by_loops(grid, graph, prior)
        if wanted is None:
            none += 1
            assert score == np.inf
            assert np.array_equal(background, background_clusters(grid))
            continue
        found += 1
        assert set(np.flatnonzero(~background)) == wanted[0]
        assert score == pytest.approx(wanted[1], abs=1e-4)
    assert found > 10
    assert none > 0


def test_an_object_of_two_clusters_is_kept_whole() -> None:
    grid = labels("000000", "001100", "001100", "002200", "002200", "000000")
    # clusters 1 and 2 have more to do with each other than with the ground
    centres = torch.tensor([[4.0, 0.0, 0.0], [0.0, 3.0, 2.0], [0.0, 2.0, 3.0]])
    graph = ncut_graph(centres[torch.from_numpy(grid.ravel())])
    background, score = best_union(grid, graph)
    assert background.tolist() == [True, False, False]
    assert score == pytest.approx(0, abs=1e-6)


def test_a_prior_decides_between_equal_unions() -> None:
    grid = labels("000000", "011220", "011220", "000000")
    graph = ncut_graph(torch.eye(3)[torch.from_numpy(grid.ravel())])
    for object_is in (1, 2):
        prior = (grid == object_is).ravel().astype(np.float32)
        background, score = best_union(grid, graph, prior)
        assert np.flatnonzero(~background).tolist() == [object_is]
        assert score == pytest.approx(-2, abs=1e-6)


def test_where_no_union_qualifies_the_border_rule_decides() -> None:
    tiny = np.zeros((20, 20), int)
    tiny[10, 10] = 1  # fewer patches than 1 %
    for grid in (
        np.zeros((3, 4), int),  # a single cluster, numbered 0 or not
        np.full((3, 4), 2),
        np.zeros((1, 1), int),  # a single patch
        labels("0000", "0001", "1111", "1111"),  # each with more than 30 % of the border
        labels("01"),  # all patches at the border
        tiny,
    ):
        graph = ncut_graph(torch.ones(grid.size, 3))
        for prior in (None, np.full(grid.size, 0.9, np.float32)):
            background, score = best_union(grid, graph, prior)
            assert score == np.inf
            assert np.array_equal(background, background_clusters(grid))


def test_numbers_without_patches_are_in_no_union() -> None:
    grid = labels("00000", "03350", "03350", "00000")
    graph = ncut_graph(torch.eye(6)[torch.from_numpy(grid.ravel())])
    background, _ = best_union(grid, graph)
    assert background.shape == (6,)
    assert background[[0, 1, 2, 4]].all()
    assert not background.all()


def test_of_many_clusters_the_largest_are_tried() -> None:
    grid = np.zeros((14, 14), int)
    grid[1:-1, 1:-1] = 1 + np.arange(12 * 12).reshape(12, 12) // 9  # 16 clusters of 9 patches inside
    grid[grid == 16] = 15  # one of 18: among the largest
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(17, 20))[grid.ravel()]).float()
    background, score = best_union(grid, ncut_graph(features))
    tried = np.argsort(-np.bincount(grid.ravel()), kind="stable")[:UNION_CLUSTERS]
    assert background.shape == (16,)
    assert np.isfinite(score)
    assert 15 in tried
    assert set(np.flatnonzero(~background)) <= set(tried)
    # the others count as background, with all their affinities
    foreground = ~background[grid.ravel()]
    naive = normalized_cut(ncut_graph(features), torch.from_numpy(foreground))
    assert score == pytest.approx(naive + border_share(grid)[~background].sum(), abs=1e-4)


def test_patches_without_affinities_make_no_foreground() -> None:
    grid = labels("0000000", "0112200", "0112200", "0000000", "0000000")
    centres = torch.tensor([[0.0, 0.0], [300.0, 100.0], [100.0, 300.0]])
    for seed in range(6):
        noise = torch.rand(35, 1, generator=torch.Generator().manual_seed(seed))
        features = centres[torch.from_numpy(grid.ravel())] * (1 + 0.1 * noise)
        # all volume is in clusters 1 and 2: of the rest, rounding must leave none
        background, score = best_union(grid, ncut_graph(features))
        assert (~background).sum() == 1
        foreground = torch.from_numpy(~background[grid.ravel()])
        assert score == pytest.approx(normalized_cut(ncut_graph(features), foreground), rel=1e-4)
    nothing = best_union(grid, ncut_graph(torch.zeros(35, 2)))
    assert np.array_equal(nothing[0], background_clusters(grid))
    assert nothing[1] == np.inf
