"""Checks of lesson 3: the losses."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepcut_lib.clustering import DeepCut
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph, normalized_cut
from deepcut_lib.lessons.common.verdict import LargestTensor, NotYetError, agree, as_array, call, exercise
from deepcut_lib.losses import cc_loss, cut_term, ncut_loss, orthogonality_term


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
def check_unfair_graph(function: Any) -> str:
    """A graph whose right cut has a larger loss (Eq. 9) than a worse cut: () → (F, right, wrong)."""
    answer = call(function)
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise NotYetError("Return three things: F, right, wrong.")
    if np.ndim(answer[0]) != 2:
        raise NotYetError("F must have a row for each node and a column for each feature: n×d.")
    rows, width = np.shape(answer[0])
    features = torch.tensor(as_array(answer[0], (rows, width), "F"), dtype=torch.float32)
    if not 3 <= rows <= 1000:
        raise NotYetError(f"F has {rows} rows; take between 3 and 1000 nodes.")
    graph = ncut_graph(features)
    cuts, losses = [], []
    for name, given in (("right", answer[1]), ("wrong", answer[2])):
        labels = as_array(given, (rows,), name)
        if set(np.unique(labels)) != {0, 1}:
            raise NotYetError(f"{name} must hold the labels 0 and 1, both of them, and nothing else.")
        members = torch.eye(2)[torch.tensor(labels).long()]
        cuts.append(normalized_cut(graph, torch.tensor(labels).long()))
        losses.append(float(ncut_loss(graph, members)))
    if not cuts[0] < cuts[1] - 1e-6:
        raise NotYetError(
            f"The N-cut of right is {cuts[0]:.3f}, of wrong {cuts[1]:.3f}: right must be the better cut. "
            "Let right separate two groups without any affinity between them."
        )
    if not losses[0] > losses[1] + 1e-4:
        raise NotYetError(
            f"The loss of right is {losses[0]:.3f}, of wrong {losses[1]:.3f}: still in the right order. "
            "Make the groups of right more unequal, and those of wrong equal."
        )
    return (
        f"With {rows} nodes, N-cut prefers right ({cuts[0]:.3f} against {cuts[1]:.3f}), "
        f"while Eq. 9 prefers wrong ({losses[1]:.3f} against {losses[0]:.3f})."
    )


@exercise
def check_cc_without_w(function: Any) -> str:
    """The loss of Eq. 10 from F, S and alpha, without any n×n matrix."""
    generator = torch.Generator().manual_seed(5)
    n = 60
    for rows, clusters, alpha in ((n, 4, 3.0), (n, 1, 0.7), (2, 2, 100.0)):
        features = torch.randn(rows, 5, generator=generator)
        _compare_cc(function, features, clusters, alpha, generator)
    _compare_cc(function, torch.zeros(4, 3), 2, 3.0, generator)
    with LargestTensor() as largest:
        call(function, torch.randn(n, 5, generator=generator), torch.full((n, 4), 0.25), 3.0)
    if largest.numbers >= n * n:
        raise NotYetError(
            f"The numbers are right, but for {n} nodes a tensor of {largest.numbers} numbers was made: "
            "something is still n×n. FᵀS is only d×K; and the maximum of FFᵀ stands on its diagonal."
        )
    return (
        f"It equals the library's loss on four graphs, and for {n} nodes its largest tensor held "
        f"{largest.numbers} numbers instead of {n * n}: memory grows with n, not n²."
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
        _soft_ncut(graph, soft),
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


def _soft_ncut(graph: Graph, assignment: Tensor) -> float:
    within = (assignment * graph.matmul(assignment)).sum(0)
    return float(assignment.shape[1] - (within / (graph.degrees @ assignment)).sum())
