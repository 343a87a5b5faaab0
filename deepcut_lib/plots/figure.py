"""What all figures share: a canvas of their own or a given one, and axes without ticks for pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 8.4
"""Width of a figure in inches: fits a JupyterLab window of 1280 pixels beside its file browser."""


def blank(figure: Figure | None, height: float, width: float = WIDTH) -> Figure:
    """An empty figure of this size in inches: a new one, or the given one cleared for the next drawing.

    Args:
        figure: to draw in, as an explorer gives it, or None.
        height: in inches.
        width: in inches.
    """
    if figure is None:
        return Figure(figsize=(width, height), layout="constrained")
    figure.clear()
    return figure


def show(axes: Axes, picture: Any, title: str = "", **options: Any) -> None:
    """A picture or map on axes without ticks.

    Args:
        axes: to draw on.
        picture: a PIL picture, or an array as `Axes.imshow` takes it.
        title: above it.
        **options: of `Axes.imshow`.
    """
    axes.imshow(np.asarray(picture), **options)
    axes.set_title(title, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])


def picture_row(
    pictures: Sequence[Any], titles: Sequence[str], *, figure: Figure | None = None, **options: Any
) -> Figure:
    """Pictures or maps side by side under their titles; options are those of `Axes.imshow`."""
    figure = blank(figure, 0.5 + WIDTH / max(len(pictures), 3))
    axes = figure.subplots(1, len(pictures), squeeze=False)[0]
    for panel, picture, title in zip(axes, pictures, titles, strict=True):
        show(panel, picture, title, **options)
    return figure
