"""Figures of lesson 5: masks, what the bilateral solver does to them, and scores over a set of pictures.

In pictures an orange line runs round what was found, a blue one round the true mask.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from deepcut_lib.features import upsample
from deepcut_lib.lessons.common.masks import Panel, outline, quiet, show_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import COLOURS, FOUND, MARKERS, PALETTE, SIGNED, TRUE
from deepcut_lib.segmentation import Segmentation


def prior_figure(
    pictures: Sequence[Image.Image], priors: Sequence[np.ndarray], *, figure: Figure | None = None
) -> Figure:
    """Pictures above what a foreground prior says of their patches: orange likely, purple unlikely, white ½.

    A picture keeps its colours where the prior is above ½.

    Args:
        pictures: H×W each.
        priors: h×w each, in 0…1.
        figure: to draw in.
    """
    figure = blank(figure, 0.8 * WIDTH / len(pictures) * 1.5, 0.8 * WIDTH)
    places = figure.subplots(2, len(pictures), squeeze=False)
    for (above, below), picture, prior in zip(places.T, pictures, priors, strict=True):
        extent = (0, picture.width, picture.height, 0)
        likely = Image.fromarray(prior > 0.5).resize(picture.size, Image.Resampling.NEAREST)
        show(above, quiet(picture, np.asarray(likely)))
        below.imshow(2 * prior - 1, cmap=SIGNED.cmap, norm=SIGNED.norm, extent=extent)
        below.set_axis_off()
    return figure


def segmentation_figure(
    picture: Image.Image,
    segmentation: Segmentation,
    truth: np.ndarray | None = None,
    *,
    figure: Figure | None = None,
) -> Figure:
    """A picture's way to its mask: clusters, the foreground's patches enlarged, and the mask in the end.

    Args:
        picture: H×W RGB.
        segmentation: of the picture.
        truth: the true mask, H×W bool, or None.
        figure: to draw in.
    """
    figure = blank(figure, 2.4)
    axes = figure.subplots(1, 4)
    labels, kept = segmentation.labels, segmentation.foreground
    height, width = segmentation.features.grid
    show(axes[0], picture, f"picture, {height}×{width} patches")
    outline(axes[0], truth, TRUE)
    colours = PALETTE[labels % len(PALETTE)].astype(float)
    pale = np.where(kept[..., None], colours, 0.3 * colours + 0.7 * 255)
    title = f"{segmentation.n_clusters} clusters, {len(np.unique(labels[kept]))} kept"
    show(axes[1], upsample(pale.astype(np.uint8), segmentation.features), title, interpolation="nearest")
    show_mask(axes[2], Panel("coarse mask", picture, segmentation.coarse_mask, truth))
    show_mask(axes[3], Panel("final mask", picture, segmentation.mask, truth))
    return figure


def enlarging_figure(
    foreground: np.ndarray,
    copied: np.ndarray,
    blended: np.ndarray,
    truth: np.ndarray,
    *,
    figure: Figure | None = None,
) -> Figure:
    """A few patches enlarged to pixels in two ways, beside the true mask.

    Args:
        foreground: h×w bool.
        copied: H×W bool, each pixel as its patch.
        blended: H×W in 0…1, interpolated between the patches' centres.
        truth: H×W bool.
        figure: to draw in.
    """
    figure = blank(figure, 2.9)
    axes = figure.subplots(1, 4)
    plain = {"cmap": ListedColormap(["white", FOUND]), "vmin": 0, "vmax": 1}
    show(axes[0], foreground, "four patches", **plain)
    show(axes[1], copied, "copied", **plain)
    show(axes[2], blended, "interpolated", cmap="viridis", vmin=0, vmax=1)
    show(axes[3], blended > 0.5, "above one half", **plain)
    for (row, column), value in np.ndenumerate(foreground.astype(int)):
        axes[0].text(column, row, str(value), ha="center", va="center", fontsize=14)
    for (row, column), value in np.ndenumerate(blended):
        if row % 2 == column % 2 == 0:  # each pixel's number would be too small to read
            ink = "black" if value > 0.6 else "white"
            axes[2].text(column, row, f"{value:.2f}".lstrip("0"), ha="center", va="center", color=ink)
    for panel in axes[[1, 3]]:
        _grid(panel, truth.shape)
        _boundary(panel, truth)
    axes[1].set_xlabel(f"IoU {mask_iou(copied, truth):.2f}", fontsize=11)
    axes[3].set_xlabel(f"IoU {mask_iou(blended > 0.5, truth):.2f}", fontsize=11)
    return figure


def category_figure(
    scores: Mapping[str, np.ndarray], categories: Sequence[str], *, figure: Figure | None = None
) -> Figure:
    """Each picture's score by category and method: a dot for each picture, a bar for the median.

    Args:
        scores: one number for each picture, by method.
        categories: of each picture.
        figure: to draw in.
    """
    figure = blank(figure, 3.8)
    axes = figure.subplots()
    kinds = list(dict.fromkeys(categories))
    of = np.array(categories)
    step = 0.8 / len(scores)
    for index, values in enumerate(scores.values()):
        colour = COLOURS[index]
        for at, kind in enumerate(kinds):
            mine = np.sort(values[of == kind])
            centre = at + step * (index - (len(scores) - 1) / 2)
            # Spread in order of the score, not at random: the same figure each time
            across = centre + step * 0.3 * np.sin(2.4 * np.arange(len(mine)))
            axes.plot(across, mine, MARKERS[index], color=colour, markersize=4, alpha=0.7)
            axes.hlines(np.median(mine), centre - 0.4 * step, centre + 0.4 * step, color="black", linewidth=3)
    handles = [
        Line2D([], [], color=COLOURS[index], marker=MARKERS[index], linestyle="none", label=method)
        for index, method in enumerate(scores)
    ]
    handles.append(Line2D([], [], color="black", linewidth=3, label="median"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=11)
    axes.set_xticks(range(len(kinds)), [f"{kind} ({(of == kind).sum()})" for kind in kinds], fontsize=11)
    axes.set_ylabel("foreground IoU", fontsize=11)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(axis="y", alpha=0.3)
    return figure


def row_figure(
    brightness: np.ndarray,
    target: np.ndarray,
    solutions: Mapping[str, np.ndarray],
    *,
    figure: Figure | None = None,
) -> Figure:
    """A row of pixels: how bright they are, the mask they were given, and masks smoothed by brightness.

    Args:
        brightness: of each pixel, 0…255.
        target: the given mask, 0 or 1.
        solutions: smoothed masks by name.
        figure: to draw in.
    """
    figure = blank(figure, 3.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3.2))
    top.imshow(brightness[None], cmap="gray", vmin=0, vmax=255, aspect="auto")
    for at, value in enumerate(brightness):
        top.text(at, 0, f"{value:.0f}", ha="center", va="center", color="white" if value < 128 else "black")
    top.set_yticks([])
    top.set_ylabel("brightness", rotation=0, ha="right", va="center", fontsize=11)
    places = np.arange(len(target))
    bottom.step(places, target, where="mid", color="black", linewidth=2, label="given mask")
    for index, (name, values) in enumerate(solutions.items()):
        bottom.plot(
            places, values, MARKERS[index], color=COLOURS[index], linestyle="-", markersize=8, label=name
        )
    bottom.axhline(0.5, color="0.5", linestyle=":")
    bottom.set_xticks(places)
    bottom.set_xlabel("pixel", fontsize=11)
    bottom.set_ylabel("mask value", fontsize=11)
    bottom.legend(loc="lower left", fontsize=11)
    return figure


def profile_figure(
    picture: Image.Image,
    coarse: np.ndarray,
    soft: np.ndarray,
    truth: np.ndarray,
    row: int,
    *,
    figure: Figure | None = None,
) -> Figure:
    """One row of a picture's pixels: the mask before and after the solver.

    Args:
        picture: H×W RGB.
        coarse: H×W bool, before.
        soft: H×W in 0…1, the solver's.
        truth: H×W bool.
        row: which row of pixels.
        figure: to draw in.
    """
    figure = blank(figure, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    show(left, quiet(picture, coarse))
    outline(left, coarse, FOUND)
    left.axhline(row, color=COLOURS[3], linewidth=2, linestyle="--")
    left.set_xlabel("orange: coarse mask; dashed: the row", fontsize=10)
    across = np.arange(truth.shape[1])
    right.fill_between(across, truth[row], step="mid", color=TRUE, alpha=0.25, label="true")
    right.step(across, coarse[row], where="mid", color=FOUND, linewidth=2, label="coarse")
    right.plot(across, soft[row], color="black", linewidth=1.5, label="solver")
    right.axhline(0.5, color="0.5", linestyle=":")
    right.set_xlabel("pixel of the row", fontsize=11)
    right.set_ylabel("mask value", fontsize=11)
    right.set_ylim(-0.05, 1.05)
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=11)
    return figure


def change_figure(
    before: np.ndarray,
    after: np.ndarray,
    marked: np.ndarray,
    *,
    labels: tuple[str, str],
    mark: str,
    figure: Figure | None = None,
) -> Figure:
    """Each picture's IoU before and after a change: above the diagonal it became better.

    Args:
        before: one number for each picture.
        after: the same.
        marked: bool, pictures to show with another mark.
        labels: what "before" and "after" are called.
        mark: what the marked ones are called.
        figure: to draw in.
    """
    figure = blank(figure, 3.8, 5.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="no change")
    axes.plot(before[~marked], after[~marked], "o", color=COLOURS[0], markersize=5, alpha=0.7)
    axes.plot(before[marked], after[marked], "D", color=COLOURS[5], markersize=8, label=mark)
    axes.set_xlabel(f"IoU {labels[0]}", fontsize=11)
    axes.set_ylabel(f"IoU {labels[1]}", fontsize=11)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=11)
    return figure


def _grid(axes: Axes, shape: tuple[int, ...]) -> None:
    axes.hlines(np.arange(shape[0] + 1) - 0.5, -0.5, shape[1] - 0.5, color="0.8", linewidth=0.8)
    axes.vlines(np.arange(shape[1] + 1) - 0.5, -0.5, shape[0] - 0.5, color="0.8", linewidth=0.8)


def _boundary(axes: Axes, mask: np.ndarray) -> None:
    """A line round the true pixels of a small mask, along the pixels' own sides."""
    padded = np.pad(mask, 1)
    for row, column in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        axes.plot([column - 0.5, column + 0.5], [row - 0.5] * 2, color=TRUE, linewidth=3)
    for row, column in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        axes.plot([column - 0.5] * 2, [row - 0.5, row + 0.5], color=TRUE, linewidth=3)
