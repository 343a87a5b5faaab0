"""Masks over their pictures: an orange line runs round what was found, a blue one round the true mask."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageFilter

from deepcut_lib.metrics import mask_iou
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import FOUND, TRUE


class Panel(NamedTuple):
    """One mask to be shown: the title, the H×W picture, the mask found, and the true mask or None."""

    title: str
    picture: Image.Image
    mask: np.ndarray
    truth: np.ndarray | None


def masks_figure(panels: Sequence[Panel], *, columns: int = 4, figure: Figure | None = None) -> Figure:
    """Masks in rows, each with its IoU under it.

    Args:
        panels: what to show, in reading order.
        columns: panels in a row.
        figure: to draw in.
    """
    rows = -(-len(panels) // columns)
    width = WIDTH * min(len(panels), columns) / columns
    tallest = max(panel.picture.height / panel.picture.width for panel in panels)
    figure = blank(figure, rows * (0.75 + WIDTH / columns * min(tallest, 1) * 0.95), width)
    places = figure.subplots(rows, min(len(panels), columns), squeeze=False)
    for empty in places.flat[len(panels) :]:
        empty.set_axis_off()
    for axes, panel in zip(places.flat, panels, strict=False):
        show_mask(axes, panel)
    return figure


def show_mask(axes: Axes, panel: Panel) -> None:
    """A panel on axes of its own."""
    show(axes, quiet(panel.picture, panel.mask), panel.title)
    outline(axes, panel.mask, FOUND)
    outline(axes, panel.truth, TRUE)
    if panel.truth is not None:
        axes.set_xlabel(f"IoU {mask_iou(panel.mask, panel.truth):.2f}", fontsize=11)


def quiet(picture: Image.Image, mask: np.ndarray) -> np.ndarray:
    """The picture in its colours where the mask is true, H×W bool, elsewhere in a few pale greys."""
    # Few tones without texture: enough to know the place by, and small to save
    tones = np.asarray(picture.convert("L").filter(ImageFilter.BoxBlur(3))) // 64
    return np.where(mask[..., None], np.asarray(picture), (165 + 20 * tones)[..., None]).astype(np.uint8)


def outline(axes: Axes, mask: np.ndarray | None, colour: tuple[float, ...]) -> None:
    """A line round a mask, H×W bool; none where there is no mask, or nothing to go round."""
    if mask is not None and mask.any() and not mask.all():
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.8)
