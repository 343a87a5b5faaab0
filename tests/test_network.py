"""The network against torch's own layers."""

import pytest
import torch
from torch import Tensor, nn

from deepcut_lib.graphs import ncut_graph
from deepcut_lib.network import NAMES, Networks, initial_weights


def test_equals_plain_layers_with_gradients(generator: torch.Generator) -> None:
    weights = initial_weights(8, 6, 5, 3, generator)
    networks = Networks([weights], batch=1, dropout=0.0)
    propagated = torch.randn(1, 20, 8, generator=generator)
    first, second, third = nn.Linear(8, 6), nn.Linear(6, 5), nn.Linear(5, 3)
    for layer, name in ((first, "gcn"), (second, "mlp1"), (third, "mlp2")):
        layer.weight.data, layer.bias.data = weights[f"{name}_weight"], weights[f"{name}_bias"]
    plain = nn.Sequential(first, nn.ELU(), second, nn.ELU(), third, nn.Softmax(-1))
    ours, expected = networks(propagated), plain(propagated)
    assert torch.allclose(ours[:, 0], expected, atol=1e-6)
    target = torch.randn(20, 3, generator=generator)
    (ours[0, 0] * target).sum().backward()
    (expected[0] * target).sum().backward()
    assert networks.gcn_weight.grad is not None
    assert torch.allclose(networks.gcn_weight.grad[0, 0], first.weight.grad, atol=1e-5)
    assert torch.allclose(networks.mlp1_bias.grad[0, 0], second.bias.grad, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_are_those_of_finite_differences(dropout: float, generator: torch.Generator) -> None:
    starts = [initial_weights(6, 5, 4, 3, generator) for _ in range(2)]
    networks = Networks(starts, batch=2, dropout=dropout).double()
    propagated = torch.randn(2, 7, 6, generator=generator, dtype=torch.float64)

    def assigned(*weights: Tensor) -> Tensor:
        sources = [torch.Generator().manual_seed(r) for r in range(2)]
        return torch.func.functional_call(
            networks, dict(zip(NAMES, weights, strict=True)), (propagated, sources)
        )

    assert torch.autograd.gradcheck(assigned, [getattr(networks, name) for name in NAMES])


def test_networks_are_independent(blobs: Tensor, generator: torch.Generator) -> None:
    starts = [initial_weights(16, 8, 4, 2, generator) for _ in range(3)]
    pictures = torch.stack([blobs, blobs.flip(0)])
    graph = ncut_graph(pictures)
    together = Networks(starts, batch=2, dropout=0.0)(graph.propagate(pictures))
    assert together.shape == (2, 3, 120, 2)
    for b in range(2):
        for r in range(3):
            alone = Networks([starts[r]], batch=1, dropout=0.0)(graph.propagate(pictures)[b : b + 1])
            assert torch.allclose(together[b, r], alone[0, 0], atol=1e-6)


def test_dropout_acts_in_training_only_and_alike_on_all_pictures(blobs: Tensor) -> None:
    start = initial_weights(16, 8, 32, 2, torch.Generator().manual_seed(0))
    networks = Networks([start], batch=2, dropout=0.5)
    propagated = torch.stack([blobs, blobs])
    trained = networks(propagated, [torch.Generator().manual_seed(1)])
    assert torch.allclose(trained[0], trained[1])
    assert not torch.allclose(trained, networks(propagated))
    assert torch.equal(trained, networks(propagated, [torch.Generator().manual_seed(1)]))


def test_sure_assignments_leave_no_gradient_too_small_for_float32s_usual_form(
    generator: torch.Generator,
) -> None:
    weights = initial_weights(8, 6, 5, 2, generator)
    weights["mlp2_bias"] = torch.tensor([85.0, 0.0])  # e⁻⁸⁵ is 1e-37
    networks = Networks([weights], batch=1, dropout=0.0)
    propagated = torch.randn(1, 20, 8, generator=generator)
    (networks(propagated)[..., 0] * torch.randn(20, generator=generator)).sum().backward()
    for parameter in networks.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()
