"""From patch features to a graph: affinities W = FFᵀ, cut off at zero or shifted (Eq. 5–7).

W is never needed whole. Everything that the network and the losses ask of it is a product with a thin
matrix, so a `Graph` keeps F and either stores W once (dense), makes its rows tile by tile (matrix-free,
memory linear in the number of patches), or approximates the product through landmarks (time linear too).
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from deepcut_lib.devices import without_autocast
from deepcut_lib.features import squared_lengths
from deepcut_lib.landmarks import Landmarks, through_landmarks

if TYPE_CHECKING:
    from torch_geometric.data import Data

TILE_BYTES = 64 * 2**20
"""Size of one tile of rows of W in the matrix-free mode."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A fully connected graph of n patches, or a batch of B such graphs.

    Attributes:
        features: F, (n, d) or (B, n, d) float32.
        shift: what is subtracted from FFᵀ, (…, 1, 1): max(FFᵀ)/α in Eq. 7; None for nothing (Eq. 5).
        nonnegative: cut negative affinities off (Eq. 6).
        dense: store W, n² numbers, instead of making its rows anew for each product.
        landmarks: m groups of patches, through which products with a cut-off W go, instead of through all
            pairs; 0 is exact.
    """

    features: Tensor
    shift: Tensor | None = None
    nonnegative: bool = True
    dense: bool = True
    landmarks: int = 0

    @property
    def n(self) -> int:
        """Number of patches."""
        return self.features.shape[-2]

    @cached_property
    @without_autocast()
    def affinity(self) -> Tensor:
        """W, (…, n, n): built on first use, and kept."""
        return self._rows(0, self.n)

    @cached_property
    @without_autocast()
    def degrees(self) -> Tensor:
        """The diagonal of D, (…, n): the row sums of W."""
        if self.nonnegative and self.landmarks:
            return self._coarse.degrees
        if self.nonnegative:
            return torch.cat([tile.sum(-1) for tile in self._tiles()], dim=-1)
        total = self.features.sum(-2, keepdim=True)
        sums = self.features @ total.mT
        return (sums if self.shift is None else sums - self.n * self.shift).squeeze(-1)

    @without_autocast()
    def matmul(self, columns: Tensor) -> Tensor:
        """W times a thin matrix: (…, n, c) → (…, n, c); approximate with landmarks."""
        if self.nonnegative and self.landmarks:
            return self._coarse.matmul(columns)
        if self.nonnegative and self.dense:
            # W is symmetric, and with the thin matrix first the product is several times faster
            return (columns.mT @ self.affinity).mT
        if self.nonnegative:
            return torch.cat([tile @ columns for tile in self._tiles()], dim=-2)
        # Without the cut-off W is of low rank plus a constant: linear in n
        product = self.features @ (self.features.mT @ columns)
        return product if self.shift is None else product - self.shift * columns.sum(-2, keepdim=True)

    def positive(self) -> "Graph":
        """The same graph with its negative affinities cut off: what the network's messages run along."""
        return self if self.nonnegative else replace(self, nonnegative=True)

    def propagate(self, columns: Tensor) -> Tensor:
        """One step of graph convolution, Â X with Â = D^-½ W D^-½ of the positive part (Eq. 4).

        A patch without a positive affinity to itself gets a self-loop of weight 1, so that no degree is 0.

        Args:
            columns: X, (…, n, c).
        """
        graph = self.positive()
        own = squared_lengths(self.features).unsqueeze(-1)
        loop = (own <= (0 if self.shift is None else self.shift)).to(columns.dtype)
        scale = (graph.degrees.unsqueeze(-1) + loop).rsqrt()
        scaled = scale * columns
        return torch.addcmul(graph.matmul(scaled), loop, scaled).mul_(scale)

    @without_autocast()
    def negative_share(self) -> Tensor:
        """Share of entries of FFᵀ − shift below zero, (…): what a cut-off would throw away (§6)."""
        signed = replace(self, nonnegative=False, dense=False)
        counts = [(tile < 0).sum((-1, -2)) for tile in signed._tiles()]
        return torch.stack(counts).sum(0) / self.n**2

    @cached_property
    def _coarse(self) -> Landmarks:
        return through_landmarks(self.features, self.shift, self.landmarks)

    def _tiles(self) -> Iterator[Tensor]:
        """W, a few rows at a time: all at once if it is stored."""
        if self.dense:
            yield self.affinity
            return
        batch = self.features.shape[:-2].numel()
        rows = max(TILE_BYTES // (batch * self.n * self.features.element_size()), 1)
        for start in range(0, self.n, rows):
            yield self._rows(start, start + rows)

    def _rows(self, start: int, stop: int) -> Tensor:
        rows = self.features[..., start:stop, :] @ self.features.mT
        if self.shift is not None:
            rows -= self.shift
        return rows.clamp_(min=0) if self.nonnegative else rows


def ncut_graph(features: Tensor, *, dense: bool = True, landmarks: int = 0) -> Graph:
    """The graph of the normalised cut: W = max(FFᵀ, 0) (Eq. 5 and 6).

    Args:
        features: F, (n, d) or (B, n, d).
        dense: store W.
        landmarks: approximate its products through so many groups of patches; 0 for none.
    """
    return Graph(features, dense=dense, landmarks=landmarks)


def cc_graph(features: Tensor, alpha: float, *, dense: bool = True, landmarks: int = 0) -> Graph:
    """The signed graph of correlation clustering: W = FFᵀ − max(FFᵀ)/α (Eq. 5 and 7).

    Args:
        features: F, (n, d) or (B, n, d).
        alpha: the k sensitivity, positive: the larger, the fewer clusters.
        dense: store W where a product needs it whole; the loss never does.
        landmarks: approximate the network's messages through so many groups of patches; 0 for none. The
            loss needs none.

    Raises:
        ValueError: alpha is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, not {alpha}")
    # No product of two rows exceeds the larger of their squared lengths: the maximum is on the diagonal
    largest = squared_lengths(features).amax(-1)[..., None, None]
    return Graph(features, largest / alpha, nonnegative=False, dense=dense, landmarks=landmarks)


def modularity_affinity(graph: Graph, resolution: float = 1.0) -> Tensor:
    """What modularity keeps of affinities: each less the one expected by chance, W_ij − d_i d_j / Σd; n×n.

    Expected, if each patch spread its degree over the others as they spread theirs (Newman and Girvan, 2004).
    In place of Eq. 7's constant, max(FFᵀ)/α, which somebody must choose, each pair has a threshold of its own
    that comes from the data. Rows sum to zero, so one cluster for all is worth nothing.

    Args:
        graph: a single graph of nonnegative affinities (Eq. 6).
        resolution: how often the expected affinity is subtracted.
    """
    degrees = graph.degrees
    total = degrees.sum().clamp(min=torch.finfo(degrees.dtype).tiny)
    return graph.affinity - resolution * degrees.unsqueeze(-1) * degrees / total


@without_autocast()
def normalized_cut(graph: Graph, labels: Tensor) -> float:
    """N-cut of a partition: Σ over its parts of (affinity to the rest) / (affinity to all patches).

    Args:
        graph: a single graph of nonnegative affinities.
        labels: (n,) the part of each patch.
    """
    parts = torch.unique(labels, return_inverse=True)[1].to(graph.features.device)
    members = torch.nn.functional.one_hot(parts).to(graph.features.dtype)
    inside = (members * graph.matmul(members)).sum(0)
    total = graph.degrees @ members
    return float(((total - inside) / total.clamp(min=torch.finfo(total.dtype).tiny)).sum())


def fiedler_vector(affinity: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The classical answer to the normalised cut: the second smallest solution of (D − W) v = λ D v.

    Args:
        affinity: W, n×n, n at least 2, without negative affinities.

    Returns:
        The second and the third smallest λ (the third is infinite where there are two patches), and the (n,)
        vector of the second. Its sign is free: here at most half of the patches are positive.

    Raises:
        ValueError: a patch has no affinity at all.
    """
    weights = affinity.detach().cpu().double().numpy()
    degrees = weights.sum(axis=1)
    if degrees.min() <= 0:
        raise ValueError(f"Patch {degrees.argmin()} has degree 0: the eigenproblem needs positive degrees.")
    values, vectors = cut_vectors(weights, min(3, len(weights)))
    vector = vectors[:, 1]
    if 2 * (vector > 0).sum() > len(vector):
        vector = -vector
    return np.append(values[1:], np.inf)[:2], vector


def cut_vectors(weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest solutions of (D − W) v = λ D v; a patch without any affinity counts as of degree 1.

    Args:
        weights: W, n×n, symmetric, float64.
        count: how many, at most n.

    Returns:
        (count,) λ, rising, and n×count vectors.
    """
    degrees = weights.sum(axis=1)
    degrees[degrees < 1e-12] = 1
    # Solved as D^-½ (D − W) D^-½ u = λ u with v = D^-½ u: one symmetric matrix takes less time than a pair
    scale = 1 / np.sqrt(degrees)
    laplacian = (np.diag(degrees) - weights) * scale[:, None] * scale
    values, vectors = eigh(laplacian, subset_by_index=[0, count - 1], overwrite_a=True)
    return values, scale[:, None] * vectors


def to_pyg(graph: Graph) -> "Data":
    """The same graph as PyG knows it: `x` n×d, `edge_index` 2×e and `edge_weight` of its non-zero affinities.

    Args:
        graph: a single graph, not a batch. Needs memory for n² edges.
    """
    if graph.features.ndim != 2:
        raise ValueError(f"to_pyg takes a single graph, not a batch of {graph.features.shape[0]}")
    with warnings.catch_warnings():  # PyG is slow to import, and uses what newer torch calls deprecated
        warnings.simplefilter("ignore")
        from torch_geometric.data import Data
    edge_index = graph.affinity.nonzero().T.contiguous()
    return Data(x=graph.features, edge_index=edge_index, edge_weight=graph.affinity[tuple(edge_index)])
