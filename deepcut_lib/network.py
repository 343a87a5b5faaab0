"""The network: one graph convolution and a small MLP with a softmax (Eq. 4 and 8).

The graph convolution is linear and its graph fixed, so Â F is computed once and the network starts from it:
an epoch then costs no message passing at all.
"""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

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
        """Assign patches to clusters. Gradients run to the weights alone.

        Args:
            propagated: Â F, (B, n, d), see `Graph.propagate`.
            generators: R sources of the dropout, one for each start; None evaluates without dropout.

        Returns:
            S, (B, R, n, K); its rows sum to one.
        """
        kept = None
        if generators is not None and self.dropout > 0:
            # One mask for each start, shared by the pictures: a result does not depend on its batch
            shape = (propagated.shape[-2], self.mlp1_bias.shape[-1])
            draws = [torch.rand(shape, generator=source, dtype=torch.float32) for source in generators]
            kept = (torch.stack(draws) >= self.dropout).to(propagated) / (1 - self.dropout)
        return _Layers.apply(propagated, kept, *(getattr(self, name) for name in NAMES))

    def weights(self, picture: int, start: int) -> dict[str, Tensor]:
        """A copy of one network's six tensors, by name."""
        return {name: getattr(self, name)[picture, start].detach().clone() for name in NAMES}


class _Layers(torch.autograd.Function):
    """The layers from Â F to S and their gradients by hand, which take half the passes of autograd's own."""

    @staticmethod
    def forward(ctx: FunctionCtx, propagated: Tensor, kept: Tensor | None, *weights: Tensor) -> Tensor:
        networks = weights[0].shape[:2]
        # The R first layers of a picture are one product, so that Â F, by far the largest factor, is read
        # once: (B, R, h, d) → (B, R·h, d), and (B, n, d) times its transpose is (B, n, R·h)
        first, bias = weights[0].flatten(1, 2), weights[1].flatten(1)
        convolved = torch.baddbmm(bias.unsqueeze(-2), propagated, first.mT)
        # Taken apart again: (B, n, R·h) → (B, n, R, h) → (B·R, n, h). From here each network has inputs of
        # its own: products batched over B·R
        convolved = convolved.unflatten(-1, weights[1].shape[1:]).movedim(-2, 1).flatten(0, 1)
        hidden, slope = _elu(convolved)
        second, bias, third, last_bias = (tensor.flatten(0, 1) for tensor in weights[2:])
        inner, inner_slope = _elu(torch.baddbmm(bias.unsqueeze(-2), hidden, second.mT))
        if kept is not None:
            masks = kept.repeat(networks[0], 1, 1)
            inner *= masks
            inner_slope *= masks
        assignment = torch.softmax(torch.baddbmm(last_bias.unsqueeze(-2), inner, third.mT), dim=-1)
        ctx.save_for_backward(propagated, hidden, slope, inner, inner_slope, assignment, second, third)
        return assignment.unflatten(0, networks)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        propagated, hidden, slope, inner, inner_slope, assignment, second, third = ctx.saved_tensors  # type: ignore[attr-defined]
        networks = upstream.shape[:2]
        # Of the softmax: S ∘ (∂S − Σ_k S ∂S)
        of_scores = assignment * upstream.flatten(0, 1)
        of_scores -= assignment * of_scores.sum(-1, keepdim=True)
        of_scores = torch.nn.functional.hardshrink(of_scores, TRACE)
        of_inner = (of_scores @ third).mul_(inner_slope)
        of_hidden = (of_inner @ second).mul_(slope)
        # (B·R, n, h) → (B, R, n, h) → (B, R·h, n), and the R products with Â F are one again
        across = of_hidden.unflatten(0, networks).mT.flatten(1, 2)
        gradients = (
            of_hidden.sum(-2),
            of_inner.mT @ hidden,
            of_inner.sum(-2),
            of_scores.mT @ inner,
            of_scores.sum(-2),
        )
        of_first = (across @ propagated).unflatten(1, (networks[1], -1))
        return None, None, of_first, *(gradient.unflatten(0, networks) for gradient in gradients)


def _elu(x: Tensor) -> tuple[Tensor, Tensor]:
    """ELU and its slope, by `exp`: torch's own takes `expm1`, on a CPU far slower and here no more exact."""
    slope = x.clamp(max=0).exp_()
    return torch.maximum(x, slope - 1), slope  # x ≤ eˣ − 1, and above zero the slope is 1


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
