"""Pictures of results: clusters, masks and boxes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from scipy import ndimage

from deepcut_lib.features import upsample
from deepcut_lib.metrics import Box
from deepcut_lib.plots.figure import blank, show
from deepcut_lib.plots.style import FOUND, PALETTE
from deepcut_lib.segmentation import Segmentation


def label_picture(segmentation: Segmentation) -> Image.Image:
    """The clusters in colours, at the picture's size; colours repeat after ten clusters."""
    colours = PALETTE[segmentation.labels % len(PALETTE)]
    return Image.fromarray(upsample(colours, segmentation.features))


def overlay(picture: Image.Image, mask: np.ndarray, box: Box | None = None) -> Image.Image:
    """The picture with its background greyed, the mask outlined, and the box drawn.

    Args:
        picture: H×W RGB.
        mask: H×W bool.
        box: (x1, y1, x2, y2), or None.
    """
    pixels = np.asarray(picture)
    grey = (pixels @ np.full(3, 0.15, np.float32) + 120).astype(np.uint8)
    shown = np.where(mask[..., None], pixels, grey[..., None])
    thickness = max(round(max(mask.shape) / 250), 1)
    inner = ndimage.binary_erosion(mask, iterations=thickness)
    colour = [round(255 * channel) for channel in FOUND]
    shown[mask & ~inner] = colour
    result = Image.fromarray(shown)
    if box is not None:
        corners = (box[0], box[1], box[2] - 1, box[3] - 1)
        ImageDraw.Draw(result).rectangle(corners, outline=tuple(colour), width=2 * thickness)
    return result


def results_figure(
    pictures: Sequence[Image.Image], segmentations: Sequence[Segmentation], titles: Sequence[str]
) -> Figure:
    """A row for the pictures, one for their clusters and one for their foreground."""
    figure = blank(None, 5.4, 2.1 * len(pictures))
    axes = figure.subplots(3, len(pictures), squeeze=False)
    for column, picture, segmentation, title in zip(axes.T, pictures, segmentations, titles, strict=True):
        foreground = overlay(picture, segmentation.mask, segmentation.box)
        for axis, shown in zip(column, (picture, label_picture(segmentation), foreground), strict=True):
            show(axis, shown)
        column[0].set_title(title, fontsize=12)
    for axis, name in zip(axes[:, 0], ("picture", "clusters", "foreground and box"), strict=True):
        axis.set_ylabel(name, fontsize=12)
    return figure
