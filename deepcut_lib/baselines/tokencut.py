"""TokenCut (Wang et al., 2022): the eigenvector of the normalised cut, from a thresholded graph."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from deepcut_lib.features import PatchFeatures, unit_rows
from deepcut_lib.foreground import foreground_box
from deepcut_lib.graphs import fiedler_vector
from deepcut_lib.metrics import Box

WEAK = 1e-5
"""Weight of an edge below the threshold."""


@dataclass(frozen=True, eq=False)
class TokenCut:
    """What `tokencut` found.

    Attributes:
        foreground: h×w bool: the 4-connected part that holds the seed.
        box: (x1, y1, x2, y2) round it, in pixels of the picture.
        seed: row-major index of the patch where the eigenvector is largest in size.
        eigenvector: h×w, second-smallest of (D − W) v = λ D v, positive at the seed.
    """

    foreground: np.ndarray
    box: Box
    seed: int
    eigenvector: np.ndarray


def tokencut(features: PatchFeatures, tau: float = 0.2) -> TokenCut:
    """Cut a picture in two by the second eigenvector.

    Args:
        features: a picture's features.
        tau: cosines above it weigh 1, others `WEAK`.
    """
    values = features.values.cpu().double().numpy()
    unit = unit_rows(values)
    affinity = np.where(unit @ unit.T > tau, 1.0, WEAK)
    _, vector = fiedler_vector(torch.from_numpy(affinity))
    seed = int(np.abs(vector).argmax())
    if vector[seed] < vector.mean():  # the eigenvector's sign is free: the seed is on the foreground's side
        vector = -vector
    eigenvector = features.to_map(vector)
    parts, _ = ndimage.label(eigenvector > eigenvector.mean())
    foreground = parts == parts.ravel()[seed]
    return TokenCut(foreground, foreground_box(foreground, features.image_size), seed, eigenvector)
