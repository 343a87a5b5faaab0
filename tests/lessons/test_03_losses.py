"""Lesson 3: the notebook's own functions, its explorer, and the checks of its exercises."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from deepcut_lib import DeepCut, losses
from deepcut_lib.backbones import load_backbone
from deepcut_lib.features import normalize
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.images import load_image
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.losses.checks import (
    check_cc_without_w,
    check_convolution,
    check_cut_gradient,
    check_empty_solution,
    check_orthogonality,
    check_own_loss,
    check_training,
)
from deepcut_lib.lessons.losses.explorer import EPOCHS, explore_epochs, training_history
from deepcut_lib.lessons.losses.figures import certainty, step_figure, training_figure
from deepcut_lib.network import Networks, initial_weights
from tests.conftest import DATA, ROOT
from tests.lessons.definitions import definitions, same_picture

LESSON = definitions("03_losses")
PICTURES = [DATA / "images" / "photo_astronaut.jpg", DATA / "images" / "bird_01.jpg"]


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    return torch.randn(25, 6, generator=generator)


@pytest.fixture
def assignment(generator: torch.Generator) -> Tensor:
    return torch.softmax(2 * torch.randn(25, 4, generator=generator), dim=1)


@pytest.mark.parametrize("alpha", [None, 1.2, 5.0])
def test_graph_convolution_is_the_librarys(features: Tensor, alpha: float | None) -> None:
    graph = ncut_graph(features) if alpha is None else cc_graph(features, alpha)
    expected = graph.propagate(features)
    torch.testing.assert_close(LESSON["propagate"](graph.affinity, features), expected)
    if alpha is None:
        by_hand = LESSON["propagate_by_hand"](graph.affinity, features)
        torch.testing.assert_close(by_hand, expected)


def test_losses_are_the_librarys(features: Tensor, assignment: Tensor) -> None:
    graph, signed = ncut_graph(features), cc_graph(features, 3.0)
    many = torch.stack([assignment, assignment.flip(1).square().softmax(1)])
    for ours, library, on in (("ncut_loss", losses.ncut_loss, graph), ("cc_loss", losses.cc_loss, signed)):
        for given in (assignment, many):
            torch.testing.assert_close(LESSON[ours](on.affinity, given), library(on, given))
    torch.testing.assert_close(LESSON["cut_term"](graph.affinity, many), losses.cut_term(graph, many))
    torch.testing.assert_close(LESSON["orthogonality_term"](many), losses.orthogonality_term(many))


def test_network_is_the_librarys_with_and_without_dropout(
    features: Tensor, generator: torch.Generator
) -> None:
    start = initial_weights(6, 16, 8, 3, generator)
    networks = Networks([start], batch=1, dropout=0.25)
    propagated = ncut_graph(features).propagate(features)
    torch.testing.assert_close(LESSON["assign"](propagated, start), networks(propagated[None])[0, 0])
    ours = LESSON["assign"](propagated, start, 0.25, torch.Generator().manual_seed(4))
    theirs = networks(propagated[None], [torch.Generator().manual_seed(4)])[0, 0]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("objective", ["ncut", "cc"])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_the_cell_of_twenty_lines_is_deepcut(blobs: Tensor, objective: Any, dropout: float) -> None:
    generator = torch.Generator().manual_seed(2)
    start = initial_weights(16, 64, 32, 4, generator)
    graph = ncut_graph(blobs) if objective == "ncut" else cc_graph(blobs, 3.0)
    loss = LESSON[f"{objective}_loss"]
    history, curve = LESSON["optimise"](
        blobs, graph.affinity, loss, start, 8, 5e-3, dropout, generator if dropout else None
    )
    fitted = DeepCut(4, objective, epochs=8, learning_rate=5e-3, dropout=dropout, random_state=2).fit(blobs)
    np.testing.assert_allclose(history[-1], fitted.assignments_, atol=1e-4)
    np.testing.assert_allclose(curve, fitted.losses_, rtol=1e-4)
    assert len(history) == 9


def test_the_optimisation_fits_twenty_lines() -> None:
    cells = nbformat.read(ROOT / "notebooks" / "03_losses.ipynb", as_version=4).cells
    (cell,) = (cell for cell in cells if cell.cell_type == "code" and "def optimise(" in cell.source)
    assert len(cell.source.splitlines()) <= 20


def test_all_partitions_are_tried() -> None:
    for n, bell in ((0, 1), (1, 1), (3, 5), (4, 15), (5, 52)):
        found = {tuple(groups) for groups in LESSON["partitions"](n)}
        assert len(found) == len(LESSON["partitions"](n)) == bell


@pytest.mark.parametrize("objective", ["ncut", "cc"])
def test_history_is_what_deepcut_of_so_many_epochs_finds(blobs: Tensor, objective: Any) -> None:
    settings = {"n_clusters": 4, "objective": objective, "alpha": 2.0, "learning_rate": 5e-3}
    history, curves = training_history(blobs, DeepCut(epochs=12, **settings), seed=3)
    assert history.shape == (13, 120, 4)
    for epochs in (1, 7, 12):
        fitted = DeepCut(epochs=epochs, random_state=3, **settings).fit(blobs)
        np.testing.assert_array_equal(history[epochs].argmax(1), fitted.labels_)
        np.testing.assert_allclose(history[epochs], fitted.assignments_, atol=1e-6)
    curve = next(iter(curves.values()))
    assert curve.shape == (13,)
    graph = ncut_graph(blobs) if objective == "ncut" else cc_graph(blobs, 2.0)
    expected = (
        losses.ncut_loss(graph, history[7]) if objective == "ncut" else losses.cc_loss(graph, history[7])
    )
    np.testing.assert_allclose(curve[7], expected / (1 if objective == "ncut" else 120**2), rtol=1e-4)


def test_step_figure_shows_each_way_of_aggregating() -> None:
    points, affinity = np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([[4.0, 1.0], [1.0, 4.0]])
    figure = step_figure(points, {"one": points / 2, "other": points + 1}, affinity, "AB")
    graph, one, other = figure.axes
    assert [axes.get_title() for axes in (one, other)] == ["one", "other"]
    np.testing.assert_array_equal(one.collections[-1].get_offsets(), points / 2)
    np.testing.assert_array_equal(other.collections[-1].get_offsets(), points + 1)
    assert len(graph.lines) == 1


@pytest.mark.parametrize(
    "check",
    [
        check_cc_without_w,
        check_convolution,
        check_cut_gradient,
        check_empty_solution,
        check_orthogonality,
        check_own_loss,
        check_training,
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        None,
        ...,
        "S",
        [[1, 2], [3]],
        {"a": 1},
        10**400,
        object(),
        torch.nn,
        lambda: 1,
        lambda *_: None,
        lambda *_: "text",
        lambda *_: float("nan"),
        lambda *_: torch.full((4, 2), torch.nan),
        lambda *given: given,
        lambda *_: 10**400,
        lambda *_: np.ones((3, 3, 3)),
        lambda *_: torch.zeros(0, requires_grad=True),
        lambda *_: [[1], [1, 2]],
        lambda *_: (i for i in range(3)),
        lambda *_: 1 / 0,
    ],
)
def test_whatever_is_given_ends_in_a_verdict(check: Any, answer: Any) -> None:
    verdict = check(answer)
    assert not verdict
    assert repr(verdict).startswith("Not yet. ")


def test_certainty_is_white_where_nothing_is_decided() -> None:
    colours = certainty(np.array([[[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]]]))
    np.testing.assert_allclose(colours[0, 0], 1)
    np.testing.assert_allclose(colours[0, 1] * 255, (0, 114, 178))
    assert (colours[0, 2] < 1).any()
    assert certainty(np.ones((1, 1, 1))).shape == (1, 1, 3)


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return explore_epochs(load_backbone("pixels"), PICTURES)


def expected_figure(path: Path, clusters: int, objective: Any, alpha: float, seed: int, epoch: int) -> Figure:
    backbone = load_backbone("pixels")
    picture = load_image(path)
    features = backbone(picture, cls=False)
    settings = DeepCut(
        clusters, objective, alpha=alpha, epochs=EPOCHS, learning_rate=backbone.recipe.learning_rate
    )
    history, curves = training_history(normalize(features.values), settings, seed)
    picture.thumbnail((320, 320))
    name = (
        f"N-cut, K={clusters}" if objective == "ncut" else f"CC, at most {clusters} clusters, alpha {alpha:g}"
    )
    title = f"{path.stem}, {name}, seed {seed} (pixels)"
    return training_figure(picture, features.to_map(history[epoch]), curves, epoch, title)


def test_explorer_shows_the_epoch_and_the_settings_asked_for(explorer: Explorer) -> None:
    before = expected_figure(PICTURES[0], 3, "ncut", 3.0, 0, 10)
    assert same_picture(explorer.figure, before)
    explorer.controls["epoch"].value = 4
    assert same_picture(explorer.figure, expected_figure(PICTURES[0], 3, "ncut", 3.0, 0, 4))
    explorer.set(picture=PICTURES[1].stem, objective="cc", clusters=5, alpha=10.0, seed=2)
    assert same_picture(explorer.figure, expected_figure(PICTURES[1], 5, "cc", 10.0, 2, 4))
    assert not same_picture(explorer.figure, before)


def test_alpha_is_for_cc_alone(explorer: Explorer) -> None:
    explorer.controls["objective"].value = "ncut"
    assert explorer.controls["alpha"].disabled
    explorer.controls["objective"].value = "cc"
    assert not explorer.controls["alpha"].disabled


@pytest.mark.parametrize("answer", [0.92, 0.9194, "0.92", torch.tensor(0.9194), np.float32(0.919)])
def test_empty_solution_is_accepted_as_any_number(answer: Any) -> None:
    assert check_empty_solution(answer)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (..., "missing"),
        (0.765, "K=2"),
        (0.845, "root"),
        (0.423, "two more"),
        (0, "equal in size"),
        (2.0, "expected"),
        ([0.9, 0.9, 0.9], "shape"),
    ],
)
def test_empty_solution_mistakes_are_named(answer: Any, message: str) -> None:
    verdict = check_empty_solution(answer)
    assert not verdict
    assert message in verdict.message


def gradient(affinity: Tensor, assignment: Tensor) -> Tensor:
    leaf = assignment.clone().requires_grad_()
    LESSON["cut_term"](affinity, leaf).backward()
    assert leaf.grad is not None
    return leaf.grad


def test_gradient_check() -> None:
    assert check_cut_gradient(gradient)
    assert check_cut_gradient(lambda w, s: gradient(w, s).tolist())
    assert "wrong sign" in check_cut_gradient(lambda w, s: -gradient(w, s)).message
    assert "2WS, not WS" in check_cut_gradient(lambda w, s: gradient(w, s) / 2).message
    numerator = check_cut_gradient(lambda w, s: -2 * w @ s / (w.sum(1)[:, None] * s * s).sum())
    assert "numerator" in numerator.message
    assert "shape" in check_cut_gradient(lambda w, s: gradient(w, s).T).message


def convolve(x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
    source, target = edge_index
    degree = torch.zeros(len(x)).index_add(0, target, edge_weight)
    weight = edge_weight / (degree[source] * degree[target]).sqrt()
    return torch.zeros_like(x).index_add(0, target, weight[:, None] * x[source])


def matrix(edge_index: Tensor, edge_weight: Tensor) -> Tensor:
    affinity = torch.zeros(2 * [int(edge_index.max()) + 1])
    affinity[tuple(edge_index)] = edge_weight
    return affinity


def test_convolution_check() -> None:
    assert check_convolution(convolve)
    assert check_convolution(lambda x, e, w: convolve(x, e, w).tolist())
    with_w = check_convolution(lambda x, e, w: LESSON["propagate"](matrix(e, w), x))
    assert "90000 numbers" in with_w.message

    def by_numpy(x: Tensor, e: Tensor, w: Tensor) -> np.ndarray:
        affinity = np.zeros((len(x), len(x)), np.float32)
        affinity[tuple(e.numpy())] = w.numpy()
        scale = affinity.sum(1, keepdims=True) ** -0.5
        return scale * (affinity @ (scale * x.numpy()))

    assert "MB of arrays" in check_convolution(by_numpy).message
    assert "added up" in check_convolution(lambda x, e, w: matrix(e, w) @ x).message
    plain = check_convolution(lambda x, e, w: LESSON["plain_mean"](matrix(e, w), x))
    assert "plain mean" in plain.message
    rows = check_convolution(lambda x, e, w: matrix(e, w) @ x / matrix(e, w).sum(1)[:, None])
    assert "receives" in rows.message
    assert "sends" in check_convolution(lambda x, e, w: matrix(e, w) @ (x.T / matrix(e, w).sum(1)).T).message


def test_orthogonality_check() -> None:
    def term(assignment: Tensor, shares: Tensor) -> Tensor:
        overlap, target = assignment.T @ assignment, torch.diag(shares)
        return (overlap / overlap.norm() - target / target.norm()).norm()

    verdict = check_orthogonality(term)
    assert verdict
    halves = term(one_hot([0, 1]), torch.tensor([0.15, 0.85]))
    assert f"{halves:.2f} for two halves" in verdict.message
    assert check_orthogonality(lambda s, p: float(term(s, p)))
    assert "change nothing" in check_orthogonality(lambda s, _: losses.orthogonality_term(s)).message
    assert "That is its square" in check_orthogonality(lambda s, p: term(s, p) ** 2).message
    unscaled = check_orthogonality(lambda s, p: (s.T @ s / (s.T @ s).norm() - torch.diag(p)).norm())
    assert "target by its norm" in unscaled.message


def one_hot(labels: list[int]) -> Tensor:
    return torch.eye(max(labels) + 1)[labels]


def without_w(features: Tensor, assignment: Tensor, alpha: float) -> Tensor:
    shift = features.square().sum(1).max() / alpha
    return -(features.T @ assignment).square().sum() + shift * assignment.sum(0).square().sum()


def test_cc_without_w_check() -> None:
    assert check_cc_without_w(without_w)
    assert check_cc_without_w(lambda f, s, alpha: float(without_w(f, s, alpha)))

    def with_w(features: Tensor, assignment: Tensor, alpha: float) -> Tensor:
        product = features @ features.T
        return LESSON["cc_loss"](product - product.max() / alpha, assignment)

    assert "90000 numbers" in check_cc_without_w(with_w).message

    def by_numpy(features: Tensor, assignment: Tensor, alpha: float) -> float:
        rows, shares = features.numpy(), assignment.numpy()
        product = rows @ rows.T
        return float(-np.trace((product - product.max() / alpha) @ shares @ shares.T))

    assert "MB of arrays" in check_cc_without_w(by_numpy).message
    assert "wrong sign" in check_cc_without_w(lambda f, s, alpha: -without_w(f, s, alpha)).message
    assert (
        "shift of Eq. 7 is missing" in check_cc_without_w(lambda f, s, _: -(f.T @ s).square().sum()).message
    )
    once = check_cc_without_w(lambda f, s, a: -(f.T @ s).square().sum() + f.square().sum(1).max() / a)
    assert "every entry" in once.message


def train(
    features: Tensor,
    starts: list[Any],
    epochs: int,
    learning_rate: float,
    *,
    chosen: Callable[[list[float]], int] = lambda final: int(np.argmin(final)),
    at: int = -1,
) -> Tensor:
    affinity = (features @ features.T).clamp(min=0)
    loss = LESSON["ncut_loss"]
    runs = [LESSON["optimise"](features, affinity, loss, start, epochs, learning_rate)[0] for start in starts]
    return runs[chosen([float(loss(affinity, run[-1])) for run in runs])][at]


def test_training_check() -> None:
    assert check_training(train)
    assert check_training(lambda *given: train(*given).numpy())
    assert "start 0" in check_training(lambda *given: train(*given, chosen=lambda _: 0)).message
    last = check_training(lambda *given: train(*given, chosen=lambda final: len(final) - 1))
    assert "start 2" in last.message
    assert "not moved" in check_training(lambda *given: train(*given, at=0)).message
    assert "before the last step" in check_training(lambda *given: train(*given, at=-2)).message
    assert "zero_grad" in check_training(accumulating).message
    one = check_training(lambda f, starts, *rest: train(f, [starts[0], starts[0], starts[1]], *rest))
    assert not one


def accumulating(features: Tensor, starts: list[Any], epochs: int, learning_rate: float) -> Tensor:
    weights = {name: tensor.clone().requires_grad_() for name, tensor in starts[1].items()}
    affinity = (features @ features.T).clamp(min=0)
    optimizer = torch.optim.AdamW(weights.values(), lr=learning_rate)
    propagated = LESSON["propagate"](affinity, features)
    for _ in range(epochs):
        LESSON["ncut_loss"](affinity, LESSON["assign"](propagated, weights)).backward()
        optimizer.step()
    return LESSON["assign"](propagated, weights).detach()


def soft_ncut(graph: Graph, assignment: Tensor) -> Tensor:
    inside = (assignment * graph.matmul(assignment)).sum(0)
    return assignment.shape[1] - (inside / (graph.degrees @ assignment).clamp(min=1e-9)).sum()


def test_own_loss_check() -> None:
    assert check_own_loss(soft_ncut)
    assert ".item()" in check_own_loss(lambda g, s: soft_ncut(g, s).item()).message
    assert "No gradient" in check_own_loss(lambda g, s: soft_ncut(g, s.detach())).message
    assert "N-cut itself" in check_own_loss(losses.ncut_loss).message

    def unclamped(graph: Graph, assignment: Tensor) -> Tensor:
        inside = (assignment * graph.matmul(assignment)).sum(0)
        return assignment.shape[1] - (inside / (graph.degrees @ assignment)).sum()

    assert "divided by zero" in check_own_loss(unclamped).message

    def squared(graph: Graph, assignment: Tensor) -> Tensor:
        inside = (assignment * graph.matmul(assignment)).sum(0)
        return assignment.shape[1] - (inside / (graph.degrees @ assignment.square()).clamp(min=1e-9)).sum()

    assert "dᵀS_k" in check_own_loss(squared).message
