"""What all figures share: a canvas of their own or a given one, how a notebook shows them, and axes without
ticks for pictures."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

WIDTH = 8.4
"""Width of a figure in inches: fits a JupyterLab window of 1280 pixels beside its file browser."""


class SharpFigure(Figure):
    """A figure that a notebook shows sharply on every screen.

    Where it holds pictures or maps, at twice its size in pixels, as PNG or JPEG, whichever is smaller.
    Where it does not, as SVG, with a PNG beside it: JupyterLab shows no SVG of a notebook not trusted yet.
    """

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = sharp(self)
        display(data, metadata=metadata, raw=True)


def sharp(figure: Figure) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """A figure by MIME types, for a notebook's output, and the sizes at which it is to be shown."""
    data = {"text/plain": repr(figure)}
    if not any(axes.images for axes in figure.axes):
        # Names inside an SVG are drawn at random unless told: the same figure is to give the same file
        with rc_context({"svg.hashsalt": "deepcut"}):
            data["image/svg+xml"] = _saved(figure, "svg", metadata={"Date": None}).decode()
        return data | {"image/png": b64encode(_saved(figure, "png")).decode()}, {}
    dots = 2 * figure.dpi
    png = _saved(figure, "png", dpi=dots)
    jpeg = _saved(figure, "jpeg", dpi=dots, pil_kwargs={"quality": 85, "subsampling": 0, "optimize": True})
    kind, content = min(("image/png", png), ("image/jpeg", jpeg), key=lambda pair: len(pair[1]))
    with Image.open(BytesIO(content)) as picture:
        size = {"width": picture.width // 2, "height": picture.height // 2}
    return data | {kind: b64encode(content).decode()}, {kind: size}


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    content = BytesIO()
    figure.savefig(content, format=kind, bbox_inches="tight", **options)
    return content.getvalue()


def blank(figure: Figure | None, height: float, width: float = WIDTH) -> Figure:
    """An empty figure of this size in inches: a new one, or the given one cleared for the next drawing.

    Args:
        figure: to draw in, as an explorer gives it, or None.
        height: in inches.
        width: in inches.
    """
    if figure is None:
        return SharpFigure(figsize=(width, height), layout="constrained")
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
