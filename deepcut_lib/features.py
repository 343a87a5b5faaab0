"""Patch features: what a backbone says of a picture, one vector for each patch of a grid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """The features of one picture's patches: the nodes of the graph.

    Attributes:
        values: n×d float32, row-major over the grid; a ViT's channels are head-major. What is given may be
            of any real type, see `float32`.
        grid: (h, w) patches, n = h·w.
        cls: d' vector for the whole picture (a ViT's CLS token, else pooled features), or None if it was
            not asked for.
        image_size: (H, W) of the picture before it was fitted to the grid, in pixels.
        backbone: the name of the backbone.
        patch_size: side of a patch, in pixels of the fitted picture.
        stride: distance of neighbouring patches, in the same pixels; below `patch_size` patches overlap.
        prior: (n,) each patch's probability of foreground, 0…1, if the backbone has a `ForegroundPrior`.
    """

    values: Tensor
    grid: tuple[int, int]
    cls: Tensor | None
    image_size: tuple[int, int]
    backbone: str
    patch_size: int = 1
    stride: int = 1
    prior: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", float32(self.values))
        if self.values.ndim != 2 or len(self.values) != self.grid[0] * self.grid[1]:
            raise ValueError(f"values of shape {tuple(self.values.shape)} do not fill a grid of {self.grid}")

    def to_map(self, per_patch: Tensor | np.ndarray) -> np.ndarray:
        """Lay one value (or row of c values) for each patch out on the grid: h×w or h×w×c."""
        array = per_patch.detach().cpu().numpy() if isinstance(per_patch, Tensor) else np.asarray(per_patch)
        return array.reshape(*self.grid, *array.shape[1:])


def float32(values: Tensor | np.ndarray) -> Tensor:
    """Features as all that follows takes them: finite float32, outside of any gradient, whatever they were.

    Args:
        values: n×d, or B×n×d of several pictures, of any real type and layout in memory; a tensor on any
            device or an array.

    Raises:
        ValueError: the values are complex, NaN or infinite, or so large that sums over all of W, n² products
            of d channels, overflow.
    """
    if isinstance(values, Tensor):
        values = values.detach().resolve_neg()
    elif not np.iscomplexobj(values):
        # torch has no read-only tensors, no negative strides, and no numbers of the other byte order
        kept = np.float32 if np.asarray(values).dtype == np.float32 else np.float64
        values = torch.from_numpy(np.require(values, kept, ["C", "W"]))
    if not isinstance(values, Tensor) or values.is_complex():
        raise ValueError("the features are complex numbers; give their real part or magnitude")
    if values.ndim and values.numel():
        _check_magnitude(values)
    # Columns first, a GPU's products round otherwise
    return values.to(torch.float32).contiguous()


def _check_magnitude(values: Tensor) -> None:
    least, most = torch.aminmax(values if values.is_floating_point() else values.float())
    largest = float(torch.maximum(most, -least))
    if not math.isfinite(largest):
        raise ValueError("the features hold NaN or infinite values; replace them")
    of_picture = values.shape[-2:]
    if largest > math.sqrt(torch.finfo(torch.float32).max / (of_picture[0] * of_picture.numel())):
        raise ValueError(
            f"the features reach {largest:.3g} in magnitude, so that their affinities overflow float32; "
            "replace no-data values, or divide the features by a constant"
        )


def alike(tensors: Sequence[Tensor]) -> list[list[int]]:
    """Which tensors have one shape, so that they can be stacked: their indices, group by group."""
    groups: dict[torch.Size, list[int]] = {}
    for index, tensor in enumerate(tensors):
        groups.setdefault(tensor.shape, []).append(index)
    return list(groups.values())


def squared_lengths(values: Tensor) -> Tensor:
    """‖f‖² of each row, (…, n, d) → (…, n), without n×d squares in between."""
    return torch.linalg.vector_norm(values, dim=-1).square()


def spread(values: Tensor) -> float:
    """How far patches differ: √(mean ‖f − mean f‖² / mean ‖f‖²), from 0 for patches all alike to 1.

    Args:
        values: n×d.
    """
    apart = (values - values.mean(0)).square().sum(1).mean()
    length = values.square().sum(1).mean()
    return float((apart / length).sqrt()) if length > 0 else 0.0


def normalize(values: Tensor, length: float = 8.0) -> Tensor:
    """Centre features over the picture and give every patch's vector one length.

    What all patches share says nothing about where to cut; without it, patches of different things have
    negative affinities. The length sets the scale of the network's input: at 8, ten epochs move it enough.

    Args:
        values: n×d.
        length: of each patch's vector; a patch that equals the mean stays 0.
    """
    return F.normalize(values - values.mean(0), dim=1) * length


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """The rows of an n×d matrix at length one; rows of zeros stay so."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def upsample(per_patch: np.ndarray, features: PatchFeatures, *, smooth: bool = False) -> np.ndarray:
    """Enlarge an h×w map to the picture's H×W, each pixel asking the patches whose centres are nearest.

    Patches that overlap (stride below the patch side) reach half a patch beyond the outer centres, which a
    plain resize would get wrong.

    Args:
        per_patch: h×w labels or numbers; of nearest ones also h×w×c, such as colours.
        features: the features that the map belongs to.
        smooth: interpolate between the four nearest centres (float result) instead of copying the nearest.
    """
    overlap = features.patch_size / features.stride
    rows, columns = (
        np.clip((np.arange(size) + 0.5) / size * (cells - 1 + overlap) - overlap / 2, 0, cells - 1)
        for size, cells in zip(features.image_size, features.grid, strict=True)
    )
    if not smooth:
        # half-way pixels go to the later patch: floor(x + 0.5), where np.round would alternate
        return per_patch[np.ix_((rows + 0.5).astype(int), (columns + 0.5).astype(int))]
    by_row = _interpolate(per_patch.astype(np.float32), rows)
    return _interpolate(by_row.T, columns).T


def _interpolate(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    low = np.minimum(at.astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    weight = (at - low).astype(np.float32)[:, None]
    return values[low] * (1 - weight) + values[high] * weight


def log_bin(features: PatchFeatures) -> PatchFeatures:
    """Describe each patch by its surroundings too: 17 log-spaced bins of d channels (§5, after Amir et al.).

    The patch's 3×3 neighbours as they are (9 bins, row-major), then the 8 surrounding 3×3 blocks averaged;
    beyond the border the nearest patch is taken, and averages count only patches that exist.

    Returns:
        The same features with values n×17d.
    """
    h, w = features.grid
    plain = features.values.T.reshape(1, -1, h, w)
    averaged = F.avg_pool2d(plain, 3, stride=1, padding=1, count_include_pad=False)
    rows, columns = torch.arange(h), torch.arange(w)
    bins = []
    for source, step in ((plain, 1), (averaged, 3)):
        for down in (-step, 0, step):
            for right in (-step, 0, step):
                if step == 3 and down == right == 0:
                    continue  # the centre stands in the first ring already
                near = (rows + down).clamp(0, h - 1)[:, None], (columns + right).clamp(0, w - 1)
                bins.append(source[0][:, near[0], near[1]])
    values = torch.cat(bins).flatten(1).T.contiguous()
    return PatchFeatures(**{**vars(features), "values": values})


def pca_rgb(features: PatchFeatures) -> np.ndarray:
    """View features as colours: their three leading principal components, each stretched to 0…1.

    Returns:
        h×w×3 float array. Channels beyond the rank of the features are 0.5.
    """
    values = features.values.double().cpu().numpy()
    colours = np.full((len(values), 3), 0.5)
    if np.ptp(values, axis=0).any():
        from sklearn.decomposition import PCA

        # The exact solver: the same picture gives the same colours, and scikit-learn fixes each sign
        parts = PCA(min(3, *values.shape), svd_solver="full").fit_transform(values)
        spread = np.ptp(parts, axis=0)
        visible = np.flatnonzero(spread > 1e-9 * spread.max())
        colours[:, visible] = (parts[:, visible] - parts[:, visible].min(0)) / spread[visible]
    return features.to_map(colours)
