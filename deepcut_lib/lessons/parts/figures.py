"""Figures of lesson 6: parts in colours over grey pictures, and how far their labels agree."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image, ImageFilter
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from deepcut_lib.parts import Agreement, Parts, chance_level
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import COLOURS, PALETTE

POINTS = ("head", "tail", "foot")
"""What is marked on birds, in the order of `Points`."""

MARKS = "^so"

OPACITY = 0.4
"""Of a part's colour inside its outline: the picture stays to be seen."""


Points = Sequence[tuple[float, float] | None]
"""Head, tail and foot of a bird, x and y in percent of the picture's sides; None where it is hidden."""


def plain(picture: Image.Image, side: int = 200) -> Image.Image:
    """The picture, small and in few colours without texture, as `coloured` shows it under its parts."""
    shown = picture.convert("RGB")
    shown.thumbnail((side, side))
    flat = shown.filter(ImageFilter.MedianFilter(3))
    return flat.quantize(32, dither=Image.Dither.NONE).convert("RGB")


def coloured(picture: Image.Image, parts: Parts, side: int = 200) -> np.ndarray:
    """A small grey picture seen through its parts' colours, each part with an outline in its full colour.

    Args:
        picture: the picture.
        parts: its parts; part 1 has the first colour of `PALETTE`.
        side: the longest side of the result, in pixels.

    Returns:
        H×W×3.
    """
    shown = picture.convert("L")
    shown.thumbnail((side, side))
    fine, coarse = (np.asarray(shown.filter(ImageFilter.MedianFilter(width))) for width in (3, 5))
    small = Image.fromarray(parts.pixels.astype(np.int32)).resize(shown.size, Image.Resampling.NEAREST)
    labels = np.asarray(small)
    inside = labels > 0
    # Few tones without texture, fewest outside: enough to know the place by, and small to save
    grey = np.where(inside, fine // 24 * 25, 70 + coarse // 43 * 28)[..., None]
    inner = minimum_filter(labels, 5, mode="nearest") == maximum_filter(labels, 5, mode="nearest")
    share = np.where(inside, np.where(inner, OPACITY, 1.0), 0.0)[..., None]
    colours = PALETTE[(labels - 1) % len(PALETTE)]
    return (share * colours + (1 - share) * grey).astype(np.uint8)


def named_alike(parts: Sequence[Parts], reference: Sequence[Parts]) -> list[Parts]:
    """The same parts under the numbers that agree most with the reference's: one renaming for all pictures.

    For the eye: methods number their parts at random.
    """
    pairs = [
        np.stack([of_picture.labels.ravel(), wanted.labels.ravel()])
        for of_picture, wanted in zip(parts, reference, strict=True)
    ]
    given, wanted_labels = np.concatenate(pairs, axis=1)
    k = int(max(given.max(), wanted_labels.max()))
    counts = np.zeros((k + 1, k + 1), int)
    np.add.at(counts, (given, wanted_labels), 1)
    old, new = linear_sum_assignment(-counts[1:, 1:])
    names = np.zeros(k + 1, int)
    names[old + 1] = new + 1
    return [replace(of_picture, labels=names[of_picture.labels]) for of_picture in parts]


def parts_figure(
    pictures: Sequence[Image.Image],
    parts: Sequence[Parts],
    titles: Sequence[str],
    *,
    columns: int = 4,
    points: Sequence[Points] | None = None,
    originals: bool = False,
    figure: Figure | None = None,
) -> Figure:
    """Pictures in rows, each with its parts.

    Args:
        pictures: the pictures.
        parts: of each.
        titles: of each.
        columns: pictures in a row.
        points: of each picture the marks to be set, or None for none.
        originals: whether each row of parts stands below a row of the plain pictures.
        figure: to draw in.
    """
    rows = -(-len(pictures) // columns) * (1 + originals)
    tallest = max(picture.height / picture.width for picture in pictures)
    figure = blank(figure, 0.4 + rows * (0.3 + WIDTH / columns * min(tallest, 0.9)))
    places = figure.subplots(rows, columns, squeeze=False)
    for empty in places.flat:
        empty.set_axis_off()
    for index, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(index, columns)
        if originals:
            show(places[2 * row, column], plain(picture), title, interpolation="nearest")
            row, title = 2 * row + 1, ""
        axes = places[row, column]
        show(axes, coloured(picture, parts[index]), title, interpolation="nearest")
        if points is not None:
            _mark(axes, points[index])
    handles = _legend(parts)
    if points is not None:
        handles += [
            Line2D([], [], marker=mark, linestyle="none", color="white", markeredgecolor="black", label=name)
            for mark, name in zip(MARKS, POINTS, strict=True)
        ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=10)
    return figure


def modes_figure(
    pictures: Sequence[Image.Image],
    parts: Mapping[str, Sequence[Parts]],
    names: Sequence[str],
    *,
    figure: Figure | None = None,
) -> Figure:
    """A row for each picture and a column for each way to its parts.

    Args:
        pictures: the pictures.
        parts: of each picture, by the column's title.
        names: of the pictures.
        figure: to draw in.
    """
    columns = 1 + len(parts)
    tallest = [min(picture.height / picture.width, 1.0) for picture in pictures]
    figure = blank(figure, 0.7 + WIDTH / columns * sum(tallest))
    axes = figure.subplots(len(pictures), columns, squeeze=False, height_ratios=tallest)
    for row, picture, name in zip(axes, pictures, names, strict=True):
        show(row[0], plain(picture), interpolation="nearest")
        row[0].set_ylabel(name, fontsize=11)
    for column, (title, of_column) in enumerate(parts.items(), start=1):
        for place, picture, of_picture in zip(axes[:, column], pictures, of_column, strict=True):
            show(place, coloured(picture, of_picture), interpolation="nearest")
        axes[0, column].set_title(title, fontsize=11)
    axes[0, 0].set_title("picture", fontsize=11)
    handles = _legend([of_picture for of_column in parts.values() for of_picture in of_column])
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    return figure


def twins_figure(
    features: Sequence[Tensor],
    classifier: Tensor,
    heads: Sequence[Sequence[bool]],
    titles: Sequence[str],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Patches as points in the plane of their two features, over the regions in which a network names them.

    Args:
        features: n×2 for each panel.
        classifier: 2×2; a point F gets the label of the larger entry of F V.
        heads: of each panel, which patches belong to a head; the others belong to a body.
        titles: of each panel.
        figure: to draw in.
    """
    figure = blank(figure, 3.4)
    panels = figure.subplots(1, len(features), sharex=True, sharey=True, squeeze=False)[0]
    grid = np.linspace(-1.4, 1.4, 141)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1) @ np.asarray(classifier)
    pale = ListedColormap([0.35 * np.array(colour) + 0.65 for colour in COLOURS[:2]])
    extent = (-1.4, 1.4, -1.4, 1.4)
    for axes, values, belong, title in zip(panels, features, heads, titles, strict=True):
        axes.imshow(plane.argmax(-1), extent=extent, origin="lower", cmap=pale, vmin=0, vmax=1)
        for index, ((x, y), head) in enumerate(zip(values.tolist(), belong, strict=True)):
            axes.plot([0, x], [0, y], color="0.35", linewidth=1)
            axes.plot(x, y, "^" if head else "o", color="black", markersize=9 if head else 7)
            out = 1 + 0.17 / float(np.hypot(x, y))
            axes.text(x * out, y * out, str(index), ha="center", va="center", fontsize=11)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("channel 0", fontsize=11)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
    panels[0].set_ylabel("channel 1", fontsize=11)
    handles = [
        Line2D([], [], color="black", marker="^", linestyle="none", label="patch of a head"),
        Line2D([], [], color="black", marker="o", linestyle="none", label="patch of a body"),
        Patch(color=pale(0), label="the network says 0"),
        Patch(color=pale(1), label="the network says 1"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def agreement_figure(
    measured: Mapping[str, Mapping[str, tuple[Agreement, float]]], *, figure: Figure | None = None
) -> Figure:
    """How far labels agree, as they are named and renamed, beside what chance gives.

    Args:
        measured: the agreement and the chance level, by the panel's title and by the row's name.
        figure: to draw in.
    """
    figure = blank(figure, 2.6)
    panels = figure.subplots(1, len(measured), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, rows) in zip(panels, measured.items(), strict=True):
        for at, (agreement, chance) in enumerate(rows.values()):
            axes.hlines(at, agreement.as_named, agreement.renamed, color="0.7", linewidth=2, zorder=1)
            axes.plot(chance, at, "|", color="black", markersize=20, markeredgewidth=2.5)
            axes.plot(
                agreement.renamed, at, "D", color=COLOURS[1], markersize=11, markeredgecolor="black", zorder=3
            )
            axes.plot(agreement.as_named, at, "o", color=COLOURS[0], markersize=8, zorder=4)
        axes.set_title(title, fontsize=11)
        axes.set_yticks(range(len(rows)), list(rows), fontsize=11)
        axes.set_xlabel("share of matched patches", fontsize=11)
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_xlim(0, 1.05)
    panels[0].set_ylim(len(next(iter(measured.values()))) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=COLOURS[0], marker="o", linestyle="none", label="same label, as named"),
        Line2D(
            [], [], color=COLOURS[1], marker="D", markeredgecolor="black", linestyle="none", label="renamed"
        ),
        Line2D(
            [],
            [],
            color="black",
            marker="|",
            markersize=14,
            markeredgewidth=2.5,
            linestyle="none",
            label="chance",
        ),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=11)
    return figure


def keypoints_figure(counts: Mapping[str, np.ndarray], *, figure: Figure | None = None) -> Figure:
    """Into which part heads, tails and feet fall.

    Args:
        counts: 3×(1 + k) numbers of birds by the panel's title, the first column for background.
        figure: to draw in.
    """
    figure = blank(figure, 2.3)
    panels = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (title, table) in zip(panels, counts.items(), strict=True):
        largest = max(int(table.max()), 1)
        axes.imshow(table, cmap="cividis", vmin=0, vmax=largest, aspect="auto")
        for (row, column), number in np.ndenumerate(table):
            ink = "black" if number > 0.6 * largest else "white"
            axes.text(column, row, str(int(number)), ha="center", va="center", color=ink, fontsize=12)
        axes.set_title(title, fontsize=11)
        axes.set_xticks(range(table.shape[1]), ["–", *map(str, range(1, table.shape[1]))], fontsize=11)
        axes.set_yticks(range(len(POINTS)), POINTS if axes is panels[0] else [""] * len(POINTS), fontsize=11)
        axes.set_xlabel("part", fontsize=11)
    return figure


def parts_view(
    pictures: Sequence[Image.Image],
    parts: Sequence[Parts],
    names: Sequence[str],
    chosen: int,
    agreement: Agreement,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Small pictures with their parts on the left, the chosen one large on the right, the agreement above.

    Args:
        pictures: up to six.
        parts: of each.
        names: of each; a small picture's axes have its name as label.
        chosen: index of the large one.
        agreement: of the labels of all.
        figure: to draw in.
    """
    figure = blank(figure, 4.3)
    figure.set_layout_engine("none")  # places of their own: exact, and twice as fast as a computed layout
    left, bottom, width, height = 0.005, 0.1, 0.22, 0.27
    for index, (picture, of_picture, name) in enumerate(zip(pictures, parts, names, strict=True)):
        row, column = divmod(index, 2)
        place = (left + column * (width + 0.005), bottom + (2 - row) * (height + 0.01), width, height)
        small = figure.add_axes(place, label=name)
        show(small, coloured(picture, of_picture), interpolation="nearest")
        small.set_aspect("equal", adjustable="datalim")  # the whole place is the picture's, for clicks
        for spine in small.spines.values():
            spine.set(edgecolor="black" if index == chosen else "white", linewidth=3)
    large = figure.add_axes((0.47, bottom + 0.01, 0.52, 0.8), label="large")
    show(large, coloured(pictures[chosen], parts[chosen], 480))
    large.axis("off")
    if parts[chosen].message:
        large.set_title(parts[chosen].message, fontsize=11)
    figure.suptitle(
        f"labels of matched patches: {agreement.as_named:.2f} the same, {agreement.renamed:.2f} renamed, "
        f"{chance_level(parts):.2f} by chance",
        fontsize=12,
        y=0.985,
    )
    handles = _legend(parts)
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=11)
    return figure


def _mark(axes: Axes, points: Points) -> None:
    height, width = axes.images[-1].get_size()
    for mark, point in zip(MARKS, points, strict=True):
        if point is not None:
            x, y = point[0] / 100 * width - 0.5, point[1] / 100 * height - 0.5
            axes.plot(x, y, mark, color="white", markeredgecolor="black", markersize=6, clip_on=False)


def _legend(parts: Sequence[Parts]) -> list[Patch | Line2D]:
    k = max(int(of_picture.labels.max()) for of_picture in parts)
    return [
        Patch(color=COLOURS[(label - 1) % len(COLOURS)], label=f"part {label}") for label in range(1, k + 1)
    ]
