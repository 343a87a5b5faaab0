"""Lesson 7: its definitions against the library's, its explorer, and what its checks say."""

from collections.abc import Callable
from itertools import pairwise
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from deepcut_lib import DeepCut, load_backbone, losses, metrics
from deepcut_lib.baselines import connected_components, spectral
from deepcut_lib.errors import BackboneUnavailableError
from deepcut_lib.graphs import cc_graph, modularity_affinity, ncut_graph
from deepcut_lib.kless import centre_vectors, cluster_vectors, picture_vector
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.k_less import checks
from deepcut_lib.lessons.k_less import explorer as widgets
from deepcut_lib.lessons.k_less.checks import (
    FOUR,
    best_groupings,
    groupings,
    longest_plateau,
    merged,
    tie_alpha,
)
from deepcut_lib.lessons.k_less.explorer import explore_groups, summary
from deepcut_lib.lessons.k_less.figures import (
    CATEGORY_COLOURS,
    FRAME,
    counts_figure,
    groups_figure,
    partition_lines,
    picture_sheet,
    regions_figure,
    searches_figure,
    thumbnail,
)
from tests.conftest import DATA, ROOT
from tests.lessons.definitions import definitions, pixels, same_picture

KINDS = ("bird", "fruit", "mammal", "other", "vehicle")
PATHS = [DATA / "images" / f"{kind}_{number:02}.jpg" for kind in KINDS for number in (1, 2, 3)]
CATEGORIES = np.array([path.stem.split("_")[0] for path in PATHS])
FOUR_KINDS = np.flatnonzero(CATEGORIES != "other")


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return definitions("07_k_less")


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    return torch.randn(12, 4, generator=generator)


@pytest.fixture(scope="module")
def vectors() -> Tensor:
    backbone = load_backbone("pixels")
    return torch.stack([picture_vector(path, backbone) for path in PATHS])


# ------------------------------------------------------------------------------------------- definitions


def test_the_loss_is_the_librarys(lesson: dict[str, Any], features: Tensor) -> None:
    groups = torch.randint(4, (12,), generator=torch.Generator().manual_seed(1))
    S = torch.eye(4)[groups]
    for alpha in (1, 3.0, 40):
        graph = cc_graph(features, alpha)
        torch.testing.assert_close(lesson["cc_affinity"](features, alpha), graph.affinity)
        expected = losses.cc_loss(graph, S)
        torch.testing.assert_close(lesson["cc_loss"](graph.affinity, S), expected)
        by_loops = lesson["cc_loss_by_loops"](graph.affinity, groups.tolist())
        torch.testing.assert_close(by_loops, expected, rtol=1e-4, atol=1e-3)
    soft = torch.softmax(torch.randn(3, 12, 5, generator=torch.Generator().manual_seed(2)), -1)
    torch.testing.assert_close(lesson["cc_loss"](graph.affinity, soft), losses.cc_loss(graph, soft))


def test_what_is_expected_is_the_librarys(lesson: dict[str, Any], features: Tensor) -> None:
    graph = ncut_graph(features)
    torch.testing.assert_close(lesson["less_expected"](graph.affinity), modularity_affinity(graph))


def test_partitions_are_all_and_different(lesson: dict[str, Any]) -> None:
    for n, number in ((1, 1), (3, 5), (5, 52), (7, 877)):
        found = {tuple(groups) for groups in lesson["partitions"](n)}
        assert len(found) == len(lesson["partitions"](n)) == number
    assert lesson["partitions"](4) == groupings(4)


def test_same_groups_knows_other_numbers(lesson: dict[str, Any]) -> None:
    for same in (lesson["same_groups"], checks.same_groups):
        assert same([0, 0, 1], torch.tensor([7, 7, 2]))
        assert not same([0, 0, 1], [0, 1, 1])
        assert not same([0, 0, 1], [0, 0, 0])
        assert not same([0, 0, 0], [0, 0, 1])


def test_prepared_vectors_are_those_that_the_library_clusters(
    lesson: dict[str, Any], vectors: Tensor
) -> None:
    prepared = lesson["prepare"](vectors)
    torch.testing.assert_close(prepared, centre_vectors(vectors))
    torch.testing.assert_close(prepared.mean(0), torch.zeros(vectors.shape[1]), atol=1e-4, rtol=0)
    library = cluster_vectors(vectors, alpha=12)
    by_hand = DeepCut(10, "cc", alpha=12, epochs=100, n_init=8).fit(prepared)
    assert lesson["same_groups"](library.labels, by_hand.labels_)


def test_purity_and_components_and_eigengap_are_the_librarys(
    lesson: dict[str, Any], features: Tensor, vectors: Tensor
) -> None:
    rng = np.random.default_rng(0)
    truth, labels = rng.choice(["a", "b", "c"], 50), rng.integers(7, size=50)
    expected = metrics.purity(truth, labels)
    assert lesson["purity"](truth, labels) == pytest.approx(expected)
    assert lesson["purity_by_loops"](list(truth), list(labels)) == pytest.approx(expected)
    for alpha in (1.2, 2, 5, 100):
        graph = cc_graph(features, alpha)
        ours = lesson["components"](graph.affinity)
        assert lesson["same_groups"](ours, connected_components(graph))
    points, _ = lesson["heaps"](1.2)
    for rows in (points, lesson["prepare"](vectors)):
        pieces, values = lesson["eigengap"](ncut_graph(rows).affinity.double())
        assert pieces == len(np.unique(spectral(ncut_graph(rows))))
        assert values[0] == pytest.approx(1)


def test_nmi_and_ari_are_the_librarys_and_scikit_learns(lesson: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    for classes, groups, things in ((2, 3, 8), (5, 9, 60), (4, 1, 20), (3, 40, 40)):
        truth = np.append(rng.integers(classes, size=things), [0, 1])
        labels = np.append(rng.integers(groups, size=things), [0, 0])
        counts = lesson["counts_of"](truth, labels)
        assert counts.sum() == len(truth)
        by_hand = lesson["nmi"](counts), lesson["ari"](counts)
        by_sklearn = normalized_mutual_info_score(truth, labels), adjusted_rand_score(truth, labels)
        assert by_hand == pytest.approx(by_sklearn, abs=1e-9)
        assert by_hand == pytest.approx(metrics.cluster_scores(truth, labels)[2:], abs=1e-9)


def test_several_starts_of_single_moves_are_no_worse_than_the_network(
    lesson: dict[str, Any], features: Tensor
) -> None:
    for alpha in (2.0, 5.0, 20.0):
        W = cc_graph(features, alpha).affinity
        network = cluster_vectors(features, alpha=alpha, centred=False).labels
        moved = lesson["by_moves"](W)
        assert lesson["loss_of"](W, moved) <= lesson["loss_of"](W, network) + 1e-3
        graph = cc_graph(features, alpha)
        one_hot = torch.eye(len(features))[torch.as_tensor(moved)]
        assert lesson["loss_of"](W, moved) == pytest.approx(float(losses.cc_loss(graph, one_hot)), rel=1e-4)


def test_pictures_are_those_of_the_list() -> None:
    source = (ROOT / "notebooks/07_k_less.ipynb").read_text(encoding="utf-8")
    assert "glob(" not in source
    assert "recipes.csv" in source


def test_single_moves_end_where_nobody_gains(lesson: dict[str, Any], features: Tensor) -> None:
    W = cc_graph(features, 5.0).affinity

    def loss(labels: np.ndarray) -> float:
        return float(lesson["cc_loss"](W, torch.eye(len(W))[torch.as_tensor(labels)]))

    start = np.arange(12) % 3
    found = lesson["move_singly"](W, start)
    assert loss(found) < loss(start)
    for i in range(12):
        for group in range(12):
            moved = found.copy()
            moved[i] = group
            assert loss(moved) >= loss(found) - 1e-3


def test_a_draw_is_balanced(lesson: dict[str, Any]) -> None:
    classes = np.repeat(["a", "b", "c", "d"], [5, 9, 30, 200])
    for count in (2, 4):
        chosen = lesson["balanced_draw"](classes, count, np.random.default_rng(3), 20)
        _, sizes = np.unique(classes[chosen], return_counts=True)
        assert len(sizes) == count
        assert len(set(sizes.tolist())) == 1
        assert sizes[0] <= 20
        assert len(set(chosen.tolist())) == len(chosen)
    assert len(lesson["balanced_draw"](classes[14:], 2, np.random.default_rng(0), 20)) == 40


# ---------------------------------------------------------------------------------------------- theory


def test_the_best_groupings_are_those_of_trying_all(features: Tensor) -> None:
    found = best_groupings(features[:6])
    labels = torch.tensor(groupings(6))
    same = (labels[:, :, None] == labels[:, None, :]).flatten(1).float()
    for alpha in np.geomspace(1.02, 300, 30):
        least = int((-same @ cc_graph(features[:6], alpha).affinity.flatten()).argmin())
        assert [groups for above, groups in found if above > alpha][-1] == labels[least].tolist()


def test_a_larger_alpha_never_parts_more_pairs(features: Tensor) -> None:
    pairs = [sum(groups.count(one) for one in groups) for _, groups in best_groupings(features[:7])]
    assert all(larger > smaller for larger, smaller in pairwise(pairs))
    assert len(pairs) > 3


# --------------------------------------------------------------------------------------------- figures


def test_a_group_has_the_frames_of_its_pictures() -> None:
    small = [np.full((20, 20, 3), 128, np.uint8)] * 4
    classes = np.array(["bird", "fruit", "bird", "bird"])
    figure = groups_figure(small, [1, 0, 1, 0], classes, "two groups")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"two groups", "bird 2/2", "bird 1/2"} <= set(texts)
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    side = 20 + 2 * FRAME
    ring = side * side - 20 * 20
    for name, count in (("bird", 3), ("fruit", 1)):
        assert (canvas == CATEGORY_COLOURS[name]).all(-1).sum() == count * ring


@pytest.mark.parametrize(("count", "groups"), [(80, 1), (80, 10), (200, 20), (1, 1), (600, 3)])
def test_all_pictures_fit_without_touching(count: int, groups: int) -> None:
    small = [np.zeros((40, 40, 3), np.uint8)] * count
    figure = groups_figure(small, np.arange(count) % groups, ["bird"] * count, "many")
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    black = (canvas == 0).all(-1).sum()
    side = round((black / count) ** 0.5)
    assert black == count * side * side  # none over another, none cut off
    assert side > 3


def test_too_many_groups_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="show fewer"):
        groups_figure([np.zeros((8, 8, 3), np.uint8)] * 900, np.arange(900), ["bird"] * 900, "")


def test_the_lowest_line_is_drawn_thick() -> None:
    inverse = np.linspace(0, 1, 11)
    figure = partition_lines(inverse, np.stack([inverse - 1, 0 * inverse - 0.45, inverse]), ["a", "b", "c"])
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 4]
    assert [line.get_xdata().max().round(1) for line in thick] == [0.5, 1.0]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["a", "b", "the other 1"]


def test_regions_keep_their_colours_and_specks_are_not_large() -> None:
    labels = np.zeros((20, 20), int)
    labels[:, 12:] = 1
    swapped = 1 - labels
    swapped[0, 0] = 2  # one place of 400
    cuts: dict[float, Any] = {
        3.0: SimpleNamespace(labels=labels, pixels=labels, n_clusters=2),
        9.0: SimpleNamespace(labels=swapped, pixels=swapped, n_clusters=3),
        99.0: SimpleNamespace(labels=0 * labels, pixels=0 * labels, n_clusters=1),
    }
    figure = regions_figure(np.zeros((30, 30, 3), np.uint8), "black", cuts)
    first, second, third = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[1:4])
    assert (first != second).any(-1).sum() == 1
    assert (first[0, 0] == third).all()
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == [
        "black",
        "alpha 3: 2 regions, 2 large",
        "alpha 9: 3 regions, 2 large",
        "alpha 99: 1 region, 1 large",
    ]


def test_searches_stand_side_by_side() -> None:
    alphas = [1.0, 10.0, 100.0]
    figure = searches_figure(
        {"a": (alphas, {"one": [5, 4, 3], "two": [9, 4, 1]}, 4), "b": (alphas, {"one": [3, 2, 1]}, 2)}
    )
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [line.get_ydata().tolist() for line in first.lines[1:]] == [[5, 4, 3], [9, 4, 1]]
    assert second.get_legend().get_texts()[0].get_text() == "true number, 2"


def test_counts_and_sheet_show_what_they_are_given() -> None:
    figure = counts_figure(["a", "b", "b", "b"], [0, 0, 1, 1])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["1", "1", "2"]
    reds = [np.full((10, 10, 3), (255, 0, 0), np.uint8)] * 5
    assert (pixels(picture_sheet(reds, columns=3))[..., 1] == 0).sum() == 500


# -------------------------------------------------------------------------------------------- explorer


@pytest.fixture
def explorer(vectors: Tensor) -> Explorer:
    return explore_groups(load_backbone("pixels"), PATHS, vectors)


def expected(vectors: Tensor, chosen: np.ndarray, alpha: float, **options: Any) -> Figure:
    labels = cluster_vectors(vectors[chosen], alpha=alpha, **options).labels
    heading = summary(vectors[chosen], labels, CATEGORIES[chosen], alpha, centred=True)
    return groups_figure([thumbnail(PATHS[i]) for i in chosen], labels, CATEGORIES[chosen], heading)


def test_the_explorer_draws_the_figure_of_its_values(explorer: Explorer, vectors: Tensor) -> None:
    assert same_picture(explorer.figure, expected(vectors, FOUR_KINDS, 100.0))
    explorer.controls["alpha"].value = 3.0
    wanted = expected(vectors, FOUR_KINDS, 3.0)
    assert same_picture(explorer.figure, wanted)
    explorer.set(most=4, seed=5)
    assert same_picture(explorer.figure, expected(vectors, FOUR_KINDS, 3.0, max_clusters=4, random_state=5))
    assert not same_picture(explorer.figure, wanted)
    explorer.set(kinds=("bird",), most=10, seed=0)
    assert same_picture(explorer.figure, expected(vectors, np.arange(3), 3.0))


def test_the_first_slider_changes_the_picture_at_each_step(explorer: Explorer) -> None:
    seen = []
    for label, _ in explorer.controls["alpha"].options[-4:]:
        explorer.controls["alpha"].label = label
        seen.append(pixels(explorer.figure).tobytes())
    assert len(set(seen)) == 4


def test_an_unavailable_backbone_is_named(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise BackboneUnavailableError(f"{name} is not here")

    monkeypatch.setattr(widgets, "load_backbone", refuse)
    explorer.controls["name"].value = "tiny_vit"
    assert "tiny_vit is not here" in explorer.message
    explorer.controls["name"].value = "pixels"
    assert explorer.message == ""


def test_the_heading_counts_what_the_lesson_counts(lesson: dict[str, Any], vectors: Tensor) -> None:
    labels = np.zeros(len(PATHS), int)
    negative = float(cc_graph(lesson["prepare"](vectors), 12).negative_share())
    text = summary(vectors, labels, CATEGORIES, 12, centred=True)
    assert text.startswith("alpha 12: 1 group of 15 pictures · purity 0.20 · NMI 0.00")
    assert f"{negative:.0%} of W negative" in text
    raw = summary(vectors, labels, CATEGORIES, 12, centred=False)
    assert f"{float(cc_graph(vectors, 12).negative_share()):.0%}" in raw


def test_a_thumbnail_is_small_and_square(tmp_path: Path) -> None:
    small = thumbnail(PATHS[0], 24)
    assert small.shape == (24, 24, 3)
    assert small.dtype == np.uint8
    assert len(np.unique(small.reshape(-1, 3), axis=0)) <= 16


# ---------------------------------------------------------------------------------------------- checks


def says(check: Callable[[Any], Any], answer: Any, words: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert words in verdict.message, verdict


def test_table5() -> None:
    for right in ((1, 0, 1), [1, 0.0, 1.0], np.array([1, 0, 1]), torch.tensor([1, 0, 1])):
        assert checks.check_table5(right)
    says(checks.check_table5, (5, 0, 1), "no choice")
    says(checks.check_table5, (1, 1, 1), "NMI")
    says(checks.check_table5, (1, 0, 100), "percent")
    says(checks.check_table5, (1, 0, 0.2), "commonest")
    says(checks.check_table5, 1, "shape")


def test_tie_alpha() -> None:
    def pairwise_tie(F: Tensor, first: list[int], second: list[int]) -> float:
        """Counting each pair once and leaving single things out is as good."""
        G, totals = F @ F.T, []
        for groups in (first, second):
            pairs = [(i, j) for i in range(len(F)) for j in range(i) if groups[i] == groups[j]]
            totals.append((float(sum(G[pair] for pair in pairs)), len(pairs)))
        (inside, pairs), (other, more) = totals
        x = (inside - other) / (float(G.max()) * (pairs - more)) if pairs != more else 0
        return 1 / x if x > 0 else inf

    assert checks.check_tie_alpha(tie_alpha)
    assert checks.check_tie_alpha(pairwise_tie)
    alpha = tie_alpha(FOUR, [0, 0, 1, 2], [0, 0, 0, 1])
    graph = cc_graph(FOUR, alpha)
    ties = [losses.cc_loss(graph, torch.eye(3)[groups]) for groups in ([0, 0, 1, 2], [0, 0, 0, 1])]
    torch.testing.assert_close(*ties)
    says(checks.check_tie_alpha, lambda F, a, b: 1 / tie_alpha(F, a, b), "turn it over")
    says(checks.check_tie_alpha, lambda F, a, b: tie_alpha(F, a, b) * 0.9, "diagonal")
    says(checks.check_tie_alpha, lambda F, a, b: min(tie_alpha(F, a, b), 1e9), "float('inf')")
    says(checks.check_tie_alpha, lambda F, a, b: tie_alpha(F, sorted(a), b), "numbers may be any")
    says(checks.check_tie_alpha, lambda F, a, b: 1 / 0, "ZeroDivisionError")


def test_plateau() -> None:
    def right(alphas: list[float], counts: list[int], most: int) -> int:
        best, widest, start = most, 0.0, 0
        for i, count in enumerate(counts):
            if count != counts[start]:
                start = i
            if count < most and alphas[i] / alphas[start] > widest:
                best, widest = count, alphas[i] / alphas[start]
        return best

    def joined(alphas: list[float], counts: list[int], most: int) -> int:
        """All alphas of a number, with gaps."""
        spans = {
            count: max(a for a, c in zip(alphas, counts, strict=True) if c == count)
            / min(a for a, c in zip(alphas, counts, strict=True) if c == count)
            for count in counts
            if count < most
        }
        return max(spans, key=lambda count: spans[count]) if spans else most

    assert checks.check_plateau(right)
    assert checks.check_plateau(lambda *given: float(right(*given)))
    says(checks.check_plateau, lambda a, c, most: right(a, c, most + 1), "limit decided")
    by_number = lambda a, c, most: longest_plateau(np.exp(np.arange(len(a))), c, most)  # noqa: E731
    says(checks.check_plateau, by_number, "not by how many")
    says(checks.check_plateau, joined, "without a gap")
    differences = lambda a, c, most: checks._plateau(a, c, most, lambda low, high: high - low)  # noqa: E731
    says(checks.check_plateau, differences, "ratios, not differences")
    says(checks.check_plateau, lambda a, c, most: None, "return")


def test_merging() -> None:
    def by_table(W: Tensor) -> Tensor:
        between, groups = W.clone().fill_diagonal_(-inf), [[i] for i in range(len(W))]
        while between.max() > 0:
            a, b = sorted(divmod(int(between.argmax()), len(between)))
            groups[a] += groups.pop(b)
            between[a] += between[b].clone()
            between[:, a] += between[:, b].clone()
            keep = torch.arange(len(between)) != b
            between = between[keep][:, keep].fill_diagonal_(-inf)
        labels = torch.empty(len(W), dtype=torch.long)
        for number, group in enumerate(groups):
            labels[group] = number
        return labels

    assert checks.check_merging(merged)
    assert checks.check_merging(by_table)
    assert checks.check_merging(lambda W: [7 * label for label in merged(W)])
    says(checks.check_merging, lambda W: checks._merged(W, lambda block: float(block.max())), "components")
    says(checks.check_merging, lambda W: checks._merged(W, lambda block: float(block.mean())), "means")
    says(checks.check_merging, lambda W: np.arange(len(W)), "alpha = 1.2")
    says(checks.check_merging, lambda W: [0] * len(W), "diagonal")
    says(checks.check_merging, lambda W: 0, "shape")


def test_paradox() -> None:
    odd = torch.randn(8, 2, generator=torch.Generator().manual_seed(134))
    assert checks.check_paradox(odd)
    assert checks.check_paradox(odd.double().numpy().tolist())
    says(checks.check_paradox, FOUR, "never fewer")
    says(checks.check_paradox, torch.zeros(4, 2), "not all zero")
    says(checks.check_paradox, torch.randn(20, 2), "2 to 8")
    says(checks.check_paradox, torch.randn(5), "n rows")
    says(checks.check_paradox, torch.full((4, 2), torch.nan), "NaN")
    for scale in (1e-30, 1e30):  # beyond what sums of products tell apart
        assert checks.check_paradox(odd.double() * scale)


ANYTHING: list[Any] = [
    *(
        None,
        ...,
        "abc",
        "",
        3,
        float("nan"),
        object(),
        {"a": 1},
        [],
        [[]],
        [[], []],
        [[1, 2], [3]],
        [None, 1, 2],
    ),
    *(["a", "b", "c"], [["a", "b"]], np.array([]), np.zeros((3, 0)), np.zeros((2, 2, 2)), torch.zeros(4, 0)),
    *(
        np.full(3, np.nan),
        np.full((4, 2), np.inf),
        np.array([None, 1], dtype=object),
        lambda: 1,
        lambda *given: given,
    ),
    *(
        lambda *given: None,
        lambda *given: "abc",
        lambda *given: [],
        lambda *given: float("nan"),
        lambda *given: 1 / 0,
    ),
    *(
        lambda *given: [[1, 2], [3]],
        lambda *given: np.zeros((0, 2)),
        lambda *given: given[0],
        lambda F: F,
        int,
        print,
    ),
]


@pytest.mark.parametrize(
    "check",
    [
        checks.check_table5,
        checks.check_tie_alpha,
        checks.check_plateau,
        checks.check_merging,
        checks.check_paradox,
    ],
    ids=lambda check: check.__name__,
)
def test_whatever_is_handed_in_gets_a_verdict(check: Callable[[Any], Any]) -> None:
    for answer in ANYTHING:
        verdict = check(answer)
        assert not verdict, answer
        assert len(verdict.message) > 20
