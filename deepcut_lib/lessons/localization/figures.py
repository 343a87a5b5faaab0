"""Figures of lesson 4: clusters and the picture's edges, boxes, their overlap, and a rival's eigenvector.

Boxes that were found are solid and magenta, true ones dashed and indigo: colours that no cluster has.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from PIL.Image import Image

from deepcut_lib.foreground import border_share, touched_edges
from deepcut_lib.metrics import Box, box_iou
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import BLUE, COLOURS, FOUND_BOX, GREEN, PALETTE, SIGNED, TRUE_BOX
from deepcut_lib.segmentation import Segmentation

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def question_figure(picture: Image, labels: np.ndarray, *, figure: Figure | None = None) -> Figure:
    """A picture beside its clusters, which have numbers but no meaning yet.

    Args:
        picture: H×W RGB.
        labels: h×w clusters.
        figure: to draw in.
    """
    figure = blank(figure, 1.9, 5.6)
    left, right = figure.subplots(1, 2)
    show(left, picture, "the picture")
    _show_labels(right, labels, picture, "its clusters: which is the object?")
    present = np.unique(labels)
    handles = [Patch(facecolor=_colour(k), edgecolor="black", label=f"cluster {k}") for k in present]
    right.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=11)
    return figure


def rules_figure(
    maps: Mapping[str, np.ndarray],
    backgrounds: Mapping[str, Sequence[np.ndarray]],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Small label maps, and below them what each border rule leaves of them as foreground.

    Args:
        maps: h×w clusters by name.
        backgrounds: for each rule's name, one (K,) bool for each map: which clusters are background.
        figure: to draw in.
    """
    figure = blank(figure, 1.5 + 1.35 * len(backgrounds))
    axes = figure.subplots(1 + len(backgrounds), len(maps), squeeze=False)
    for column, (name, labels) in enumerate(maps.items()):
        _show_cells(axes[0, column], labels, np.ones(labels.shape, bool))
        axes[0, column].set_title(name, fontsize=11)
        for row, background in enumerate(backgrounds.values(), start=1):
            _show_cells(axes[row, column], labels, ~background[column][labels])
    for row, name in enumerate(("clusters", *backgrounds)):
        axes[row, 0].set_ylabel(name, fontsize=10, rotation=0, ha="right", va="center")
    return figure


def overlap_figure(first: Box, second: Box, *, figure: Figure | None = None) -> Figure:
    """Two boxes on squared paper: the squares in both, and those in one only.

    Args:
        first: a small box, in squares.
        second: another.
        figure: to draw in.
    """
    figure = blank(figure, 3.0)
    axes = figure.subplots()
    width, height = (max(first[i], second[i]) + 1 for i in (2, 3))
    painted = np.zeros((2, height, width), int)
    for canvas, (x1, y1, x2, y2) in zip(painted, (first, second), strict=True):
        canvas[y1:y2, x1:x2] = 1
    kinds = painted[0] + 2 * painted[1]
    paints = [(1.0, 1.0, 1.0), COLOURS[4], COLOURS[6], GREEN]
    axes.imshow(kinds, ListedColormap(paints), vmin=0, vmax=3, extent=(0, width, height, 0))
    axes.set_xticks(range(width + 1))
    axes.set_yticks(range(height + 1))
    axes.grid(color="0.6", linewidth=0.8)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    counts = np.bincount(kinds.ravel(), minlength=4)
    names = (f"first only: {counts[1]}", f"second only: {counts[2]}", f"both: {counts[3]}")
    handles = [
        Patch(facecolor=paint, edgecolor="black", label=name)
        for paint, name in zip(paints[1:], names, strict=True)
    ]
    axes.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.05, 0.5), fontsize=11, title="squares in"
    )
    return figure


def boxes_figure(
    pictures: Mapping[str, Image],
    boxes: Mapping[str, Box],
    truths: Mapping[str, Box],
    *,
    columns: int = 5,
    figure: Figure | None = None,
) -> Figure:
    """Pictures with the box that was found and, where it is known, the true one and their IoU.

    Args:
        pictures: by name.
        boxes: the box found, by name.
        truths: the true box, by name; a name may be missing.
        columns: pictures side by side.
        figure: to draw in.
    """
    rows = -(-len(pictures) // columns)
    tallest = max(picture.height / picture.width for picture in pictures.values())
    width = 0.75 * WIDTH
    figure = blank(figure, 0.4 + rows * (0.4 + tallest * (width / columns - 0.1)), width)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for empty in axes[len(pictures) :]:
        empty.set_axis_off()
    for panel, (name, picture) in zip(axes, pictures.items(), strict=False):
        truth = truths.get(name)
        show(panel, picture, name if truth is None else f"{name}\nIoU {box_iou(boxes[name], truth):.2f}")
        _draw_boxes(panel, boxes[name], truth)
    _legend(figure, axes[0])
    return figure


def curves_figure(ious: Mapping[str, np.ndarray], *, figure: Figure | None = None) -> Figure:
    """The share of pictures whose IoU reaches a threshold, over the threshold; CorLoc is its value at 0.5.

    Args:
        ious: one IoU for each picture, by method.
        figure: to draw in.
    """
    figure = blank(figure, 3.6)
    axes = figure.subplots()
    thresholds = np.linspace(0, 1, 201)
    colours = [COLOURS[i] for i in (0, 5, 2, 3, 7)]
    for (name, values), colour, line in zip(ious.items(), colours, LINES, strict=False):
        reached = [(values >= threshold).mean() for threshold in thresholds]
        axes.plot(thresholds, reached, color=colour, linestyle=line, linewidth=2.5, label=name)
    axes.axvline(0.5, color="0.4", linewidth=1)
    axes.annotate("CorLoc", (0.5, 0.02), xytext=(4, 0), textcoords="offset points", fontsize=11)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("IoU that counts as a hit", fontsize=11)
    axes.set_ylabel("share of pictures", fontsize=11)
    axes.grid(color="0.9")
    axes.legend(fontsize=11, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def failures_figure(
    pictures: Mapping[str, Image],
    segmentations: Mapping[str, Segmentation],
    truths: Mapping[str, Box],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Pictures with both boxes; below, their clusters with the edges and the share of the border of each.

    Args:
        pictures: by name.
        segmentations: what was found in each.
        truths: their true boxes.
        figure: to draw in.
    """
    figure = blank(figure, 3.9)
    axes = figure.subplots(2, len(pictures), squeeze=False)
    for column, (name, picture) in enumerate(pictures.items()):
        segmentation = segmentations[name]
        box, labels, background = segmentation.box, segmentation.labels, segmentation.background
        show(axes[0, column], picture, f"{name}\nIoU {box_iou(box, truths[name]):.2f}")
        _draw_boxes(axes[0, column], box, truths[name])
        _show_labels(axes[1, column], labels, picture, "")
        edges, share = touched_edges(labels), border_share(labels)
        handles = [
            Patch(
                facecolor=_colour(k),
                edgecolor="black",
                label=f"edges {edges[k]}, {share[k]:.0%}: {'back' if background[k] else 'FORE'}",
            )
            for k in np.unique(labels)
        ]
        axes[1, column].legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.03),
            fontsize=10,
            frameon=False,
            handlelength=1,
            handletextpad=0.4,
        )
    _legend(figure, axes[0, 0])
    return figure


def rivals_figure(
    pictures: Mapping[str, Image],
    answers: Mapping[str, Mapping[str, tuple[np.ndarray, Box]]],
    truths: Mapping[str, Box],
    quantities: Mapping[str, str] | None = None,
    *,
    photographs: bool = True,
    figure: Figure | None = None,
) -> Figure:
    """Several methods on the same pictures: each one's map with its box, a row for each picture.

    Args:
        pictures: by name.
        answers: for each picture's name, by method: an h×w map and a box. Whole numbers are clusters; others
            are signed, and drawn around zero.
        truths: the true boxes, by picture's name; a name may be missing.
        quantities: by method, what a signed map shows, for its colour bar.
        photographs: whether each row begins with its picture.
        figure: to draw in.
    """
    methods = list(next(iter(answers.values())))
    figure = blank(figure, 0.4 + 1.8 * len(pictures))
    first = int(photographs)
    axes = figure.subplots(len(pictures), first + len(methods), squeeze=False)
    for row, (name, picture) in zip(axes, pictures.items(), strict=True):
        truth = truths.get(name)
        if photographs:
            show(row[0], picture, name)
            _draw_boxes(row[0], None, truth)
        for panel, method in zip(row[first:], methods, strict=True):
            per_patch, box = answers[name][method]
            title = method if truth is None else f"{method}\nIoU {box_iou(box, truth):.2f}"
            if np.issubdtype(per_patch.dtype, np.integer):
                _show_labels(panel, per_patch, picture, title)
            else:
                _show_signed(figure, panel, per_patch, picture, title, (quantities or {}).get(method, ""))
            _draw_boxes(panel, box, truth)
    _legend(figure, axes[0, first])
    return figure


def duel_figure(
    ours: np.ndarray,
    theirs: np.ndarray,
    marked: Mapping[str, int],
    names: tuple[str, str],
    *,
    figure: Figure | None = None,
) -> Figure:
    """One method's IoU over another's, a dot for each picture.

    Args:
        ours: one IoU for each picture.
        theirs: the same of the other method.
        marked: positions of pictures to name in the figure.
        names: of the two methods.
        figure: to draw in.
    """
    figure = blank(figure, 4.0, 5.6)
    axes = figure.subplots()
    axes.axline((0, 0), slope=1, color="0.6", linewidth=1)
    for draw in (axes.axvline, axes.axhline):
        draw(0.5, color="0.6", linewidth=1, linestyle="--")
    axes.scatter(ours, theirs, s=28, color=BLUE, alpha=0.8, edgecolor="white")
    for name, i in marked.items():
        axes.scatter(ours[i], theirs[i], s=80, facecolor="none", edgecolor=COLOURS[5], linewidth=2)
        right = ours[i] > 0.6
        axes.annotate(
            name,
            (ours[i], theirs[i]),
            xytext=(-9 if right else 9, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=11,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel(f"IoU of {names[0]}", fontsize=11)
    axes.set_ylabel(f"IoU of {names[1]}", fontsize=11)
    return figure


def localization_figure(
    picture: Image,
    labels: np.ndarray,
    background: np.ndarray,
    box: Box,
    truth: Box | None = None,
    *,
    figure: Figure | None = None,
) -> Figure:
    """A picture with its box, its clusters, and the edges that each cluster lies on.

    Args:
        picture: H×W RGB.
        labels: h×w clusters, 0…K−1.
        background: (K,) bool.
        box: what was found.
        truth: the true box, if there is one.
        figure: to draw in.
    """
    figure = blank(figure, 3.0)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.8))
    verdict = "no true box"
    if truth is not None:
        iou = box_iou(box, truth)
        verdict = f"IoU {iou:.2f}: {'a hit' if iou >= 0.5 else 'a miss'}"
    show(left, picture, verdict)
    _draw_boxes(left, box, truth)
    _legend(figure, left)
    _show_labels(middle, labels, picture, "clusters")
    _edge_table(right, labels, background)
    return figure


def _edge_table(axes: Axes, labels: np.ndarray, background: np.ndarray) -> None:
    """A row for each cluster: which edges it lies on, how many, its share of the border, the verdict."""
    columns = (0.0, 0.9, 1.5, 2.1, 2.7, 3.8, 5.3, 6.4)
    head = ("", "T", "B", "L", "R", "edges", "border", "verdict")
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    count, share = touched_edges(labels), border_share(labels)
    present = np.unique(labels)
    axes.set_axis_off()
    spare = max(6 - len(present), 0) / 2  # a few rows stand in the middle, ten fill the height
    axes.set(xlim=(-0.5, 9.3), ylim=(len(present) - 0.4 + spare, -1.2 - spare))
    for x, text in zip(columns, head, strict=True):
        axes.text(x, -0.8, text, fontsize=10, ha="left" if text == "verdict" else "center", va="center")
    for y, k in enumerate(present):
        axes.text(
            columns[0],
            y,
            str(k),
            fontsize=10,
            ha="center",
            va="center",
            bbox={"facecolor": _colour(k), "edgecolor": "black", "boxstyle": "square,pad=0.25"},
            color="black" if sum(_colour(k)) > 1.2 else "white",
        )
        for x, edge in zip(columns[1:5], edges, strict=True):
            touches = bool((edge == k).any())
            axes.plot(x, y, "s", markersize=9, color="black", fillstyle="full" if touches else "none")
        word = "background" if background[k] else "foreground"
        axes.text(columns[5], y, str(count[k]), fontsize=10, ha="center", va="center")
        axes.text(columns[6], y, f"{share[k]:.0%}", fontsize=10, ha="center", va="center")
        axes.text(columns[7], y, word, fontsize=10, va="center", weight="normal" if background[k] else "bold")


def _colour(cluster: int) -> tuple[float, float, float]:
    return COLOURS[cluster % len(COLOURS)]


def _extent(picture: Image) -> tuple[float, float, float, float]:
    return (0, picture.width, picture.height, 0)


def _show_labels(axes: Axes, labels: np.ndarray, picture: Image, title: str) -> None:
    show(axes, PALETTE[labels % len(PALETTE)], title, extent=_extent(picture), interpolation="nearest")


def _show_signed(
    figure: Figure, axes: Axes, values: np.ndarray, picture: Image, title: str, quantity: str
) -> None:
    top = float(np.abs(values).max()) or 1.0
    show(axes, values, title, cmap=SIGNED.cmap, vmin=-top, vmax=top, extent=_extent(picture))
    bar = figure.colorbar(axes.images[0], ax=axes, fraction=0.05, ticks=[-top, 0, top], format="%.3g")
    bar.set_label(quantity, fontsize=10)


def _show_cells(axes: Axes, labels: np.ndarray, kept: np.ndarray) -> None:
    """Clusters as numbered cells; those that are not kept are grey."""
    height, width = labels.shape
    shown = np.where(kept[..., None], PALETTE[labels % len(PALETTE)] / 255, 0.85)
    show(axes, shown, extent=(0, width, height, 0))
    for (y, x), k in np.ndenumerate(labels):
        dark = kept[y, x] and shown[y, x].mean() <= 0.4
        axes.text(
            x + 0.5,
            y + 0.5,
            str(k),
            ha="center",
            va="center",
            color="white" if dark else "black",
            fontsize=10,
        )


def _draw_boxes(axes: Axes, box: Box | None, truth: Box | None) -> None:
    for corners, colour, line, name in (
        (truth, TRUE_BOX, "--", "true box"),
        (box, FOUND_BOX, "-", "found box"),
    ):
        if corners is None:
            continue
        x1, y1, x2, y2 = corners
        axes.add_patch(
            Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                edgecolor=colour,
                linestyle=line,
                linewidth=2.2,
                label=name,
                path_effects=[withStroke(linewidth=4.2, foreground="white")],
                clip_on=False,
            )
        )


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=10, frameon=False)
