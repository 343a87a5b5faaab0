"""The two losses: relaxed normalised cut (Eq. 9) and correlation clustering (Eq. 10).

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
    return _Association.apply(graph, assignment)


class _Association(torch.autograd.Function):
    """Tr(SᵀWS) with its gradient 2WS, the very product that the value needs: one pass over W serves both."""

    @staticmethod
    def forward(ctx: FunctionCtx, graph: Graph, assignment: Tensor) -> Tensor:
        product = _matmul(graph, assignment)
        ctx.save_for_backward(product)
        return (assignment * product).sum((-1, -2))

    @staticmethod
    def backward(ctx: FunctionCtx, upstream: Tensor) -> tuple[None, Tensor]:
        (product,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return None, 2 * upstream[..., None, None] * product


def _matmul(graph: Graph, assignment: Tensor) -> Tensor:
    """W S, where S may have one more leading dimension than W: then its R matrices share one pass over W."""
    if assignment.ndim == graph.features.ndim:
        return graph.matmul(assignment)
    columns = assignment.movedim(-3, -2).flatten(-2)
    return graph.matmul(columns).unflatten(-1, (assignment.shape[-3], -1)).movedim(-2, -3)


def _align(per_graph: Tensor, assignment: Tensor) -> Tensor:
    return per_graph if assignment.ndim == per_graph.ndim else per_graph.unsqueeze(-3)
