"""How much of each pixel is foreground: alpha and colours from a soft assignment, I = αF + (1 − α)B.

The paper stops at masks. Here S goes on: where it is sure, and away from the mask's edge, α is 0 or 1; what
lies between, the trimap's unknown pixels, is found from the picture's colours.
"""

import importlib
import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from deepcut_lib.errors import DeepCutError
from deepcut_lib.features import upsample
from deepcut_lib.files import write_whole
from deepcut_lib.images import ImageLike, fit_image, load_image
from deepcut_lib.refinement import SOLVER_SIGMA_COLOUR, bilateral_solver, stretch
from deepcut_lib.segmentation import Segmentation, segment

Method: TypeAlias = Literal["solver", "closed-form", "knn"]

METHODS = get_args(Method)
"""What finds α between what is sure: the bilateral solver, or one of two methods of pymatting."""

BAND = 0.016
"""Width of what is unknown on either side of the mask's edge, in longest sides of the picture."""

MARGIN = 0.3
"""Least 2p − 1, or 1 − 2p, of a patch that is sure, p being its stretched probability of foreground."""

SIGMA_XY, SMOOTHNESS = 12.0, 16.0
"""Of the bilateral solver that finds α: width of the grid's cells in pixels, and λ."""

REACHES = (0.1, 0.1, 0.01)
"""How far colours are looked for, in longest sides of the picture: first far, then near."""

FITS = 4
"""How often the equation is fitted each time: colours that leave 0…1 are cut off, which breaks it again."""

MATTE_SIDE = 1024
"""Longest side, in pixels, at which α is found; larger pictures are shrunk for it."""

UNKNOWN = 128
"""In a trimap, whose other values are 0 and 255, what is to be found."""

_PYMATTING = {"closed-form": "estimate_alpha_cf", "knn": "estimate_alpha_knn"}


class PyMattingMissingError(DeepCutError, RuntimeError):
    """The package pymatting is not installed."""


@dataclass(frozen=True, eq=False)
class Matte:
    """A picture taken apart, I = αF + (1 − α)B.

    Attributes:
        alpha: α, H×W float32 in 0…1, how much of each pixel is foreground.
        foreground: F, H×W×3 float32 in 0…1, its colours, going on where there is none.
        background: B, the same of what lies behind.
        trimap: H×W uint8, what α was found from: 255 foreground, 0 background, 128 unknown.
        segmentation: what `segment` found.
    """

    alpha: np.ndarray
    foreground: np.ndarray
    background: np.ndarray
    trimap: np.ndarray
    segmentation: Segmentation

    def picture(self) -> Image.Image:
        """The foreground alone, RGBA: its colours, and α as opacity; black where that is 0."""
        layers = _bytes(np.dstack([self.foreground, self.alpha]))
        layers[layers[..., 3] == 0] = 0
        return Image.fromarray(layers)

    def over(self, background: ImageLike) -> Image.Image:
        """The foreground before something else, αF + (1 − α)B′: RGB, H×W.

        Args:
            background: a picture, which is resized to H×W.

        Raises:
            ImageError: it cannot be used.
        """
        behind = np.asarray(fit_image(load_image(background), self.alpha.shape), np.float32) / 255
        return Image.fromarray(_bytes(blend(self.alpha, self.foreground, behind)))

    def save(self, path: str | PathLike[str]) -> None:
        """Write `picture` as a PNG file, whole or not at all.

        Raises:
            DeepCutError: it cannot be written.
        """
        buffer = io.BytesIO()
        self.picture().save(buffer, "PNG")
        write_whole(Path(path), buffer.getvalue())


def matte(image: ImageLike, *, method: Method = "solver", **options: Any) -> Matte:
    """Segment a picture, and find how much of each pixel is foreground.

    Args:
        image: a path, PIL picture or array.
        method: what finds α where the trimap is unknown, see `METHODS`: "closed-form" (Levin, Lischinski and
            Weiss, 2008) and "knn" (Chen, Li and Tang, 2013) need pymatting, "solver" needs nothing.
        **options: what `segment` takes, but for ``refine``: α begins at the refined mask.

    Raises:
        PyMattingMissingError: the method needs pymatting, and it is not installed.
        ImageError: as `segment`.
        ValueError: as `segment`; or there is no such method.
    """
    check_method(method)
    picture = load_image(image)
    return matte_of(picture, segment(picture, refine=True, **options), method=method)


def matte_of(picture: Image.Image, segmentation: Segmentation, *, method: Method = "solver") -> Matte:
    """The matte of a picture that is segmented already, best with a refined mask.

    Args:
        picture: H×W RGB.
        segmentation: of this picture.
        method: as for `matte`, as are the errors.
    """
    trimap = trimap_of(segmentation)
    alpha = solve_alpha(picture, trimap, method=method)
    foreground, background = colours_of(picture, alpha)
    return Matte(alpha, foreground, background, trimap, segmentation)


def check_method(method: str) -> None:
    """See that there is such a method, and what it needs.

    Raises:
        ValueError: there is none.
        PyMattingMissingError: it needs pymatting, and it is not installed.
    """
    if method not in METHODS:
        raise ValueError(f"the method must be one of {', '.join(METHODS)}, not {method!r}")
    if method in _PYMATTING:
        _pymatting()


def trimap_of(segmentation: Segmentation) -> np.ndarray:
    """What is surely foreground, surely background, and unknown, by S and by the mask.

    Sure is what lies further than `BAND` from the mask's edge, on whose side S is with a margin of at least
    `MARGIN`. Something of either kind is always sure, the deepest pixels if need be; a mask of all or of
    nothing has no edge, and leaves nothing unknown.

    Returns:
        H×W uint8: 255, 0, or `UNKNOWN`.
    """
    mask = segmentation.mask
    if mask.all() or not mask.any():
        return np.where(mask, 255, 0).astype(np.uint8)
    p = stretch(upsample(segmentation.probability, segmentation.features, smooth=True))
    band = max(BAND * max(mask.shape), 1.5)
    trimap = np.full(mask.shape, UNKNOWN, np.uint8)
    for value, side, sure in ((0, ~mask, 1 - p), (255, mask, p)):
        depth = ndimage.distance_transform_edt(side)
        known = (depth > band) & (2 * sure - 1 >= MARGIN)
        trimap[known if known.any() else depth == depth.max()] = value
    return trimap


def solve_alpha(picture: Image.Image, trimap: np.ndarray, *, method: Method = "solver") -> np.ndarray:
    """α of a picture whose trimap is known, from `trimap_of` or drawn by hand.

    Args:
        picture: H×W RGB; one of more than `MATTE_SIDE` is shrunk for this.
        trimap: H×W uint8: 255 foreground, 0 background, all between unknown.
        method: as for `matte`.

    Returns:
        H×W float32 in 0…1; what the trimap knows stays as it is, and without anything known of either
        kind, what is unknown is one half.

    Raises:
        ValueError: picture and trimap differ in size, or there is no such method.
        PyMattingMissingError: it needs pymatting, and it is not installed.
    """
    check_method(method)
    if trimap.shape != (picture.height, picture.width):
        raise ValueError(
            f"the picture is {(picture.height, picture.width)} (height, width), but the trimap {trimap.shape}"
        )
    scale = min(MATTE_SIDE / max(trimap.shape), 1)
    small = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    shrunk = picture.resize(small, Image.Resampling.LANCZOS)
    hints = np.asarray(Image.fromarray(trimap).resize(small, Image.Resampling.NEAREST))
    hints = np.where((hints == 0) | (hints == 255), hints / 255, 0.5)
    known = (trimap == 0) | (trimap == 255)
    if known.all() or not ((hints == 0).any() and (hints == 1).any()):
        return np.where(known, trimap / 255, 0.5).astype(np.float32)
    if method == "solver":
        solved = bilateral_solver(
            shrunk,
            hints,
            sigma_xy=SIGMA_XY,
            sigma_luma=SOLVER_SIGMA_COLOUR,
            sigma_chroma=SOLVER_SIGMA_COLOUR,
            smoothness=SMOOTHNESS,
            confidence=np.where(hints == 0.5, 0.001, 1),
        )
    else:
        estimate = getattr(_pymatting(), _PYMATTING[method])
        grown = [(0, max(3 - side, 0)) for side in hints.shape]  # its windows are 3×3
        pixels = np.pad(np.asarray(shrunk) / 255, [*grown, (0, 0)], mode="edge")
        solved = estimate(pixels, np.pad(hints, grown, mode="edge"))[: hints.shape[0], : hints.shape[1]]
        solved = np.ascontiguousarray(np.clip(solved, 0, 1), np.float32)
    enlarged = Image.fromarray(solved).resize(picture.size, Image.Resampling.BILINEAR)
    return np.where(known, trimap / 255, np.asarray(enlarged)).astype(np.float32)


def colours_of(picture: Image.Image, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F and B, H×W×3 float32 in 0…1, such that αF + (1 − α)B is the picture.

    Both are first the means of their surroundings, weighted by α² and (1 − α)²; then the least change of the
    two that makes the equation hold; and all again from there, the last time within a smaller reach. Means
    in place of a system of equations: after Forte, "Approximate fast foreground colour estimation", 2021.

    Args:
        picture: I, H×W RGB.
        alpha: H×W in 0…1.
    """
    pixels = np.asarray(picture, np.float32) / 255
    share = alpha[..., None].astype(np.float32)
    shares, layers = (share, 1 - share), [pixels, pixels]
    for reach in REACHES:
        width = 2 * max(round(reach * max(alpha.shape)), 1) + 1
        layers = [_mean_around(layer, share**2, width) for layer, share in zip(layers, shares, strict=True)]
        for _ in range(FITS):
            missing = (pixels - blend(alpha, *layers)) / (shares[0] ** 2 + shares[1] ** 2)
            layers = [
                np.clip(layer + share * missing, 0, 1) for layer, share in zip(layers, shares, strict=True)
            ]
    return layers[0], layers[1]


def _mean_around(layer: np.ndarray, weight: np.ndarray, width: int) -> np.ndarray:
    """Weighted mean of each pixel's square surroundings; where they weigh nothing, the pixel as it is."""
    total, summed = (
        ndimage.uniform_filter(values, (width, width, 1), mode="nearest")
        for values in (weight, weight * layer)
    )
    return np.where(total > 1e-4, summed / np.maximum(total, 1e-4), layer)


def blend(alpha: np.ndarray, foreground: np.ndarray, background: np.ndarray) -> np.ndarray:
    """αF + (1 − α)B, H×W×3, of α, H×W, and two layers of colours, H×W×3."""
    share = alpha[..., None]
    return share * foreground + (1 - share) * background


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _pymatting() -> Any:
    threads = torch.get_num_threads()
    try:
        module = importlib.import_module("pymatting")
    except ImportError as error:
        raise PyMattingMissingError(
            "pymatting is not installed; pip install -e '.[matting]' installs it, and the method 'solver' "
            "does without"
        ) from error
    torch.set_num_threads(threads)  # its numba starts OpenMP with a thread for each core
    return module
