"""Sharper masks: the bilateral solver, for hard masks and for soft ones; the largest connected component."""

import math
from typing import Literal

import numpy as np
from PIL import Image
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg

from deepcut_lib.images import ImageLike, load_image
from deepcut_lib.parameters import check_positive, check_whole

_TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def bilateral_solver(
    image: ImageLike,
    mask: np.ndarray,
    *,
    sigma_xy: float = 24,
    sigma_luma: float = 4,
    sigma_chroma: float = 4,
    smoothness: float = 256,
    confidence: float | np.ndarray = 0.999,
    iterations: int = 25,
) -> np.ndarray:
    """Pull a mask's edge onto the picture's edges (Barron and Poole, "The Fast Bilateral Solver", 2016).

    Pixels alike in place and colour share a vertex of a bilateral grid. On its vertices, the least of
    ``smoothness`` × (differences of neighbours) + ``confidence`` × (distance from the mask) is found by
    conjugate gradients. The paper's settings are the defaults; TokenCut's are σ 16, 16, 8.

    Args:
        image: H×W RGB picture.
        mask: H×W, bool or in 0…1.
        sigma_xy: width of the grid's cells in pixels.
        sigma_luma: their width in brightness (0…255).
        sigma_chroma: their width in each of the two colour differences (0…255).
        smoothness: λ.
        confidence: trust in the mask, positive; one number, or H×W of them.
        iterations: most steps of conjugate gradients.

    Returns:
        Soft mask, H×W float32 in 0…1.

    Raises:
        ValueError: picture and mask differ in size, or a parameter is out of range.
    """
    sigmas = {"sigma_xy": sigma_xy, "sigma_luma": sigma_luma, "sigma_chroma": sigma_chroma}
    trust = np.broadcast_to(np.asarray(confidence, np.float64), np.shape(confidence) or mask.shape)
    for name, value in {**sigmas, "smoothness": smoothness}.items():
        check_positive(name, value)
    for extreme in (trust.min(initial=1), trust.max(initial=1)):
        check_positive("confidence", float(extreme))
    check_whole("iterations", iterations, 1)
    pixels = np.asarray(load_image(image))
    _check_sizes(pixels.shape[:2], mask)
    if trust.shape != mask.shape:
        raise ValueError(
            f"the confidence is {trust.shape}, but the mask {mask.shape}; give one for each pixel"
        )
    cells = [(side / sigma_xy + 3) for side in mask.shape]
    cells += [256 / sigma + 3 for sigma in (sigma_luma, sigma_chroma, sigma_chroma)]
    if math.prod(cells) >= 2**63:
        raise ValueError(f"the grid of sigmas {list(sigmas.values())} has too many cells; take larger ones")
    vertex_of, blur = _bilateral_grid(pixels, sigma_xy, sigma_luma, sigma_chroma)
    mass, scale = _bistochastic(np.bincount(vertex_of).astype(np.float64), blur)

    # The splat, sums over each vertex's pixels, and in the end the slice, each pixel's vertex
    weight = np.bincount(vertex_of, trust.ravel())
    data = np.bincount(vertex_of, np.asarray(mask, np.float64).ravel() * trust.ravel())
    rescale = sparse.diags_array(scale)
    matrix = smoothness * (sparse.diags_array(mass) - rescale @ blur @ rescale) + sparse.diags_array(weight)
    jacobi = sparse.diags_array(1 / np.maximum(matrix.diagonal(), 1e-5))
    solution, _ = cg(matrix, data, x0=data / weight, rtol=1e-5, maxiter=iterations, M=jacobi)
    return np.clip(solution, 0, 1).astype(np.float32)[vertex_of].reshape(mask.shape)


def refine_mask(image: Image.Image, mask: np.ndarray) -> np.ndarray:
    """Sharpen a hard mask as was published: the solver at full size, cut at one half, holes filled.

    Args:
        image: H×W RGB picture.
        mask: H×W bool.

    Returns:
        H×W bool, the largest connected part; a mask that the solver dissolves is returned as it came.
    """
    solved = ndimage.binary_fill_holes(bilateral_solver(image, mask) > 0.5)
    return largest_component(solved) if solved.any() else mask


SOLVER_SIDE = 300
"""The longest side, in pixels, at which soft masks are refined: objects have edges there, texture none."""

SOLVER_SIGMA_COLOUR = 8.0
"""Width of the grid's cells in brightness and in each colour difference, for soft masks."""


def refine_soft(
    image: Image.Image, probability: np.ndarray, *, sigma_xy: float = 24.0, smoothness: float = 256.0
) -> np.ndarray:
    """Sharpen a soft mask: `solve_soft`, cut at one half, holes filled.

    Args and errors: as `solve_soft`.

    Returns:
        H×W bool; where the solver leaves nothing, p cut at one half.
    """
    return harden(solve_soft(image, probability, sigma_xy=sigma_xy, smoothness=smoothness), probability)


def harden(solved: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """What `solve_soft` gave, cut at one half, holes filled; p cut at one half where that leaves nothing."""
    sharp = ndimage.binary_fill_holes(solved > 0.5)
    return sharp if sharp.any() else probability > 0.5


def solve_soft(
    image: Image.Image, probability: np.ndarray, *, sigma_xy: float = 24.0, smoothness: float = 256.0
) -> np.ndarray:
    """Pull a soft mask onto the picture's edges by the bilateral solver, and leave it soft.

    Pixels are trusted as far as they are sure: p is stretched (see `stretch`), and the confidence is
    (2p − 1)² + 0.001, so that where the clustering wavers the picture's edges decide. The picture is shrunk
    to `SOLVER_SIDE` for this.

    Args:
        image: H×W RGB picture.
        probability: p, H×W in 0…1 (or bool): how likely each pixel is foreground.
        sigma_xy: width of the solver's cells in pixels of the shrunken picture.
        smoothness: its λ. Together they say how far an edge may move: the defaults suit clusters, whose
            masks are a patch or more too wide; tight masks lose thin parts by them, see `PRIOR_RECIPE`.

    Returns:
        H×W float32 in 0…1.

    Raises:
        ValueError: picture and p differ in size.
    """
    _check_sizes((image.height, image.width), probability)
    height, width = probability.shape
    scale = min(SOLVER_SIDE / max(height, width), 1)
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    soft = Image.fromarray(probability.astype(np.float32)).resize(small, Image.Resampling.BILINEAR)
    target = stretch(np.asarray(soft))
    solved = bilateral_solver(
        image.resize(small, Image.Resampling.LANCZOS),
        target,
        confidence=(2 * target - 1) ** 2 + 0.001,
        sigma_xy=sigma_xy,
        sigma_luma=SOLVER_SIGMA_COLOUR,
        sigma_chroma=SOLVER_SIGMA_COLOUR,
        smoothness=smoothness,
    )
    return np.asarray(Image.fromarray(solved).resize((width, height), Image.Resampling.BILINEAR))


def stretch(probability: np.ndarray) -> np.ndarray:
    """p stretched on both sides of ½ until the surest pixels reach 0 and 1: float32.

    The surest of either kind counts as sure: a network of few epochs says little of one, or of both.
    """
    apart = probability - np.float32(0.5)
    inside, outside = max(apart.max(), 1e-6), max(-apart.min(), 1e-6)
    return (0.5 + 0.5 * np.where(apart > 0, apart / inside, apart / outside)).astype(np.float32)


def largest_component(mask: np.ndarray, *, neighbours: Literal[4, 8] = 4) -> np.ndarray:
    """The largest connected part of a bool map; the first one in reading order where two are equal.

    Args:
        mask: h×w bool.
        neighbours: of a cell: 4 share an edge with it, 8 a corner at least.
    """
    parts, count = ndimage.label(mask, ndimage.generate_binary_structure(2, 1 if neighbours == 4 else 2))
    if count <= 1:
        return mask
    sizes = np.bincount(parts.ravel())
    return parts == 1 + sizes[1:].argmax()


def _check_sizes(picture: tuple[int, ...], mask: np.ndarray) -> None:
    if picture != mask.shape:
        raise ValueError(f"the picture is {picture} (height, width), but the mask {mask.shape}")


def _bilateral_grid(
    pixels: np.ndarray, sigma_xy: float, sigma_luma: float, sigma_chroma: float
) -> tuple[np.ndarray, sparse.csr_array]:
    """The vertex of each pixel, (H·W,), and the blur between neighbouring vertices."""
    height, width, _ = pixels.shape
    # Grey pixels lie exactly between two cells: this form of the product rounds them as the published code;
    # it takes twice as long with integers
    yuv = np.tensordot(pixels.astype(np.float64), _TO_YUV, ([2], [1])) + np.array([0.0, 128.0, 128.0])
    axes = [
        np.arange(width) / sigma_xy,
        np.arange(height)[:, None] / sigma_xy,
        yuv[..., 0] / sigma_luma,
        yuv[..., 1] / sigma_chroma,
        yuv[..., 2] / sigma_chroma,
    ]
    # One number for each cell, with room for a neighbour at the end of every axis
    number = np.zeros((height, width), np.int64)
    steps = []
    step = 1
    for cells in axes:
        steps.append(step)
        number += step * cells.astype(np.int64)
        step *= int(cells.max()) + 2
    if step < 2**31:
        number = number.astype(np.int32)  # sorted faster
    vertices, vertex_of = np.unique(number, return_inverse=True)
    vertex_of = vertex_of.ravel()
    count = len(vertices)
    rows, columns = [], []
    for step in steps:
        neighbour = np.searchsorted(vertices, vertices + step)
        exists = np.flatnonzero(vertices[np.minimum(neighbour, count - 1)] == vertices + step)
        rows += [exists, neighbour[exists]]
        columns += [neighbour[exists], exists]
    pairs = np.concatenate(rows), np.concatenate(columns)
    blur = sparse.csr_array((np.ones(len(pairs[0])), pairs), shape=(count, count))
    blur += sparse.csr_array(2 * len(axes) * sparse.eye_array(count))
    return vertex_of, blur


def _bistochastic(pixels: np.ndarray, blur: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Masses and scales that make the blur preserve mass, ten fixed-point steps (the paper's appendix).

    Args:
        pixels: how many each vertex has, float64.
        blur: between vertices.
    """
    scale = np.ones_like(pixels)
    for _ in range(10):
        scale = np.sqrt(scale * pixels / (blur @ scale))
    return scale * (blur @ scale), scale
