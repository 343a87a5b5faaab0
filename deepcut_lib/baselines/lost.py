"""LOST (Siméoni et al., 2021): the patch that resembles fewest others, and what resembles it."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from deepcut_lib.features import PatchFeatures
from deepcut_lib.foreground import foreground_box
from deepcut_lib.metrics import Box


@dataclass(frozen=True, eq=False)
class Lost:
    """What `lost` found.

    Attributes:
        foreground: h×w bool: the 4-connected part of the seed's relatives that holds the seed.
        box: (x1, y1, x2, y2) round it, in pixels of the picture; the whole picture if it is empty.
        seed: row-major index of the patch of least degree.
        degrees: h×w, how many other patches each patch is positively correlated with.
    """

    foreground: np.ndarray
    box: Box
    seed: int
    degrees: np.ndarray


def lost(features: PatchFeatures, k: int = 100) -> Lost:
    """Find one object: patches of an object correlate with few others, those of the background with many.

    Args:
        features: a picture's features; the published code takes a ViT's raw keys.
        k: how many patches of least degree may be joined to the seed.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    values = features.values.cpu().numpy()
    gram = values @ values.T
    degrees = (gram > 0).sum(axis=1) - (gram.diagonal() > 0)
    # Of equals the patch with the longest feature comes first; the published code leaves it to the sort
    order = np.lexsort((-gram.diagonal(), degrees))
    seed = int(order[0])
    candidates = order[:k]
    similar = candidates[gram[seed, candidates] > 0]
    related = features.to_map(gram[similar].sum(axis=0)) > 0
    parts, _ = ndimage.label(related)
    foreground = related & (parts == parts.ravel()[seed])
    return Lost(foreground, foreground_box(foreground, features.image_size), seed, features.to_map(degrees))
