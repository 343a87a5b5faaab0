"""Landmarks: a graph of many patches seen through m groups of similar ones, in time and memory n·m.

What Σ_j max(f_i·f_j, 0) x_j asks of n patches is asked of the groups' means (Nyström's idea, with means in
place of single patches), with two corrections for how members differ from their mean: see `Landmarks`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from deepcut_lib.features import squared_lengths

LANDMARKS = 1024
"""Number of groups, m, with ``memory="landmarks"``."""

ROWS = 4096
"""Patches compared with all landmarks at a time."""

WIDE = 128
"""Columns from which a matrix is no longer thin."""

GROUPS = 64
"""Groups whose affinities are cut off at a time."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """W = max(FFᵀ − shift, 0) of n patches in m groups, of one picture or of each of B.

    The affinities of patch i to group g's members are taken for spread evenly around that to their mean, over
    a width a_i b_g. R_ig is their mean after the cut-off, and θ_i the share of all that patch i keeps. A
    product is then R X̄ + θ ∘ F (FᵀX − CᵀX̄), with X̄ the groups' sums of X: the second term is what members
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
    def degrees(self) -> Tensor:
        """The row sums, (…, n): none is below the patch's affinity to itself."""
        own = squared_lengths(self.features).unsqueeze(-1)
        own = own if self.shift is None else own - self.shift
        return torch.maximum(self._to_groups(self.counts), own).squeeze(-1)

    def matmul(self, columns: Tensor) -> Tensor:
        """About W times a thin matrix: (…, n, c) → (…, n, c)."""
        sums = self.sums(columns)
        within = (columns.mT @ self.features - sums.mT @ self.centres).mT
        return self._to_groups(sums).addcmul_(self._rounded[1], self.features @ within)

    def sums(self, columns: Tensor) -> Tensor:
        """What the patches of each group have together, (…, n, c) → (…, m, c)."""
        return _sums(columns, self.members, self.counts.shape[-2])

    def _to_groups(self, sums: Tensor) -> Tensor:
        """R times what groups have, (…, m, c) → (…, n, c)."""
        patches, groups = self._widths
        weighted, rounded = groups * sums, self._rounded[0]
        # With the thin matrix first a product is several times faster; of a wide one it leaves the transpose
        product = (weighted.mT @ rounded).mT if sums.shape[-1] < WIDE else rounded.mT @ weighted
        return product.mul_(patches)

    @cached_property
    def _widths(self) -> tuple[Tensor, Tensor]:
        """a, (…, n, 1), over which f_i·f_j is spread in all groups; b, (…, m, 1), a group's part of it."""
        # Some rows at a time, which stay in the cache
        parts = self.features.split(ROWS, dim=-2)
        scatters, lengths_apart = [], []
        for rows, members in zip(parts, self.members.split(ROWS, dim=-1), strict=True):
            apart = rows - _gathered(self.centres, members)
            scatters.append(apart.mT @ apart)
            lengths_apart.append(squared_lengths(apart))
        covariance = torch.stack(scatters).sum(0) / self.features.shape[-2]
        squares = torch.cat(lengths_apart, dim=-1).unsqueeze(-1)
        mean = squares.mean(-2, keepdim=True)
        variances = [(rows @ covariance * rows).sum(-1, keepdim=True) for rows in parts]
        variance = torch.cat(variances, dim=-2).clamp(min=0)
        lengths = torch.linalg.vector_norm(self.features, dim=-1, keepdim=True)
        tiny = torch.finfo(mean.dtype).tiny
        # An even spread of variance σ² has a width of √12 σ; it is divided by, so that none is 0
        least = (1e-6 * lengths * lengths.amax(-2, keepdim=True)).clamp(min=tiny**0.5)
        sizes = self.sums(squares) / self.counts.clamp(min=1) / mean.clamp(min=tiny)
        return (12 * variance).sqrt().maximum(least), sizes.sqrt().clamp(min=1e-6)

    @cached_property
    def _rounded(self) -> tuple[Tensor, Tensor]:
        """R's transpose without its widths, (…, m, n), and θ, (…, n, 1).

        Over z, the mean affinity in widths: a cut-off of even spread keeps the share s of all, which is z + ½
        between 0 and 1. The mean of what it keeps is s²/2, and beyond z = ½, where s = 1, z itself: in one,
        s (max(z + ½, 0) − s/2).
        """
        patches, groups = self._widths
        rounded = (self.centres / groups) @ (self.features / patches).mT
        if self.shift is not None:
            rounded -= self.shift / groups / patches.mT
        kept = torch.zeros_like(patches)
        for part, counts in zip(rounded.split(GROUPS, -2), self.counts.split(GROUPS, -2), strict=True):
            part.add_(0.5).clamp_(min=0)
            share = part.clamp(max=1)
            kept += (counts.mT @ share).mT
            part.sub_(share, alpha=0.5).mul_(share)
        return rounded, kept / self.members.shape[-1]


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
    lengths = squared_lengths(features)
    keys = torch.rand(features.shape[-2], generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    keys = keys.to(features.device).expand(lengths.shape)
    keys = keys.scatter(-1, lengths.topk(-(-m // 8)).indices, 1.0)  # drawn keys are below 1
    picked = keys.topk(m).indices
    seeds = features.gather(-2, picked.unsqueeze(-1).expand(*picked.shape, features.shape[-1]))
    half = squared_lengths(seeds).unsqueeze(-2) / 2
    # Of |f − c|²/2 the part |f|²/2 is the same for all c. `max` is three times as fast as `argmax`
    nearest = [(rows @ seeds.mT).sub_(half).max(-1).indices for rows in features.split(ROWS, dim=-2)]
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
    rows, values = _rows(members, groups), columns.flatten(0, -2)
    if result.is_cuda:  # `index_add_` adds in another order each time there
        result.index_put_((rows,), values, accumulate=True)
    else:
        result.index_add_(0, rows, values)
    return result.unflatten(0, (*members.shape[:-1], groups))
