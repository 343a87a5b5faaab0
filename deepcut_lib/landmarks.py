"""Landmarks: a graph of many patches seen through m groups of similar ones, in time and memory n·m.

What Σ_j max(f_i·f_j, 0) x_j asks of n patches is asked of the groups' means (Nyström's idea, with means in
place of single patches), with two corrections for how members differ from their mean: see `Landmarks`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

LANDMARKS = 1024
"""Number of groups, m, with ``memory="landmarks"``."""

ROWS = 4096
"""Patches compared with all landmarks at a time."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """W = max(FFᵀ − shift, 0) of n patches in m groups, of one picture or of each of B.

    The affinities of patch i to a group's members are taken for spread evenly around that to their mean c,
    from f_i·c − h to f_i·c + h. R_ig is their mean after the cut-off, and θ_i the share of all that i keeps.
    A product is then R X̄ + θ ∘ F (FᵀX − CᵀX̄), with X̄ the groups' sums of X: the second term is what members
    differ by, which a cut-off at zero lets through where it cuts nothing.

    Attributes:
        features: F, (…, n, d).
        shift: (…, 1, 1), or None.
        members: (…, n) the group of each patch.
        counts: (…, m, 1) how many patches each has; a group may be empty.
        centres: C, (…, m, d): their mean features, zero where a group is empty.
    """

    features: Tensor
    shift: Tensor | None
    members: Tensor
    counts: Tensor
    centres: Tensor

    @cached_property
    def affinity(self) -> Tensor:
        """R, (…, n, m): the mean affinity of each patch to a member of each group."""
        return self._cut_off[0]

    @cached_property
    def degrees(self) -> Tensor:
        """The row sums, (…, n): none is below the patch's affinity to itself."""
        own = self.features.square().sum(-1, keepdim=True)
        own = own if self.shift is None else own - self.shift
        return torch.maximum(self.affinity @ self.counts, own).squeeze(-1)

    def matmul(self, columns: Tensor) -> Tensor:
        """About W times a thin matrix: (…, n, c) → (…, n, c)."""
        sums = self.sums(columns)
        within = self.features.mT @ columns - self.centres.mT @ sums
        return torch.addcmul(self.affinity @ sums, self._cut_off[1], self.features @ within)

    def sums(self, columns: Tensor) -> Tensor:
        """What the patches of each group have together, (…, n, c) → (…, m, c)."""
        return _sums(columns, self.members, self.counts.shape[-2])

    @cached_property
    def _cut_off(self) -> tuple[Tensor, Tensor]:
        """R, and θ, (…, n, 1)."""
        apart = self.features - _gathered(self.centres, self.members)
        # The spread of f_i·f_j over members j: what is the direction's, for each i, times what is the group's
        covariance = apart.mT @ apart / apart.shape[-2]
        variance = (self.features @ covariance * self.features).sum(-1, keepdim=True).clamp(min=0)
        squares = apart.square().sum(-1, keepdim=True)
        sizes = self.sums(squares) / self.counts.clamp(min=1)
        sizes = sizes / squares.mean(-2, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
        tiles = zip(self.features.split(ROWS, -2), variance.split(ROWS, -2), strict=True)
        means, shares = zip(*(self._cut_off_rows(rows, size * sizes.mT) for rows, size in tiles), strict=True)
        return torch.cat(means, dim=-2), torch.cat(shares, dim=-2)

    def _cut_off_rows(self, rows: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of max(x, 0), x being even between f·c − shift − h and f·c − shift + h; share above 0."""
        # An even spread of variance σ² reaches √3 σ to both sides; no width is 0
        half = (3 * variance).sqrt_().clamp_(min=1e-18)
        mean = rows @ self.centres.mT
        if self.shift is not None:
            mean -= self.shift
        beyond = (mean - half).clamp_(min=0)
        width = half.mul_(2)
        above = mean.add_(width / 2).clamp_(min=0).minimum(width)
        share = above / width
        return beyond.addcmul_(above, share, value=0.5), share @ self.counts / self.members.shape[-1]


def through_landmarks(features: Tensor, shift: Tensor | None, landmarks: int) -> Landmarks:
    """Pick m patches, and let each patch join the one nearest to it.

    An eighth are the patches with the longest features: one that is far out has affinities larger than all
    others', and as a member would spoil its group's mean. The rest is drawn at random, by a fixed seed.

    Args:
        features: F, (n, d) or (B, n, d).
        shift: what is subtracted from FFᵀ before the cut-off, (…, 1, 1).
        landmarks: m; not more than n are picked.
    """
    m = min(landmarks, features.shape[-2])
    lengths = features.square().sum(-1)
    keys = torch.rand(features.shape[-2], generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    keys = keys.to(features.device).expand(lengths.shape)
    keys = keys.scatter(-1, lengths.topk(-(-m // 8)).indices, 1.0)  # drawn keys are below 1
    picked = keys.topk(m).indices
    seeds = features.gather(-2, picked.unsqueeze(-1).expand(*picked.shape, features.shape[-1]))
    half = seeds.square().sum(-1).unsqueeze(-2) / 2
    # Of |f − c|²/2 the part |f|²/2 is the same for all c
    nearest = [(half - rows @ seeds.mT).argmin(-1) for rows in features.split(ROWS, dim=-2)]
    members = torch.cat(nearest, dim=-1)
    counts = _sums(features.new_ones(*features.shape[:-1], 1), members, m)
    centres = _sums(features, members, m) / counts.clamp(min=1)
    return Landmarks(features, shift, members, counts, centres)


def _rows(members: Tensor, groups: int) -> Tensor:
    """The groups of all pictures in one row: those of picture b begin at b·m."""
    apart = members.reshape(-1, members.shape[-1])
    return (apart + groups * torch.arange(len(apart), device=members.device).unsqueeze(-1)).flatten()


def _gathered(of_groups: Tensor, members: Tensor) -> Tensor:
    rows = _rows(members, of_groups.shape[-2])
    return of_groups.flatten(0, -2)[rows].unflatten(0, members.shape)


def _sums(columns: Tensor, members: Tensor, groups: int) -> Tensor:
    result = columns.new_zeros(members.shape[:-1].numel() * groups, columns.shape[-1])
    result.index_add_(0, _rows(members, groups), columns.flatten(0, -2))
    return result.unflatten(0, (*members.shape[:-1], groups))
