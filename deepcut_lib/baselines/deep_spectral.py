"""Deep Spectral Methods (Melas-Kyriazi et al., 2022): the normalised cut's eigenvectors, affinities kept."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from deepcut_lib.features import PatchFeatures, unit_rows
from deepcut_lib.foreground import foreground_box
from deepcut_lib.graphs import cut_vectors
from deepcut_lib.metrics import Box
from deepcut_lib.refinement import largest_component

NEIGHBOURS = ((20, 2.0), (10, 0.1))
"""Of the colour term: so many nearest patches, with the place in the picture weighing so much."""


@dataclass(frozen=True, eq=False)
class DeepSpectral:
    """What `deep_spectral` found.

    Attributes:
        foreground: h×w bool: where the second eigenvector is positive, on the smaller side.
        box: (x1, y1, x2, y2) round its largest 8-connected part, in pixels of the picture; the whole picture
            if it is empty.
        eigenvalues: (count,) smallest first.
        eigenvectors: count×h×w, of (D − W) v = λ D v, with vᵀ D v = 1.
    """

    foreground: np.ndarray
    box: Box
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray


def deep_spectral(
    features: PatchFeatures,
    picture: Image.Image | None = None,
    *,
    colour_weight: float = 0.0,
    count: int = 5,
) -> DeepSpectral:
    """Cut a picture by the second eigenvector of W = max(FFᵀ, 0) / max + λ · (nearest in colour and place).

    Args:
        features: a picture's features; their length does not matter.
        picture: the picture itself, for the colour term.
        colour_weight: λ. The published commands leave it at 0; inside the published function it is 10.
        count: how many eigenvectors to return, at least two.

    Raises:
        ValueError: a colour term without a picture, or fewer patches than eigenvectors.
    """
    n = len(features.values)
    if not 2 <= count <= n:
        raise ValueError(f"{n} patches have no {count} eigenvectors to use; ask for 2 to {n}")
    values = features.values.cpu().double().numpy()
    unit = unit_rows(values)
    affinity = np.maximum(unit @ unit.T, 0)
    affinity /= max(affinity.max(), 1e-12)
    if colour_weight:
        if picture is None:
            raise ValueError("the colour term needs the picture; pass it, or colour_weight=0")
        affinity += colour_weight * colour_affinity(picture, features.grid)
    eigenvalues, vectors = cut_vectors(affinity, count)
    eigenvectors = vectors.T.reshape(count, *features.grid)
    foreground = eigenvectors[1] > 0
    if foreground.mean() > 0.5:
        foreground = ~foreground
    box = foreground_box(largest_component(foreground, neighbours=8), features.image_size)
    return DeepSpectral(foreground, box, eigenvalues, eigenvectors)


def colour_affinity(picture: Image.Image, grid: tuple[int, int]) -> np.ndarray:
    """Each patch tied to the patches nearest in colour and place: n×n symmetric counts.

    A tie that holds from both ends, or under both weights of `NEIGHBOURS`, counts each time.

    Args:
        picture: RGB.
        grid: (h, w) patches; the picture is shrunk to it.
    """
    h, w = grid
    colours = np.asarray(picture.resize((w, h), Image.Resampling.BILINEAR), np.float64).reshape(-1, 3) / 255
    y, x = np.meshgrid(np.linspace(0, 1, h), np.linspace(0, 1, w), indexing="ij")
    ties = sparse.csr_array((h * w, h * w))
    for neighbours, weight in NEIGHBOURS:
        rows = np.column_stack([colours, weight * x.ravel(), weight * y.ravel()])
        nearest = NearestNeighbors(n_neighbors=min(neighbours, h * w)).fit(rows)
        ties = ties + sparse.csr_array(nearest.kneighbors_graph(rows))
    return (ties + ties.T).toarray()
