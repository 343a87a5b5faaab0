"""The network: one graph convolution and a small MLP with a softmax (Eq. 4 and 8).

The graph convolution is linear and its graph fixed, so Â F is computed once and the network starts from it:
an epoch then costs no message passing at all.
"""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from deepcut_lib.features import float32

Weights: TypeAlias = Mapping[str, Tensor]

NAMES = ("gcn_weight", "gcn_bias", "mlp1_weight", "mlp1_bias", "mlp2_weight", "mlp2_bias")
"""The six tensors of a network, in the order of the data's way; weights are (out, in)."""

TRACE = 1e-25
"""Gradients of the scores below it are dropped. Where assignments are nearly sure they would go on as numbers
too small for float32's usual form, which a CPU multiplies many times slower; AdamW's ε of 1e-8 hides them."""


class Networks(nn.Module):
    """B×R independent networks, evaluated together: R for each of B pictures.

    S = softmax(W₂ · drop(elu(W₁ · elu(Â F W_g + b_g) + b₁)) + b₂) (Eq. 4 and 8).

    Args:
        starts: R sets of initial weights (see `initial_weights`); every picture begins with the same R.
        batch: B.
        dropout: share of the MLP's hidden values set to zero in training.
    """

    gcn_weight: nn.Parameter
    gcn_bias: nn.Parameter
    mlp1_weight: nn.Parameter
    mlp1_bias: nn.Parameter
    mlp2_weight: nn.Parameter
    mlp2_bias: nn.Parameter

    def __init__(self, starts: list[Weights], batch: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        for name in NAMES:
            stacked = torch.stack([start[name] for start in starts])
            self.register_parameter(name, nn.Parameter(stacked.expand(batch, *stacked.shape).clone()))

    def forward(self, propagated: Tensor, generators: list[torch.Generator] | None = None) -> Tensor:
        """Assign patches to clusters.

        Args:
            propagated: Â F, (B, n, d), see `Graph.propagate`.
            generators: R sources of the dropout, one for each start; None evaluates without dropout.

        Returns:
            S, (B, R, n, K); its rows sum to one.
        """
        # The R first layers of a picture are one product, so that Â F, by far the largest factor, is read
        # once: (B, R, h, d) → (B, R·h, d), and (B, n, d) times its transpose is (B, n, R·h)
        first = self.gcn_weight.flatten(1, 2)
        convolved = torch.baddbmm(self.gcn_bias.flatten(1).unsqueeze(1), propagated, first.mT)
        # Taken apart again: (B, n, R·h) → (B, n, R, h) → (B, R, n, h), the order that the rest keeps
        hidden = _Elu.apply(convolved.unflatten(-1, self.gcn_bias.shape[1:]).movedim(-2, 1))
        # From here each network has inputs of its own: products batched over B and R, (…, n, h) → (…, n, m)
        hidden = _Elu.apply(hidden @ self.mlp1_weight.mT + self.mlp1_bias.unsqueeze(-2))
        if generators is not None and self.dropout > 0:
            # One mask for each start, shared by the pictures: a result does not depend on its batch
            draws = [
                torch.rand(hidden.shape[-2:], generator=generator, dtype=torch.float32)
                for generator in generators
            ]
            kept = torch.stack(draws).to(hidden.device) >= self.dropout
            hidden = hidden * kept / (1 - self.dropout)
        scores = hidden @ self.mlp2_weight.mT + self.mlp2_bias.unsqueeze(-2)
        if scores.requires_grad:
            scores.register_hook(_without_traces)
        return torch.softmax(scores, dim=-1)

    def weights(self, picture: int, start: int) -> dict[str, Tensor]:
        """A copy of one network's six tensors, by name."""
        return {name: getattr(self, name)[picture, start].detach().clone() for name in NAMES}


def _without_traces(gradient: Tensor) -> Tensor:
    """Zeros for gradients below `TRACE`."""
    return torch.nn.functional.hardshrink(gradient, TRACE)


class _Elu(torch.autograd.Function):
    """ELU by `exp`: torch's own takes `expm1`, on a CPU fifteen times slower and here no more exact."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        result = torch.exp(x.clamp(max=0)).sub_(1).add_(torch.relu(x))
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: FunctionCtx, upstream: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return upstream * result.clamp(max=0).add_(1)


def initial_weights(
    in_channels: int, hidden_channels: int, mlp_channels: int, n_clusters: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw one network's weights as PyG's GCNConv (Glorot, bias 0) and torch's Linear draw theirs."""

    def uniform(bound: float, *shape: int) -> Tensor:
        return (2 * torch.rand(shape, generator=generator, dtype=torch.float32) - 1) * bound

    return {
        "gcn_weight": uniform((6 / (in_channels + hidden_channels)) ** 0.5, hidden_channels, in_channels),
        "gcn_bias": torch.zeros(hidden_channels, dtype=torch.float32),
        "mlp1_weight": uniform(hidden_channels**-0.5, mlp_channels, hidden_channels),
        "mlp1_bias": uniform(hidden_channels**-0.5, mlp_channels),
        "mlp2_weight": uniform(mlp_channels**-0.5, n_clusters, mlp_channels),
        "mlp2_bias": uniform(mlp_channels**-0.5, n_clusters),
    }


def check_weights(weights: Weights, in_channels: int, n_clusters: int) -> dict[str, Tensor]:
    """Given initial weights as float32 tensors, sizes checked.

    Raises:
        ValueError: a tensor is missing, unknown, not finite, or of a shape that does not fit the others; the
            message names it.
    """
    if set(weights) != set(NAMES):
        raise ValueError(f"initial_weights must hold exactly {', '.join(NAMES)}; it has {', '.join(weights)}")
    tensors = {}
    for name in NAMES:
        try:
            tensors[name] = float32(weights[name]).cpu()
        except ValueError as error:
            raise ValueError(f"initial weight {name} holds no finite numbers") from error
    hidden, mlp = tensors["gcn_bias"].numel(), tensors["mlp1_bias"].numel()
    shapes = [(hidden, in_channels), (hidden,), (mlp, hidden), (mlp,), (n_clusters, mlp), (n_clusters,)]
    for name, shape in zip(NAMES, shapes, strict=True):
        if tuple(tensors[name].shape) != shape:
            raise ValueError(
                f"initial weight {name} has shape {tuple(tensors[name].shape)}, expected {shape}"
            )
    return tensors
