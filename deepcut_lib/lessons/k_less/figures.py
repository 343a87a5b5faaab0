"""Figures of lesson 7: groupings as lines over alpha, numbers and scores over alpha, groups, and regions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix

from deepcut_lib.images import ImageLike, load_image
from deepcut_lib.kless import KlessSegmentation
from deepcut_lib.metrics import ClusterScores
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import COLOURS, ON_WHITE, PALETTE

THUMBNAIL = 56
"""Side of a thumbnail in pixels, its frame not counted."""

THUMBNAIL_COLOURS = 12
"""So many colours has a thumbnail: enough at its size, and a saved notebook stays small."""

PICTURE_COLOURS = 64
"""So many has a single picture, for the same reason."""

FRAME, GAP, HEADER, LEGEND = 3, 3, 17, 42
"""Pixels: a thumbnail's frame, the space between two, a group's heading, and what stands above all groups."""

HEADING_WIDTH = 106
"""Pixels that a group's heading needs, such as "mammal 16/18"."""

GROUPS_HEIGHT = 5.4
"""Inches of a figure of groups."""

LARGE = 0.01
"""Share of the patches from which on a region counts as large."""

CATEGORY_COLOURS = dict(
    zip(("bird", "fruit", "mammal", "vehicle", "other"), PALETTE[[0, 1, 2, 7, 3]].tolist(), strict=True)
)
"""Frames of the categories of the pictures in `data/`: thin lines, so of lightnesses that differ too."""


def thumbnail(picture: ImageLike, side: int = THUMBNAIL) -> np.ndarray:
    """A picture squeezed into a small square, as the backbone sees it: side×side×3 bytes."""
    small = load_image(picture).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(small.quantize(THUMBNAIL_COLOURS, dither=Image.Dither.NONE).convert("RGB"))


def picture_sheet(thumbnails: Sequence[np.ndarray], *, columns: int, figure: Figure | None = None) -> Figure:
    """Small pictures in rows, without a word about them.

    Args:
        thumbnails: side×side×3 bytes each.
        columns: pictures in a row.
        figure: to draw in.
    """
    cell = len(thumbnails[0]) + GAP
    rows = -(-len(thumbnails) // columns)
    figure = blank(figure, rows * cell / 100, columns * cell / 100)
    canvas = np.full((rows * cell, columns * cell, 3), 255, np.uint8)
    for index, small in enumerate(thumbnails):
        y, x = (place * cell + GAP // 2 for place in divmod(index, columns))
        canvas[y : y + len(small), x : x + len(small)] = small
    _full(figure, canvas)
    return figure


def partition_lines(
    inverse_alphas: ArrayLike,
    losses: ArrayLike,
    names: Sequence[str],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Each grouping's loss as a line over 1/alpha; those that are somewhere the least in colour.

    Args:
        inverse_alphas: (t,) 1/alpha, rising.
        losses: m×t, Eq. 10 of m groupings.
        names: of the m groupings.
        figure: to draw in.
    """
    figure = blank(figure, 3.9)
    axes = figure.subplots()
    x, y = np.asarray(inverse_alphas), np.asarray(losses)
    lowest = y.argmin(axis=0)
    winners = list(dict.fromkeys(lowest.tolist()))
    for index, line in enumerate(y):
        if index not in winners:
            axes.plot(x, line, color="0.75", linewidth=1, zorder=1)
    for colour, index in zip((COLOURS[i] for i in (0, 5, 2, 3, 1, 4, 7)), winners, strict=False):
        axes.plot(x, y[index], color=colour, linewidth=1.5, zorder=2, label=names[index])
        won = lowest == index
        axes.plot(x[won], y[index][won], color=colour, linewidth=6, solid_capstyle="butt", zorder=3)
    axes.plot([], [], color="0.75", label=f"the other {len(y) - len(winners)}")
    axes.set_xlim(x.min(), x.max())
    axes.set_xlabel("1 / alpha", fontsize=11)
    axes.set_ylabel("loss (Eq. 10)", fontsize=11)
    above = axes.twiny()
    shown = [alpha for alpha in (100, 10, 5, 3, 2, 1.5, 1.2, 1) if x.min() <= 1 / alpha <= x.max()]
    above.set_xlim(axes.get_xlim())
    above.set_xticks([1 / alpha for alpha in shown], [f"{alpha:g}" for alpha in shown])
    above.set_xlabel("alpha", fontsize=11)
    legend = axes.legend(fontsize=11, title="the least, from left to right", loc="upper left")
    legend.get_title().set_fontsize(11)
    return figure


def found_over_alpha(
    alphas: Sequence[float],
    counts: Mapping[str, Sequence[int]],
    truth: int,
    *,
    figure: Figure | None = None,
) -> Figure:
    """How many groups several methods find over alpha, both axes logarithmic.

    Args:
        alphas: rising.
        counts: of groups found, one for each alpha, by the method's name.
        truth: the true number.
        figure: to draw in.
    """
    figure = blank(figure, 3.0)
    axes = figure.subplots()
    _found_over_alpha(axes, alphas, counts, truth)
    axes.set_ylabel("groups found", fontsize=11)
    axes.legend(fontsize=11)
    return figure


def plateau_figure(
    alphas: Sequence[float],
    counts: Sequence[int],
    aris: Sequence[float],
    plateau: tuple[float, float],
    at: float,
    truth: int,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Groups found and their ARI over alpha, with the widest plateau shaded and one alpha marked.

    Args:
        alphas: rising.
        counts: groups found with each.
        aris: their ARI.
        plateau: first and last alpha of it.
        at: the alpha to mark.
        truth: the true number.
        figure: to draw in.
    """
    figure = blank(figure, 3.4)
    left, right = figure.subplots(1, 2)
    _found_over_alpha(left, alphas, {"groups found": counts}, truth)
    left.legend(fontsize=10)
    right.plot(alphas, aris, "s-", color=COLOURS[2])
    right.set(ylim=(-0.05, 1.05), ylabel="ARI")
    _alpha_axis(right, alphas)
    for axes in (left, right):
        axes.axvspan(*plateau, color="0.88", zorder=0)
        axes.axvline(at, color="black", linestyle="--")
    return figure


def searches_figure(
    sets: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[int]], int]],
    *,
    figure: Figure | None = None,
) -> Figure:
    """How many groups several searches for the least loss find over alpha, a panel for each set of things.

    Args:
        sets: alphas, counts and true number of each, as for `found_over_alpha`, by the set's name.
        figure: to draw in.
    """
    figure = blank(figure, 3.6)
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, (name, (alphas, counts, truth)) in zip(panels, sets.items(), strict=True):
        _found_over_alpha(axes, alphas, counts, truth)
        axes.set_title(name, fontsize=11)
        axes.legend(fontsize=10)
    panels[0].set_ylabel("groups found", fontsize=11)
    return figure


def _found_over_alpha(
    axes: Axes, alphas: Sequence[float], counts: Mapping[str, Sequence[int]], truth: int
) -> None:
    axes.axhline(truth, color="black", linestyle=":", label=f"true number, {truth}")
    styles = zip((COLOURS[i] for i in (0, 5, 2, 3)), ("o-", "s--", "^-.", "v:"), strict=True)
    for (method, numbers), (colour, style) in zip(counts.items(), styles, strict=False):
        axes.plot(alphas, numbers, style, color=colour, markersize=6, label=method)
    axes.set_yscale("log")
    top = max(max(numbers) for numbers in counts.values())
    ticks = [tick for tick in (1, 2, 3, 4, 5, 7, 10, 20, 40, 80, 160) if tick <= 1.3 * top]
    axes.yaxis.set(major_locator=FixedLocator(ticks), minor_locator=NullLocator())
    axes.set_yticklabels([str(tick) for tick in ticks])
    _alpha_axis(axes, alphas)


def sweep_figure(
    alphas: Sequence[float],
    scores: Sequence[ClusterScores],
    negative: Sequence[float],
    classes: int,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Groups found, their scores, and the share of negative affinities, over alpha.

    Args:
        alphas: rising.
        scores: one for each alpha.
        negative: share of negative entries of W (Eq. 7), one for each alpha.
        classes: the true number of classes.
        figure: to draw in.
    """
    figure = blank(figure, 3.1)
    number, quality, share = figure.subplots(1, 3)
    number.axhline(classes, color="black", linestyle=":", label=f"categories: {classes}")
    counts = [of_alpha.n_clusters for of_alpha in scores]
    number.plot(alphas, counts, "o-", color=COLOURS[0], label="found")
    number.set_ylim(0, max(*counts, classes) + 1)
    number.set_title("groups", fontsize=11)
    number.legend(fontsize=10)
    columns = (("purity", "o-", 5), ("nmi", "s--", 2), ("ari", "^-.", 3))
    for name, style, colour in columns:
        values = [getattr(of_alpha, name) for of_alpha in scores]
        label = name if name == "purity" else name.upper()
        quality.plot(alphas, values, style, color=COLOURS[colour], label=label)
    quality.set_ylim(0, 1.02)
    quality.set_title("scores", fontsize=11)
    quality.legend(fontsize=10, loc="lower right")
    share.plot(alphas, np.asarray(negative) * 100, "o-", color=COLOURS[7])
    share.set_ylim(0, 102)
    share.set_title("negative share of W [%]", fontsize=11)
    for axes in (number, quality, share):
        _alpha_axis(axes, alphas)
    return figure


def counts_figure(
    classes: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray, *, figure: Figure | None = None
) -> Figure:
    """How many pictures of each class are in each group, as a table with shades.

    Args:
        classes: (n,) names.
        labels: (n,) groups.
        figure: to draw in.
    """
    names, groups = np.unique(classes), np.unique(labels)
    counts = contingency_matrix(classes, labels)
    figure = blank(figure, 0.8 + 0.38 * len(names))
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=1.35 * counts.max(), aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(column, row, str(count), ha="center", va="center", fontsize=12)
    axes.set_xticks(range(len(groups)), [str(group + 1) for group in range(len(groups))], fontsize=11)
    axes.set_yticks(range(len(names)), names, fontsize=11)
    axes.set_xlabel("group", fontsize=11)
    return figure


def groups_figure(
    thumbnails: Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    classes: Sequence[str] | np.ndarray,
    heading: str,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Groups as grids of small pictures, the largest first; a frame's colour is the picture's true class.

    Above each group stand its commonest class, and how many of its pictures have it.

    Args:
        thumbnails: side×side×3 bytes each; they are shrunk where they would not fit.
        labels: (n,) the group of each.
        classes: (n,) the true class of each.
        heading: above all.
        figure: to draw in.
    """
    figure = blank(figure, GROUPS_HEIGHT)
    figure.set_layout_engine("none")  # pixels have their places
    width, height = (round(side * 100) for side in figure.get_size_inches())
    truth = np.asarray(classes)
    names, groups = _common_first(truth, np.asarray(labels))
    side, rows, corners = _arranged([len(group) for group in groups], width, height, len(thumbnails[0]))
    frames = _frame_colours(truth)
    canvas = np.full((height, width, 3), 255, np.uint8)
    axes = _full(figure, canvas)
    cell = side + 2 * FRAME + GAP
    for group, name, (left, top) in zip(groups, names, corners, strict=True):
        share = f"{name} {(truth[group] == name).sum()}/{len(group)}"
        axes.text(left, top - 3, share, fontsize=10, va="bottom")
        for place, index in enumerate(group):
            x, y = (at * cell + start for at, start in zip(divmod(place, rows), (left, top), strict=True))
            canvas[y : y + side + 2 * FRAME, x : x + side + 2 * FRAME] = frames[truth[index]]
            inside = slice(y + FRAME, y + FRAME + side), slice(x + FRAME, x + FRAME + side)
            canvas[inside] = _shrunk(thumbnails[index], side)
    axes.images[0].set_data(canvas)
    axes.text(2, 13, heading, fontsize=11, va="center")
    x = 2
    for name, colour in frames.items():
        axes.add_patch(_swatch(x, 26, colour))
        axes.text(x + 15, 32, name, fontsize=10, va="center")
        x += 34 + 9 * len(name)
    return figure


def regions_figure(
    picture: ImageLike,
    title: str,
    cuts: Mapping[float, KlessSegmentation],
    *,
    figure: Figure | None = None,
) -> Figure:
    """A picture and its regions at several alphas, in rows of three, with how many there are.

    A region has the colour of the region at the alpha before that it shares most patches with.

    Args:
        picture: as it was cut.
        title: above it.
        cuts: what was found, by alpha; at most ten regions each.
        figure: to draw in.
    """
    shown = load_image(picture).quantize(PICTURE_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    wide, high = shown.size
    rows = -(-(1 + len(cuts)) // 3)
    figure = blank(figure, rows * (0.5 + WIDTH / 3 * high / wide))
    panels = figure.subplots(rows, 3, squeeze=False).flat
    show(next(panels), shown, title, interpolation="nearest")
    before = None
    for alpha, cut in cuts.items():
        colours = cut.labels if before is None else _coloured_alike(cut.labels, before)
        _, firsts = np.unique(cut.labels, return_index=True)
        pixels = colours.flatten()[firsts][cut.pixels]
        large = int((np.bincount(cut.labels.flatten()) >= LARGE * cut.labels.size).sum())
        heading = f"alpha {alpha:g}: {_regions(cut.n_clusters)}, {large} large"
        show(next(panels), ON_WHITE[pixels], heading, interpolation="nearest")
        before = colours
    for unused in panels:
        unused.axis("off")
    return figure


def _regions(count: int) -> str:
    return "1 region" if count == 1 else f"{count} regions"


def _coloured_alike(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A colour for each label, none for two of them, so that most places keep theirs."""
    most = len(ON_WHITE)
    shared = np.zeros((most, most), int)
    np.add.at(shared, (labels.flatten(), colours.flatten()), 1)
    _, chosen = linear_sum_assignment(shared, maximize=True)
    return np.asarray(chosen)[labels]


def _common_first(truth: np.ndarray, labels: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """Each group's commonest class and its members, that class's first; the largest group first."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    names = []
    for position, group in enumerate(groups):
        present, counts = np.unique(truth[group], return_counts=True)
        names.append(str(present[counts.argmax()]))
        order = np.lexsort((truth[group], truth[group] != names[-1]))
        groups[position] = group[order]
    order = np.argsort([-len(group) for group in groups], kind="stable")
    return [names[i] for i in order], [groups[i] for i in order]


def _arranged(
    sizes: Sequence[int], width: int, height: int, largest: int
) -> tuple[int, int, list[tuple[int, int]]]:
    """The largest thumbnails that fit, how many stand above each other, and each group's upper left corner.

    Groups stand side by side on shelves of one height, each as wide as it must be.
    """
    for side in range(largest, 3, -1):
        cell = side + 2 * FRAME + GAP
        for rows in range(1, 12):
            x, y, corners = 2, LEGEND + HEADER, []
            for size in sizes:
                wide = max(-(-size // rows) * cell, HEADING_WIDTH)
                if x > 2 and x + wide > width:
                    x, y = 2, y + rows * cell + HEADER
                corners.append((x, y))
                fits = x + wide <= width and y + min(rows, size) * cell <= height
                if not fits:
                    break
                x += wide + 3 * GAP
            else:
                return side, rows, corners
    raise ValueError(f"{sum(sizes)} pictures in {len(sizes)} groups do not fit; show fewer")


def _frame_colours(classes: np.ndarray) -> dict[str, list[int]]:
    """A colour for each class that occurs: that of `data/`'s category, else the palette's next."""
    spare = iter(PALETTE[[0, 1, 2, 3, 4, 5, 6, 7, 8] * (1 + len(np.unique(classes)) // 9)].tolist())
    known = CATEGORY_COLOURS
    return {str(name): known[name] if name in known else next(spare) for name in np.unique(classes)}


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    if len(picture) == side:
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))


def _swatch(x: float, y: float, colour: Sequence[int]) -> Rectangle:
    return Rectangle((x, y), 11, 11, color=np.asarray(colour) / 255)


def _full(figure: Figure, canvas: np.ndarray) -> Axes:
    """Axes that fill the figure, in pixels of `canvas`, which they show."""
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    height, width = canvas.shape[:2]
    axes.imshow(canvas, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    axes.axis("off")
    return axes


def _alpha_axis(axes: Axes, alphas: Sequence[float]) -> None:
    axes.set_xscale("log")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 1000) if min(alphas) <= tick <= max(alphas)]
    axes.xaxis.set(major_locator=FixedLocator(ticks), minor_formatter=NullFormatter())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.set_xlabel("alpha", fontsize=11)
