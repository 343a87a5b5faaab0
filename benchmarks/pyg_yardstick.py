"""DeepCut as one would write it with PyG, GCNConv over the list of all edges: the yardstick."""

import warnings
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

with warnings.catch_warnings():  # PyG uses what newer torch calls deprecated
    warnings.simplefilter("ignore")
    from torch_geometric.nn import GCNConv


class MessagePassingDeepCut(nn.Module):
    """One GCNConv and an MLP; messages run along each positive affinity, in each epoch."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        hidden, in_channels = weights["gcn_weight"].shape
        self.convolution = GCNConv(in_channels, hidden)
        self.first = nn.Linear(hidden, len(weights["mlp1_bias"]))
        self.second = nn.Linear(len(weights["mlp1_bias"]), len(weights["mlp2_bias"]))
        with torch.no_grad():
            self.convolution.lin.weight.copy_(weights["gcn_weight"])
            self.convolution.bias.copy_(weights["gcn_bias"])
            for layer, name in ((self.first, "mlp1"), (self.second, "mlp2")):
                layer.weight.copy_(weights[f"{name}_weight"])
                layer.bias.copy_(weights[f"{name}_bias"])

    def forward(self, features: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """n×d → S, n×K."""
        hidden = F.elu(self.convolution(features, edge_index, edge_weight))
        return torch.softmax(self.second(F.elu(self.first(hidden))), dim=-1)


def fit(features: Tensor, weights: Mapping[str, Tensor], epochs: int) -> tuple[Tensor, list[float]]:
    """Optimise Eq. 9 without dropout; returns S after the last step, and the loss of each epoch."""
    affinity = (features @ features.T).clamp(min=0)
    degrees = torch.diag(affinity.sum(1))
    edge_index = affinity.nonzero().T.contiguous()
    edge_weight = affinity[tuple(edge_index)]
    model = MessagePassingDeepCut(weights).to(features.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(epochs):
        assignment = model(features, edge_index, edge_weight)
        cut = torch.trace(assignment.T @ affinity @ assignment)
        volume = torch.trace(assignment.T @ degrees @ assignment)
        overlap = assignment.T @ assignment
        clusters = assignment.shape[1]
        target = torch.eye(clusters, device=features.device) / clusters**0.5
        loss = -cut / volume + torch.linalg.norm(overlap / torch.linalg.norm(overlap) - target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return model(features, edge_index, edge_weight), losses
