"""Figures of lesson 10: labels and scores over time, α along a row, objects before other backgrounds.

In pictures an orange line runs round what was found, a blue one round the true mask.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.lessons.common.masks import outline, quiet
from deepcut_lib.metrics import mask_iou
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import COLOURS, FOUND, MARKERS, PALETTE, TRUE

Curves = Mapping[str, Sequence[float] | np.ndarray]


def strip_figure(
    pictures: Mapping[str, Image.Image],
    labels: Mapping[str, Sequence[np.ndarray]],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Frames side by side, and below them what each way of clustering calls their patches.

    Args:
        pictures: frames by their titles.
        labels: h×w clusters for each of them, by way.
        figure: to draw in.
    """
    columns = len(pictures)
    height = 0.3 + WIDTH / columns * 0.75 * (1 + len(labels))
    figure = blank(figure, height)
    places = figure.subplots(1 + len(labels), columns, squeeze=False)
    for axes, (title, picture) in zip(places[0], pictures.items(), strict=True):
        show(axes, picture, title)
    size = next(iter(pictures.values())).size
    for row, (way, of_frames) in zip(places[1:], labels.items(), strict=True):
        row[0].set_ylabel(way, fontsize=11)
        for axes, of_frame in zip(row, of_frames, strict=True):
            coloured = Image.fromarray(PALETTE[of_frame % len(PALETTE)])
            show(axes, coloured.resize(size, Image.Resampling.NEAREST))
    return figure


def over_time_figure(
    panels: Mapping[str, Curves],
    *,
    shaded: tuple[int, int] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Curves over the frames of a clip.

    Args:
        panels: for each panel, by what it measures, one number a frame by name.
        shaded: first and last frame of a stretch to mark.
        figure: to draw in.
    """
    figure = blank(figure, 0.6 + 2.0 * len(panels))
    places = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (what, curves) in zip(places, panels.items(), strict=True):
        for index, (name, values) in enumerate(curves.items()):
            at = np.arange(len(values))
            axes.plot(at, values, color=COLOURS[index], linewidth=2, label=name)
            axes.plot(at[::6], np.asarray(values)[::6], MARKERS[index], color=COLOURS[index])
        if shaded:
            axes.axvspan(*shaded, color="0.9")
        axes.set_ylabel(what, fontsize=11)
        axes.grid(axis="y", alpha=0.3)
        axes.legend(fontsize=10, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    places[-1].set_xlabel("frame", fontsize=11)
    return figure


def scrub_figure(
    picture: Image.Image,
    truth: np.ndarray | None,
    masks: Mapping[str, np.ndarray],
    scores: Curves,
    frame: int,
    *,
    figure: Figure | None = None,
) -> Figure:
    """One frame with two masks, and where it stands among the scores of all frames.

    Args:
        picture: the frame, H×W RGB.
        truth: its true mask, H×W bool, or None.
        masks: H×W bool, by the name of what found them.
        scores: one number a frame, by the same names: IoU, or without a truth the mask's share.
        frame: its number.
        figure: to draw in.
    """
    figure = blank(figure, 5.0)
    above, below = figure.subfigures(2, 1, height_ratios=(1.4, 1))  # type: ignore[misc]
    places = above.subplots(1, 1 + len(masks))
    show(places[0], picture, f"frame {frame}")
    outline(places[0], truth, TRUE)
    for axes, (name, mask) in zip(places[1:], masks.items(), strict=True):
        show(axes, quiet(picture, mask), name)
        outline(axes, mask, FOUND)
        outline(axes, truth, TRUE)
        if truth is not None:
            axes.set_xlabel(f"IoU {mask_iou(mask, truth):.2f}", fontsize=11)
    axes = below.subplots()
    axes.set_label("scores")
    for index, (name, values) in enumerate(scores.items()):
        axes.plot(values, color=COLOURS[index], marker=MARKERS[index], markevery=6, label=name)
    axes.axvline(frame, color="black", linestyle="--")
    axes.set(xlabel="frame", ylabel="share of the picture" if truth is None else "IoU", ylim=(-0.02, 1.02))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=10, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def pixels_figure(
    rows: Mapping[str, np.ndarray], alpha: np.ndarray, *, figure: Figure | None = None
) -> Figure:
    """Rows of a few coloured pixels under one another, and how much of each is foreground.

    Args:
        rows: n×3 colours in 0…1, by name.
        alpha: (n,).
        figure: to draw in.
    """
    figure = blank(figure, 0.6 + 0.75 * (len(rows) + 1))
    places = figure.subplots(len(rows) + 1, 1, sharex=True, height_ratios=[*[1] * len(rows), 1.6])
    for axes, (name, colours) in zip(places, rows.items(), strict=False):
        axes.imshow(colours[None], aspect="auto")
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    places[-1].bar(range(len(alpha)), alpha, color=COLOURS[0])
    for at, value in enumerate(alpha):
        places[-1].text(at, value + 0.04, f"{value:.2f}", ha="center", fontsize=11)
    places[-1].set_ylim(0, 1.3)
    places[-1].set_yticks([0, 1])
    places[-1].set_ylabel("α", rotation=0, ha="right", va="center", fontsize=12)
    places[-1].set_xticks(range(len(alpha)))
    places[-1].set_xlabel("pixel", fontsize=11)
    return figure


def matte_figure(
    picture: Image.Image,
    trimap: np.ndarray,
    alpha: np.ndarray,
    before_another: Image.Image,
    *,
    figure: Figure | None = None,
) -> Figure:
    """A picture's way to a new background: trimap, α, and the object before it.

    Args:
        picture: H×W RGB.
        trimap: H×W uint8.
        alpha: H×W in 0…1.
        before_another: H×W RGB.
        figure: to draw in.
    """
    figure = blank(figure, 0.5 + WIDTH / 4 * picture.height / picture.width)
    places = figure.subplots(1, 4)
    show(places[0], picture, "picture")
    show(places[1], trimap, "trimap: grey is unknown", cmap="gray", vmin=0, vmax=255)
    show(places[2], alpha, "α", cmap="gray", vmin=0, vmax=1)
    show(places[3], before_another, "before another")
    return figure


def edge_figure(
    picture: Image.Image,
    alphas: Mapping[str, np.ndarray],
    truth: np.ndarray,
    row: int,
    columns: tuple[int, int],
    *,
    figure: Figure | None = None,
) -> Figure:
    """A stretch of one row of pixels: true α, and what was found.

    Args:
        picture: H×W RGB.
        alphas: H×W in 0…1, by name.
        truth: the true one.
        row: which row.
        columns: first and last pixel of the stretch.
        figure: to draw in.
    """
    figure = blank(figure, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    first, last = columns
    reach = max((last - first) // 2, 12)
    top, bottom = max(row - reach, 0), min(row + reach, picture.height)
    extent = (first - 0.5, last + 0.5, bottom - 0.5, top - 0.5)
    part = np.asarray(picture)[top:bottom, first : last + 1]
    left.imshow(part, extent=extent, interpolation="nearest")
    left.axhline(row, color=COLOURS[3], linewidth=2, linestyle="--")
    left.set_yticks([])
    left.set_xlabel("pixel of the row (dashed)", fontsize=11)
    at = np.arange(first, last + 1)
    right.fill_between(at, truth[row, first : last + 1], color=TRUE, alpha=0.25, label="true")
    for index, (name, alpha) in enumerate(alphas.items()):
        right.plot(
            at,
            alpha[row, first : last + 1],
            MARKERS[index],
            color=COLOURS[index + 1],
            linestyle="-",
            label=name,
        )
    right.set(xlabel="pixel of the row", ylabel="α", ylim=(-0.05, 1.05))
    figure.legend(loc="outside upper right", ncols=len(alphas) + 1, frameon=False, fontsize=11)
    return figure


def cuts_figure(
    panels: Mapping[str, tuple[Image.Image | np.ndarray, str]],
    box: tuple[int, int, int, int] | None = None,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Pictures or maps side by side, or the same part of each, enlarged.

    Args:
        panels: by title, what to show and what to write below it; H×W arrays are in 0…1.
        box: (x1, y1, x2, y2) of the part.
        figure: to draw in.
    """
    parts = {title: (np.asarray(shown), below) for title, (shown, below) in panels.items()}
    if box:
        x1, y1, x2, y2 = box
        parts = {title: (shown[y1:y2, x1:x2], below) for title, (shown, below) in parts.items()}
    height, width = next(iter(parts.values()))[0].shape[:2]
    figure = blank(figure, 0.7 + WIDTH / max(len(parts), 3) * height / width)
    places = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (title, (shown, below)) in zip(places, parts.items(), strict=True):
        _part(axes, shown, title)
        axes.set_xlabel(below, fontsize=11)
    return figure


def _part(axes: Axes, shown: np.ndarray, title: str) -> None:
    if shown.ndim == 2:
        show(axes, shown, title, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        show(axes, shown, title, interpolation="nearest")
