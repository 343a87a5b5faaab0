"""Lesson 2: its definitions against the library's, its explorer, and what its checks say."""

from collections.abc import Callable
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backend_bases import MouseEvent
from PIL import Image
from torch import Tensor

from deepcut_lib import load_backbone
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.graphs import Graph, cc_graph, fiedler_vector, ncut_graph, normalized_cut
from deepcut_lib.images import load_image
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.graphs import checks
from deepcut_lib.lessons.graphs import explorer as widgets
from deepcut_lib.lessons.graphs.checks import best_two_way_cut
from deepcut_lib.lessons.graphs.explorer import explore_graph, relative_affinities
from deepcut_lib.lessons.graphs.figures import CELLS, affinity_matrices, graph_on_picture, graph_view
from tests.conftest import DATA
from tests.lessons.definitions import definitions, same_picture

PICTURES = [DATA / "images" / f"{name}.jpg" for name in ("bird_01", "photo_cat")]
FOUR = torch.tensor([[3.0, 0.0], [2.0, 2.0], [-1.0, 2.0], [-2.0, 1.0]])


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    return torch.randn(30, 5, generator=generator)


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return definitions("02_graphs")


def test_affinities_are_the_librarys(lesson: dict[str, Any], features: Tensor) -> None:
    signed = Graph(features, nonnegative=False)
    torch.testing.assert_close(lesson["affinity_by_loops"](features), signed.affinity)
    torch.testing.assert_close(lesson["affinity"](features), signed.affinity)
    torch.testing.assert_close(lesson["ncut_affinity"](features), ncut_graph(features).affinity)
    for alpha in (0.5, 3, 20):
        torch.testing.assert_close(lesson["cc_affinity"](features, alpha), cc_graph(features, alpha).affinity)


def test_degrees_and_cuts_are_the_librarys(lesson: dict[str, Any], features: Tensor) -> None:
    graph = ncut_graph(features)
    torch.testing.assert_close(lesson["degrees"](graph.affinity), graph.degrees)
    energy = features.T @ lesson["laplacian"](graph.affinity) @ features
    torch.testing.assert_close(energy, energy.T, atol=1e-3, rtol=1e-4)
    assert torch.linalg.eigvalsh(energy).min() > 0
    for parts in (2, 3, 5):
        labels = torch.arange(30) % parts
        assert lesson["n_cut"](graph.affinity, labels) == pytest.approx(normalized_cut(graph, labels))


def test_fiedler_vector_is_the_librarys_and_solves_the_problem(
    lesson: dict[str, Any], features: Tensor
) -> None:
    W = ncut_graph(features).affinity
    second, vector = lesson["fiedler"](W)
    values, expected = fiedler_vector(W)
    assert second == pytest.approx(values[0])
    np.testing.assert_allclose(vector, expected, atol=1e-8)
    W, D = W.double(), torch.diag(W.double().sum(1))
    torch.testing.assert_close((D - W) @ vector, second * D @ vector, atol=1e-8, rtol=0)


def test_fiedler_vector_of_two_patches_and_of_an_isolated_one() -> None:
    values, vector = fiedler_vector(torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
    assert values[1] == inf
    assert vector[0] * vector[1] < 0
    with pytest.raises(ValueError, match="Patch 1 has degree 0"):
        fiedler_vector(torch.diag(torch.tensor([1.0, 0.0, 2.0])))


def test_best_cut_beats_all_others_and_lies_above_the_second_eigenvalue(features: Tensor) -> None:
    graph = ncut_graph(features[:6])
    best, labels = best_two_way_cut(features[:6])
    every = [torch.tensor(sides) for sides in product((0, 1), repeat=6) if len(set(sides)) == 2]
    assert best == pytest.approx(min(normalized_cut(graph, one) for one in every))
    assert normalized_cut(graph, labels) == pytest.approx(best)
    assert fiedler_vector(graph.affinity)[0][0] <= best + 1e-9


def test_masks_come_to_the_grid(lesson: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bring = lesson["mask_on_grid"]
    monkeypatch.setitem(bring.__globals__, "data", DATA)
    mask = bring("bird_01", (20, 28))
    assert mask.shape == (20, 28)
    assert 0.05 < mask.float().mean() < 0.2
    assert bring("photo_cat", (20, 28)) is None
    assert lesson["left_right"]((2, 4)).tolist() == [False, False, True, True] * 2


def test_thresholds_and_alpha_are_the_equations(features: Tensor) -> None:
    largest = (features @ features.T).max()
    for threshold, alpha, expected in (
        (-inf, inf, Graph(features, nonnegative=False)),
        (0.0, inf, ncut_graph(features)),
        (-inf, 3.0, cc_graph(features, 3.0)),
    ):
        kept = relative_affinities(features, threshold, alpha)[1]
        torch.testing.assert_close(kept, expected.affinity / largest)
    signed, kept = relative_affinities(features, 0.4, 5.0)
    assert torch.equal(kept, torch.where(signed < 0.4, 0, signed))


# ---------------------------------------------------------------------------------------------- figures


def test_a_large_matrix_is_drawn_in_means() -> None:
    n = 3 * CELLS - 1
    figure = affinity_matrices([torch.ones(n, n)], ["ones"], torch.arange(n) % 2)
    drawn = figure.axes[0].images[0].get_array()
    assert drawn.shape == (CELLS, CELLS)
    np.testing.assert_allclose(drawn, 1)


def test_edges_over_the_picture_are_the_strongest_of_their_sign(photograph: np.ndarray) -> None:
    values = normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(1)))
    grid = PatchFeatures(values, (8, 8), None, (96, 128), "made by hand")
    figure = graph_on_picture(load_image(photograph), grid, values @ values.T, nodes=3, edges=5)
    assert [axes.get_title() for axes in figure.axes] == [
        f"the 5 pairs that {what} each other most" for what in ("attract", "repel")
    ]
    figure = graph_on_picture(load_image(photograph), grid, torch.ones(64, 64), nodes=3, edges=5)
    assert figure.axes[1].get_title() == "the 0 pairs that repel each other most"


# --------------------------------------------------------------------------------------------- explorer


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load_backbone("pixels", device="cpu")


@pytest.fixture
def explorer(backbone: Any) -> Explorer:
    return explore_graph(backbone, PICTURES)


def expected(
    backbone: Any, picture: Path, centred: bool, threshold: float, alpha: float, patch: tuple[int, int]
) -> Any:
    features = backbone(picture, cls=False)
    values = normalize(features.values) if centred else features.values
    vector = fiedler_vector(ncut_graph(values).affinity)[1]
    return graph_view(
        load_image(picture), features, *relative_affinities(values, threshold, alpha), vector, patch
    )


def test_the_explorer_shows_the_functions_figure(explorer: Explorer, backbone: Any) -> None:
    assert same_picture(explorer.figure, expected(backbone, PICTURES[0], True, 0.0, inf, (14, 14)))
    explorer.set(row=5, column=2, threshold=-inf, alpha=3.0, picture=PICTURES[1].stem)
    wanted = expected(backbone, PICTURES[1], True, -inf, 3.0, (5, 2))
    assert same_picture(explorer.figure, wanted)
    explorer.controls["centred"].value = False
    assert not same_picture(explorer.figure, wanted)
    assert same_picture(explorer.figure, expected(backbone, PICTURES[1], False, -inf, 3.0, (5, 2)))


def test_a_click_on_the_maps_chooses_a_patch(explorer: Explorer) -> None:
    def click(axes_label: str, x: float, y: float) -> None:
        (axes,) = (one for one in explorer.figure.axes if one.get_label() == axes_label)
        axes.apply_aspect()
        canvas = explorer.figure.canvas
        event = MouseEvent("button_press_event", canvas, *axes.transData.transform((x, y)), button=1)
        canvas.callbacks.process("button_press_event", event)

    click("patch", 20.3, 3.8)
    assert (explorer.values["row"], explorer.values["column"]) == (4, 20)
    click("degree", 0.1, 27.2)
    assert (explorer.values["row"], explorer.values["column"]) == (27, 0)
    click("matrix", 300, 200)
    assert (explorer.values["row"], explorer.values["column"]) == (27, 0)


def test_a_patch_off_the_grid_is_named(explorer: Explorer) -> None:
    explorer.controls["row"].value = 28
    assert "no patch in row 28" in explorer.message
    assert "0 to 27" in explorer.message
    explorer.controls["row"].value = 27
    assert explorer.message == ""


# ------------------------------------------------------------------------------------------------ checks


def says(check: Callable[[Any], Any], answer: Any, words: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert words in verdict.message, verdict


def test_negative_shares() -> None:
    for right in ((0.5, 0.8), [1 / 2, 4 / 5], torch.tensor([0.5, 0.8]), np.array([0.5, 0.8])):
        assert checks.check_negative_shares(right)
    says(checks.check_negative_shares, (50, 80), "between 0 and 1")
    says(checks.check_negative_shares, (0.25, 0.8), "symmetric")
    says(checks.check_negative_shares, (0.5, 1.0), "itself")
    says(checks.check_negative_shares, (0.5, 0.5), "second share")
    says(checks.check_negative_shares, 0.5, "shape")


def test_five_patches_can_reach_the_share_of_four_fifths() -> None:
    simplex = torch.eye(5) - 0.2
    assert Graph(simplex, nonnegative=False).negative_share() == pytest.approx(0.8)


def test_turning_alpha() -> None:
    def right(F: Tensor, i: int, j: int) -> Any:
        product = F[i] @ F[j]
        return F.square().sum(1).max() / product if product > 0 else torch.tensor(inf)

    assert checks.check_turning_alpha(right)
    assert checks.check_turning_alpha(lambda F, i, j: float(right(F, i, j)))
    turning = float(right(FOUR, 1, 2))
    assert cc_graph(FOUR, turning - 0.01).affinity[1, 2] < 0 < cc_graph(FOUR, turning + 0.01).affinity[1, 2]
    wrong = {
        "without W": lambda F, i, j: (F @ F.T).max() / (F @ F.T)[i, j],
        "whole matrix": lambda F, i, j: (
            max(F[i] @ F[i], F[j] @ F[j]) / (F[i] @ F[j]) * (1 if i == j else 9 / 8)
        ),
        "negative before any shift": lambda F, i, j: F.square().sum(1).max() / (F[i] @ F[j]),
        "float('inf')": lambda F, i, j: max(float(F.square().sum(1).max() / (F[i] @ F[j])), 0),
        "shift max": lambda F, i, j: (F[i] @ F[j]) / F.square().sum(1).max(),
        "ZeroDivisionError": lambda F, i, j: 1 / 0,
    }
    for words, function in wrong.items():
        says(checks.check_turning_alpha, function, words)


def test_signed_degrees() -> None:
    def right(F: Tensor, alpha: float) -> Tensor:
        return F @ F.sum(0) - len(F) * F.square().sum(1).max() / alpha

    assert checks.check_signed_degrees(right)
    assert checks.check_signed_degrees(lambda F, alpha: right(F, alpha).numpy())
    wrong = {
        "without W": lambda F, alpha: cc_graph(F, alpha).affinity.sum(1),
        "how often": lambda F, alpha: F @ F.sum(0) - F.square().sum(1).max() / alpha,
        "missing": lambda F, alpha: F @ F.sum(0),
        "do not cut": lambda F, alpha: (
            right(F, alpha)
            + torch.stack([(F @ row - F.square().sum(1).max() / alpha).clamp(max=0).abs().sum() for row in F])
        ),
        "shape": lambda F, alpha: right(F, alpha)[:, None],
        "pull": lambda F, alpha: 2 * right(F, alpha),
    }
    for words, function in wrong.items():
        says(checks.check_signed_degrees, function, words)


def test_normalized_laplacian() -> None:
    def right(W: Tensor) -> Tensor:
        d = W.sum(1)
        scale = torch.where(d > 0, d, 1).rsqrt() * (d > 0)
        return torch.diag((d > 0).float()) - scale[:, None] * W * scale

    assert checks.check_normalized_laplacian(right)
    assert checks.check_normalized_laplacian(lambda W: right(W).double().numpy())
    two_pieces = torch.block_diag(ncut_graph(FOUR).affinity, torch.zeros(1, 1))
    assert (np.abs(np.linalg.eigvalsh(right(two_pieces))) < 1e-6).sum() == 2
    wrong = {
        "NaN": lambda W: torch.eye(len(W)) - W / (W.sum(1)[:, None] * W.sum(1)).sqrt(),
        "This is D − W": lambda W: torch.diag(W.sum(1)) - W,
        "not symmetric": lambda W: torch.eye(len(W)) - W / W.sum(1, keepdim=True),
        "from the identity": lambda W: W / (W.sum(1)[:, None] * W.sum(1)).sqrt(),
        "keeps its 1": lambda W: (
            torch.eye(len(W)) - W / (W.sum(1)[:, None] * W.sum(1)).sqrt().clamp(min=1e-9)
        ),
    }
    for words, function in wrong.items():
        says(checks.check_normalized_laplacian, function, words)


def test_misled() -> None:
    def candidates() -> Any:
        for seed in range(200):
            yield torch.randn(6, 2, generator=torch.Generator().manual_seed(seed))

    found = next(F for F in candidates() if checks.check_misled(F))
    assert checks.check_misled(found.numpy().tolist())
    says(checks.check_misled, FOUR, "no other cut is lower")
    says(checks.check_misled, torch.eye(4), "falls apart")
    says(checks.check_misled, torch.ones(4, 1), "λ₂ = λ₃")
    says(checks.check_misled, torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), "not zero")
    says(checks.check_misled, torch.randn(30, 2), "3 to 10")
    says(checks.check_misled, lambda: FOUR, "Give features")


# The explorer in which a cut is drawn


def test_a_drawn_mask_is_scored_as_the_library_scores_it(photograph: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photograph).save(tmp_path / "a.png")
    backbone = load_backbone("pixels")
    explorer = widgets.explore_drawing(backbone, [tmp_path / "a.png"])
    left, right = explorer.figure.axes
    assert "nothing is cut" in left.get_xlabel()
    assert "N-cut" in right.get_xlabel()
    features = backbone(tmp_path / "a.png")
    values = backbone.recipe.prepare(features.values)
    h, w = features.grid
    upper = frozenset((row, column) for row in range(h // 2) for column in range(w))
    explorer.set(drawn={"a": upper})
    labels = (torch.arange(h * w) < h // 2 * w).long()
    expected = normalized_cut(ncut_graph(values), labels)
    assert f"N-cut {expected:.3f}" in explorer.figure.axes[0].get_xlabel()
    signed = cc_graph(values, 3.0)
    whole = widgets.scores(ncut_graph(values), signed, np.ones(h * w, bool))
    assert np.isnan(whole.ncut)
    assert whole.cc == pytest.approx(-float(signed.affinity.sum()) / (h * w) ** 2, rel=1e-4)


def test_a_pen_draws_and_erases_on_its_own_picture_alone(photograph: np.ndarray, tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(photograph).save(tmp_path / f"{name}.png")
    explorer = widgets.explore_drawing(load_backbone("pixels"), [tmp_path / "a.png", tmp_path / "b.png"])
    canvas = explorer.figure.canvas

    def stroke(panel: int) -> None:
        for kind, x in (
            ("button_press_event", 10),
            ("motion_notify_event", 118),
            ("button_release_event", 118),
        ):
            canvas.draw()
            at = explorer.figure.axes[panel].transData.transform((x, 40))
            canvas.callbacks.process(kind, MouseEvent(kind, canvas, *at, button=1))

    stroke(0)
    drawn = explorer.values["drawn"]["a"]
    columns = {column for _, column in drawn}
    assert columns == set(range(min(columns), max(columns) + 1))  # nothing is jumped over
    assert len(columns) > 20
    stroke(1)  # the graph's own cut is not drawn on
    assert explorer.values["drawn"] == {"a": drawn}
    explorer.set(picture="b")
    stroke(0)
    explorer.set(pen="erase")
    stroke(0)
    assert explorer.values["drawn"] == {"a": drawn, "b": frozenset()}


def test_the_graph_s_own_cut_is_at_the_best_threshold(photograph: np.ndarray) -> None:
    backbone = load_backbone("pixels")
    values = backbone.recipe.prepare(backbone(photograph).values)
    graph = ncut_graph(values)
    vector = fiedler_vector(graph.affinity)[1]
    best = widgets.best_split(graph)
    for third in (11, 22):  # two of the thresholds that are tried
        side = vector > np.quantile(vector, third / 33)
        costs = [normalized_cut(graph, torch.from_numpy(one.astype(np.int64))) for one in (best, side)]
        assert costs[0] <= costs[1]
