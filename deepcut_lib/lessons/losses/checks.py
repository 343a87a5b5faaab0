"""Checks of lesson 3: the losses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepcut_lib.clustering import DeepCut
from deepcut_lib.graphs import cc_graph, ncut_graph, normalized_cut
from deepcut_lib.lessons.common.running import memory_of_arrays
from deepcut_lib.lessons.common.verdict import LargestTensor, NotYetError, agree, as_array, call, exercise
from deepcut_lib.losses import cc_loss, cut_term, ncut_loss, orthogonality_term, soft_ncut_loss
from deepcut_lib.network import Networks, Weights, initial_weights

TRAINING_SEEDS = (1, 5, 3)
"""Of three starts: the second ends with the least loss, the first begins with it."""


@exercise
def check_empty_solution(answer: Any) -> str:
    """The second term of Eq. 9 where all patches are in one of K=3 clusters."""
    value = float(as_array(answer, ()))
    everything = torch.eye(3)[torch.zeros(5, dtype=torch.long)]
    expected = float(orthogonality_term(everything))
    slips = {
        float(
            orthogonality_term(everything[:, :2])
        ): "That is the number for K=2; here there are three clusters.",
        expected**2: "That is its square: the Frobenius norm ends with a root.",
        1 - 3**-0.5: "That is the first diagonal entry alone; two more stand on the diagonal, each 0 − 1/√3.",
        0.0: "It would be 0 if the three clusters were equal in size; here one has everything.",
    }
    for slip, message in slips.items():
        if abs(value - slip) < 0.004:
            raise NotYetError(message)
    agree(
        value,
        expected,
        "Write SᵀS/‖SᵀS‖_F as a 3×3 matrix first: only one of its entries is not 0.",
        what="The second term",
        tolerance=0.006,
    )
    return (
        f"The second term is {expected:.4f} for any number of patches, and the loss {expected - 1:.4f}: "
        "close to where training with K=3 starts."
    )


@exercise
def check_convolution(function: Any) -> str:
    """A graph convolution by messages, (x, edge_index, edge_weight) → Â x, without any n×n matrix."""
    generator = torch.Generator().manual_seed(11)
    for n, channels in ((4, 2), (9, 3), (1, 2)):
        graph = ncut_graph(torch.randn(n, 4, generator=generator))
        x = torch.randn(n, channels, generator=generator)
        edges = graph.affinity.nonzero().T.contiguous()
        weights = graph.affinity[tuple(edges)]
        value = as_array(call(function, x, edges, weights), (n, channels), "Â x")
        links = (graph.affinity > 0).float()
        slips = (
            (graph.affinity @ x, "The messages are added up, but not divided by the roots of the degrees."),
            (links @ x / links.sum(1, keepdim=True), "That is the plain mean: each message has its weight."),
            (
                graph.affinity @ x / graph.degrees[:, None],
                "You divide by the degree of the node that receives; divide by the roots of both degrees.",
            ),
            (
                graph.affinity @ (x / graph.degrees[:, None]),
                "You divide by the degree of the node that sends; divide by the roots of both degrees.",
            ),
        )
        for slip, message in slips:
            if n > 1 and np.allclose(value, slip, atol=1e-4):
                raise NotYetError(message)
        agree(
            value,
            graph.propagate(x),
            "A message from j to i is w_ij x_j / √(d_i d_j); a node adds up what arrives.",
            what=f"Â x for {n} nodes",
        )
    n = 300
    ring = torch.arange(n)
    edges = torch.cat([torch.stack([ring, (ring + step) % n]) for step in (-1, 0, 1)], 1)
    _small(lambda: call(function, torch.randn(n, 2, generator=generator), edges, torch.ones(3 * n)), n)
    return (
        f"It equals the library's on three graphs, and for {n} nodes with {3 * n} edges nothing "
        "of n×n numbers was made."
    )


def _small(run: Callable[[], Any], n: int) -> None:
    """Run without memory for any n×n matrix, neither torch's nor NumPy's nor a list of lists.

    Raises:
        NotYetError: there was one.
    """
    with LargestTensor() as largest, memory_of_arrays() as memory:
        run()
    if largest.numbers >= n * n or memory.peak >= n * n:
        made = (
            f"a tensor of {largest.numbers} numbers"
            if largest.numbers >= n * n
            else (f"{memory.peak / 1e6:.1f} MB of arrays or lists")
        )
        raise NotYetError(f"The numbers are right, but for {n} nodes {made} came up: something is still n×n.")


@exercise
def check_orthogonality(function: Any) -> str:
    """The second term of Eq. 9 for clusters of known shares, (S, shares) → a number."""
    generator = torch.Generator().manual_seed(13)
    for n, wanted in ((6, (0.5, 0.5)), (9, (0.2, 0.8)), (30, (0.1, 0.3, 0.6)), (5, (1.0,))):
        shares = torch.tensor(wanted)
        assignment = torch.softmax(2 * torch.randn(n, len(wanted), generator=generator), dim=1)
        value = float(as_array(call(function, assignment, shares), (), "The term"))
        overlap, target = assignment.T @ assignment, torch.diag(shares)
        expected = float((overlap / overlap.norm() - target / target.norm()).norm())
        slips = {
            float(
                orthogonality_term(assignment)
            ): "That is the term of Eq. 9: the shares change nothing in it.",
            float((overlap / overlap.norm() - target).norm()): "Divide the target by its norm as well.",
            float((overlap - target / target.norm()).norm()): "Divide SᵀS by its norm as well.",
            float((overlap / overlap.trace() - target).norm()): (
                "You divide by the trace; Eq. 9 divides by the Frobenius norm."
            ),
            expected**2: "That is its square: the Frobenius norm ends with a root.",
        }
        for slip, message in slips.items():
            if abs(value - slip) < 1e-4 < abs(expected - slip):
                raise NotYetError(message)
        agree(
            value,
            expected,
            "Which matrix is SᵀS, divided by its norm, if the clusters do not overlap and have these shares?",
            what=f"The term for shares {wanted}",
        )
    known, groups = torch.tensor([0.15, 0.85]), torch.eye(2)
    unequal, halves = (groups[(torch.arange(100) >= size).long()] for size in (15, 50))
    agree(call(function, unequal, known), 0.0, what="The term of 15 and 85 of 100 patches")
    of_halves = float(as_array(call(function, halves, known), ()))
    return (
        "With equal shares it is the term of Eq. 9; with shares 0.15 and 0.85 it is 0 for 15 and 85 of 100 "
        f"patches, and {of_halves:.2f} for two halves."
    )


@exercise
def check_cut_gradient(function: Any) -> str:
    """The gradient of Eq. 9's first term in S, (W, S) → n×K."""
    generator = torch.Generator().manual_seed(3)
    for n, clusters in ((7, 3), (5, 2), (4, 1), (1, 2)):
        graph = ncut_graph(torch.randn(n, 4, generator=generator))
        assignment = torch.softmax(2 * torch.randn(n, clusters, generator=generator), dim=1)
        leaf = assignment.clone().requires_grad_()
        expected = torch.autograd.grad(cut_term(graph, leaf).sum(), leaf)[0]
        value = as_array(call(function, graph.affinity, assignment), (n, clusters), "The gradient")
        product, weighted = graph.affinity @ assignment, graph.degrees[:, None] * assignment
        volume = (assignment * weighted).sum()
        slips = (
            (-expected, "It has the wrong sign: the term is minus the ratio."),
            (expected / 2, "It is half of what it should be: the gradient of Tr(SᵀWS) is 2WS, not WS."),
            (
                -2 * product / volume,
                "Only the numerator was differentiated; Tr(SᵀDS) changes with S too: use the quotient rule.",
            ),
        )
        for slip, message in slips:
            if n > 1 and np.allclose(value, slip, atol=1e-5) and not np.allclose(value, expected, atol=1e-4):
                raise NotYetError(message)
        agree(
            value,
            expected,
            "Quotient rule: −(top′ · bottom − top · bottom′) / bottom², with top′ = 2WS and bottom′ = 2DS.",
            what=f"The gradient for {n} nodes and {clusters} clusters",
        )
    return "It equals autograd's gradient on four graphs, a single node and a single cluster among them."


@exercise
def check_cc_without_w(function: Any) -> str:
    """The loss of Eq. 10 from F, S and alpha, without any n×n matrix."""
    generator = torch.Generator().manual_seed(5)
    n = 300
    for rows, clusters, alpha in ((n, 4, 3.0), (n, 1, 0.7), (2, 2, 100.0)):
        features = torch.randn(rows, 5, generator=generator)
        _compare_cc(function, features, clusters, alpha, generator)
    _compare_cc(function, torch.zeros(4, 3), 2, 3.0, generator)
    _small(lambda: call(function, torch.randn(n, 5, generator=generator), torch.full((n, 4), 0.25), 3.0), n)
    return (
        f"It equals the library's loss on four graphs, and for {n} nodes nothing of {n * n} numbers was "
        "made: memory grows with n, not n²."
    )


def _compare_cc(
    function: Any, features: Tensor, clusters: int, alpha: float, generator: torch.Generator
) -> None:
    rows = len(features)
    assignment = torch.softmax(2 * torch.randn(rows, clusters, generator=generator), dim=1)
    expected = float(cc_loss(cc_graph(features, alpha), assignment))
    value = float(as_array(call(function, features, assignment, alpha), (), "The loss"))
    shift = float(features.square().sum(1).max()) / alpha
    unshifted = -float((features.T @ assignment).square().sum())
    slips = {
        -expected: "It has the wrong sign: Eq. 10 is minus the trace.",
        unshifted: "The shift of Eq. 7 is missing: W is FFᵀ − max(FFᵀ)/alpha.",
        unshifted + shift: "The shift is taken off every entry of W, so it meets Σᵢⱼ (S Sᵀ)ᵢⱼ, not 1.",
        unshifted + shift * float(assignment.square().sum()): (
            "The shift is taken off every entry of W, not only off its diagonal."
        ),
    }
    for slip, message in slips.items():
        if abs(value - slip) < 1e-3 * max(abs(slip), 1) < abs(expected - slip):
            raise NotYetError(message)
    agree(
        value,
        expected,
        "Split the trace in two: Tr(FFᵀSSᵀ) = ‖FᵀS‖²_F, and the shift times the sum of all entries of SSᵀ.",
        what=f"The loss for {rows} nodes, {clusters} clusters and alpha {alpha:g}",
        tolerance=1e-3,
    )


@exercise
def check_training(function: Any) -> str:
    """Eq. 9 optimised from several starts, (F, starts, epochs, learning_rate) → the best one's S."""
    generator = torch.Generator().manual_seed(17)
    blobs = 3 * torch.eye(3, 5).repeat_interleave(torch.tensor([6, 10, 14]), 0)
    features = blobs + 0.5 * torch.randn(30, 5, generator=generator)
    for seeds in (TRAINING_SEEDS, TRAINING_SEEDS[:1]):
        starts = [initial_weights(5, 64, 32, 3, torch.Generator().manual_seed(seed)) for seed in seeds]
        runs = [_history(features, start, 12, 1e-2) for start in starts]
        graph = ncut_graph(features)
        final = [float(ncut_loss(graph, run[-1])) for run in runs]
        best = int(np.argmin(final))
        value = as_array(call(function, features, starts, 12, 1e-2), (30, 3), "S")
        _name_slip(value, features, starts, runs, best)
        agree(
            value,
            runs[best][-1],
            "No dropout, AdamW, and S computed once more after the last step.",
            what="S of the best start",
            tolerance=1e-3,
        )
    least = f"{min(final):.3f}"
    return (
        f"It equals DeepCut's S, from three starts the best and from one; that one ends at a loss of {least}."
    )


def _name_slip(
    value: np.ndarray, features: Tensor, starts: Sequence[Weights], runs: list[list[Tensor]], best: int
) -> None:
    """Raises NotYetError with what went wrong, where it is one of the usual slips."""
    for i, run in enumerate(runs):
        if i != best and np.allclose(value, run[-1], atol=1e-3):
            raise NotYetError(
                f"That is S of start {i}, but start {best} ends with the least loss; compare the losses of "
                "the S after the last step."
            )
        if np.allclose(value, run[0], atol=1e-5):
            raise NotYetError("That is S before any step: the weights have not moved.")
        if np.allclose(value, run[-2], atol=1e-5):
            raise NotYetError("That is S before the last step: compute it once more when the loop is over.")
        summed = _history(features, starts[i], 12, 1e-2, forget=False)
        if np.allclose(value, summed[-1], atol=1e-3):
            raise NotYetError("The gradients of all steps add up: zero_grad before each backward.")


def _history(
    features: Tensor, start: Weights, epochs: int, learning_rate: float, *, forget: bool = True
) -> list[Tensor]:
    """S before the first step and after each, as `DeepCut` without dropout has it."""
    graph = ncut_graph(features[None])
    networks = Networks([start], batch=1, dropout=0.0)
    optimizer = torch.optim.AdamW(networks.parameters(), lr=learning_rate)
    propagated = graph.propagate(graph.features)
    history = []
    for _ in range(epochs):
        assignment = networks(propagated)
        history.append(assignment[0, 0].detach())
        if forget:
            optimizer.zero_grad()
        ncut_loss(graph, assignment).sum().backward()
        optimizer.step()
    return [*history, networks(propagated)[0, 0].detach()]


@exercise
def check_own_loss(function: Any) -> str:
    """The soft N-cut K − Σ (S_kᵀWS_k) / (dᵀS_k) as an objective: (graph, S) → scalar tensor."""
    generator = torch.Generator().manual_seed(7)
    graph = ncut_graph(torch.randn(12, 3, generator=generator))
    labels = torch.arange(12) % 3
    hard = torch.eye(3)[labels]
    value = call(function, graph, hard)
    if not isinstance(value, Tensor):
        raise NotYetError(
            "Return a tensor, not a number: gradients must run through it, so leave .item() out."
        )
    agree(
        value,
        normalized_cut(graph, labels),
        "Where every patch belongs to one cluster entirely, it must be the N-cut itself.",
        what="The loss of a hard assignment",
    )
    soft = torch.softmax(torch.randn(12, 3, generator=generator), dim=1)
    agree(
        call(function, graph, soft),
        soft_ncut_loss(graph, soft),
        "For soft assignments the denominator is dᵀS_k, the degrees times S_k, not S_kᵀDS_k.",
        what="The loss of a soft assignment",
    )
    everything = torch.eye(3)[torch.zeros(12, dtype=torch.long)]
    agree(
        call(function, graph, everything),
        2.0,
        "Clusters without a patch give 0/0: keep the denominator above 0 (clamp).",
        what="The loss of all patches in one of three clusters",
    )
    if not call(function, graph, soft.clone().requires_grad_()).requires_grad:
        raise NotYetError("No gradient reaches S: compute with torch on S itself, without detach or numpy.")
    unlinked = ncut_graph(torch.zeros(3, 2))
    as_array(call(function, unlinked, soft[:3]), (), "The loss of a graph without any affinity")
    groups = torch.eye(3, 6).repeat_interleave(torch.tensor([6, 12, 24]), 0) * 8
    blobs = groups + 0.3 * torch.randn(42, 6, generator=generator)
    estimator = DeepCut(3, objective=function, epochs=60, learning_rate=5e-3, n_init=4)
    labels = torch.from_numpy(call(lambda: estimator.fit(blobs).labels_))
    cut = normalized_cut(ncut_graph(blobs), labels)
    return (
        f"It is the N-cut for hard assignments, 2 for an empty solution of three clusters, and its "
        f"gradient arrives: with it, DeepCut cut 42 points in groups of 6, 12 and 24 into sizes "
        f"{sorted(labels.bincount().tolist())}, N-cut {cut:.2f}."
    )
