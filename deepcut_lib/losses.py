"""The two losses: relaxed normalised cut (Eq. 9) and correlation clustering (Eq. 10).

Beyond the paper, a normalised cut without a term for balance, and what a foreground prior adds to any loss.

Both take assignments S whose rows sum to one, and may be batched: a graph of B pictures goes with S of shape
(B, n, K), or (B, R, n, K) for R networks on each.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from deepcut_lib.graphs import Graph


def ncut_loss(graph: Graph, assignment: Tensor) -> Tensor:
    """Relaxed normalised cut plus the term that keeps clusters apart and balanced (Eq. 9).

    −Tr(SᵀWS) / Tr(SᵀDS) + ‖SᵀS/‖SᵀS‖_F − I/√K‖_F. (The paper prints the first term without its minus; its
    code has it.)

    Args:
        graph: with nonnegative affinities.
        assignment: S, (…, n, K).

    Returns:
        (…) losses; the first term lies in [−1, 0], the second in [0, √(2 − 2/√K)].
    """
    return cut_term(graph, assignment) + orthogonality_term(assignment)


def cut_term(graph: Graph, assignment: Tensor) -> Tensor:
    """First term of Eq. 9: minus the share of affinity that stays inside clusters, (…), in [−1, 0]."""
    degrees = _align(graph.degrees.unsqueeze(-1), assignment)
    volume = (degrees * assignment.square()).sum((-1, -2))
    # A graph without any affinity has nothing to cut
    return -association(graph, assignment) / volume.clamp(min=torch.finfo(volume.dtype).tiny)


def orthogonality_term(assignment: Tensor) -> Tensor:
    """Second term of Eq. 9: distance of SᵀS from equal, disjoint clusters, (…), 0 to √(2 − 2/√K)."""
    overlap = assignment.mT @ assignment
    clusters = assignment.shape[-1]
    target = torch.eye(clusters, dtype=overlap.dtype, device=overlap.device) / clusters**0.5
    return torch.linalg.matrix_norm(overlap / torch.linalg.matrix_norm(overlap, keepdim=True) - target)


def soft_ncut_loss(graph: Graph, assignment: Tensor) -> Tensor:
    """Relaxed normalised cut as Shi and Malik sum it, a fraction each: Σ_k (1 − S_kᵀWS_k / dᵀS_k).

    Every cluster must earn its own fraction, so that none stays empty, and no term asks for equal sizes, as
    the second of Eq. 9 does: a small object may stay small.

    Args:
        graph: with nonnegative affinities.
        assignment: S, (…, n, K).

    Returns:
        (…) losses, from 0 to K.
    """
    inside = association_of_each(graph, assignment)
    volume = (_align(graph.degrees.unsqueeze(-1), assignment) * assignment).sum(-2)
    return (1 - inside / volume.clamp(min=torch.finfo(volume.dtype).tiny)).sum(-1)


def prior_term(assignment: Tensor, prior: Tensor) -> Tensor:
    """What a foreground prior q adds to a loss: the mean of (1 − S_i0) (½ − q_i), cluster 0 being background.

    Args:
        assignment: S, (…, n, K).
        prior: q, (…, n), each patch's probability of foreground, see `ForegroundPrior`.

    Returns:
        (…) from −½, where assignments follow the prior and it is sure, to ½.
    """
    against = 0.5 - _align(prior.unsqueeze(-1), assignment).squeeze(-1)
    return ((1 - assignment[..., 0]) * against).mean(-1)


def cc_loss(graph: Graph, assignment: Tensor) -> Tensor:
    """Correlation clustering: −Tr(W S Sᵀ) (Eq. 10), which needs no number of clusters.

    Args:
        graph: with signed affinities.
        assignment: S, (…, n, K), K being the most clusters that can be found.

    Returns:
        (…) losses, in units of affinity.
    """
    return -association(graph, assignment)


def association(graph: Graph, assignment: Tensor) -> Tensor:
    """Tr(SᵀWS), (…): the affinity inside clusters. W is constant: gradients run to S alone."""
    return association_of_each(graph, assignment).sum(-1)


def association_of_each(graph: Graph, assignment: Tensor) -> Tensor:
    """The diagonal of SᵀWS, (…, K): the affinity inside each cluster."""
    return _Association.apply(graph, assignment)


class _Association(torch.autograd.Function):
    """The diagonal of SᵀWS. The product that its gradient needs, 2WS, is the one that it needs itself."""

    @staticmethod
    def forward(ctx: FunctionCtx, graph: Graph, assignment: Tensor) -> Tensor:
        product = _matmul(graph, assignment)
        ctx.save_for_backward(product)
        return (assignment * product).sum(-2)

    @staticmethod
    def backward(ctx: FunctionCtx, upstream: Tensor) -> tuple[None, Tensor]:
        (product,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return None, 2 * upstream.unsqueeze(-2) * product


def _matmul(graph: Graph, assignment: Tensor) -> Tensor:
    """W S, where S may have one more leading dimension than W: then its R matrices share one pass over W."""
    if assignment.ndim == graph.features.ndim:
        return graph.matmul(assignment)
    columns = assignment.movedim(-3, -2).flatten(-2)
    return graph.matmul(columns).unflatten(-1, (assignment.shape[-3], -1)).movedim(-2, -3)


def _align(per_graph: Tensor, assignment: Tensor) -> Tensor:
    """What each graph has for its patches, (…, n, c), beside S, which may have R matrices for each graph."""
    return per_graph if assignment.ndim == per_graph.ndim else per_graph.unsqueeze(-3)
