"""Figures of lesson 2: affinities as edges, as matrices and as maps over the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image

from deepcut_lib.features import PatchFeatures
from deepcut_lib.lessons.common.figures import Array, as_numpy
from deepcut_lib.plots.figure import blank, show
from deepcut_lib.plots.style import ATTRACTS, ORANGE, REPELS, SIGNED

STRONGEST = 10
"""How many neighbours of a patch are outlined."""

CELLS = 112
"""So many cells at most has a matrix as it is drawn, in each direction."""


def graph_on_picture(
    picture: Image.Image,
    features: PatchFeatures,
    affinity: Array,
    *,
    nodes: int = 7,
    edges: int = 60,
    figure: Figure | None = None,
) -> Figure:
    """The picture under some of its graph: its strongest attractions and its strongest repulsions.

    Args:
        picture: the picture.
        features: its features, for the grid.
        affinity: n×n, signed.
        nodes: of the grid's patches, so many in each direction are nodes here.
        edges: so many at most are drawn of each sign, the strongest.
        figure: to draw in.
    """
    figure = blank(figure, 3.4)
    rows, columns = (np.linspace(0, side - 1, nodes + 2).round().astype(int)[1:-1] for side in features.grid)
    chosen = (rows[:, None] * features.grid[1] + columns).ravel()
    weights = as_numpy(affinity)[np.ix_(chosen, chosen)]
    places = np.stack([np.tile(columns, nodes), np.repeat(rows, nodes)], axis=1).astype(float)
    first, second = np.triu_indices(len(chosen), 1)
    for axes, sign, colour, name in zip(
        figure.subplots(1, 2), (1, -1), (ATTRACTS, REPELS), ("attract", "repel"), strict=True
    ):
        strength = sign * weights[first, second]
        kept = np.argsort(-strength, kind="stable")[:edges]
        kept = kept[strength[kept] > 0]
        on_grid(axes, _backdrop(picture), features, cmap="gray", vmin=-160, vmax=255, interpolation="nearest")
        lines = np.stack([places[first[kept]], places[second[kept]]], axis=1)
        axes.add_collection(LineCollection(list(lines), colors=[colour], linewidths=1.3, alpha=0.8))
        axes.scatter(*places.T, s=22, color="white", edgecolor="black", zorder=3)
        axes.set_title(f"the {len(kept)} pairs that {name} each other most", fontsize=11)
    return figure


def affinity_histograms(
    affinities: Sequence[Array], titles: Sequence[str], *, figure: Figure | None = None
) -> Figure:
    """How the affinities of graphs spread, those below zero in their own colour.

    Args:
        affinities: n×n matrices, one for each panel; each is divided by its largest entry.
        titles: one for each panel.
        figure: to draw in.
    """
    figure = blank(figure, 2.9)
    panels = figure.subplots(1, len(affinities), sharex=True, squeeze=False)[0]
    bins = np.linspace(-1, 1, 81)
    for axes, affinity, title in zip(panels, affinities, titles, strict=True):
        entries = as_numpy(affinity).ravel()
        relative = entries / np.abs(entries).max()
        counts, _ = np.histogram(relative, bins)
        share = 100 * counts / len(entries)
        axes.bar(
            bins[:-1], share, width=bins[1] - bins[0], align="edge", color=[REPELS] * 40 + [ATTRACTS] * 40
        )
        axes.axvline(0, color="black", linewidth=1)
        axes.set_title(title, fontsize=11)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1])
        axes.set_xlabel("affinity / largest affinity", fontsize=11)
    panels[0].set_ylabel("share of the pairs [%]", fontsize=11)
    return figure


def affinity_matrices(
    affinities: Sequence[Array], titles: Sequence[str], parts: Array, *, figure: Figure | None = None
) -> Figure:
    """Affinity matrices with their rows and columns ordered by the parts of a partition.

    A matrix of more than `CELLS` patches is drawn in cells of several, each the mean of its affinities.

    Args:
        affinities: n×n matrices, one for each panel; each is divided by the largest size of its entries.
        titles: one for each panel.
        parts: (n,) the part of each patch; black lines separate the parts.
        figure: to draw in.
    """
    figure = blank(figure, 3.3)
    panels = figure.subplots(1, len(affinities), squeeze=False)[0]
    labels = as_numpy(parts).astype(int)
    order = np.argsort(labels, kind="stable")
    ends = np.bincount(labels).cumsum()[:-1]
    for axes, affinity, title in zip(panels, affinities, titles, strict=True):
        image = _matrix(axes, as_numpy(affinity)[np.ix_(order, order)], ends)
        axes.set_title(title, fontsize=11)
    figure.colorbar(image, ax=list(panels), shrink=0.85, label="affinity / largest size")
    return figure


def _matrix(axes: Axes, ordered: np.ndarray, ends: Sequence[int] | np.ndarray) -> AxesImage:
    """A matrix in at most `CELLS` cells each way, the means of their affinities."""
    n, largest = len(ordered), np.abs(ordered).max() or 1
    starts = np.arange(0, n, -(-n // CELLS))
    widths = np.diff(starts, append=n)
    sums = np.add.reduceat(np.add.reduceat(ordered / largest, starts, axis=0), starts, axis=1)
    means = sums / (widths[:, None] * widths)
    extent = (-0.5, n - 0.5, n - 0.5, -0.5)
    image = axes.imshow(means, cmap=SIGNED.cmap, vmin=-1, vmax=1, extent=extent, interpolation="nearest")
    for end in ends:
        axes.axhline(end - 0.5, color="black", linewidth=0.8)
        axes.axvline(end - 0.5, color="black", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("patch", fontsize=11)
    axes.set_ylabel("patch", fontsize=11)
    return image


def degree_maps(
    picture: Image.Image,
    features: PatchFeatures,
    degrees: Sequence[Array],
    titles: Sequence[str],
    *,
    figure: Figure | None = None,
) -> Figure:
    """The picture, and degrees laid out on its grid, each map with a scale of its own.

    Args:
        picture: the picture.
        features: its features, for the grid.
        degrees: (n,) row sums, one for each map.
        titles: one for each map.
        figure: to draw in.
    """
    figure = blank(figure, 2.8)
    panels = figure.subplots(1, 1 + len(degrees))
    on_grid(panels[0], picture, features)
    panels[0].set_title("picture", fontsize=11)
    for axes, sums, title in zip(panels[1:], degrees, titles, strict=True):
        image = _degrees(axes, features.to_map(as_numpy(sums)), features)
        axes.set_title(title, fontsize=11)
        ticks = MaxNLocator(4)
        figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.8, ticks=ticks, label="degree")
    return figure


def _degrees(axes: Axes, degrees: np.ndarray, features: PatchFeatures) -> AxesImage:
    """Degrees of one sign in viridis, of both in the colours of signed numbers."""
    lowest, highest = float(degrees.min()), float(degrees.max())
    if lowest < 0 < highest:
        highest = max(-lowest, highest)
        return on_grid(axes, degrees, features, cmap=SIGNED.cmap, vmin=-highest, vmax=highest)
    return on_grid(axes, degrees, features, cmap="viridis", vmin=lowest if lowest < 0 else 0, vmax=highest)


def second_vectors(
    pictures: Sequence[Image.Image],
    features: Sequence[PatchFeatures],
    vectors: Sequence[Array],
    titles: Sequence[str],
    masks: Sequence[np.ndarray | None],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Pictures above their second eigenvectors: white where the vector is 0, the mask's outline in black.

    Args:
        pictures: the pictures.
        features: the features of each, for the grid.
        vectors: (n,) each.
        titles: one for each picture.
        masks: h×w bool over the grid, or None for a picture without a mask.
        figure: to draw in.
    """
    figure = blank(figure, 2.5)
    panels = figure.subplots(2, len(pictures), squeeze=False)
    for (above, below), picture, grid, vector, title, mask in zip(
        panels.T, pictures, features, vectors, titles, masks, strict=True
    ):
        on_grid(above, picture, grid)
        above.set_title(title, fontsize=11)
        values = grid.to_map(as_numpy(vector))
        largest = float(np.abs(values).max())
        image = on_grid(below, values / largest, grid, cmap=SIGNED.cmap, vmin=-1, vmax=1)
        if mask is not None:
            below.add_collection(LineCollection(_outline(mask), colors="black", linewidths=1.2))
    bar = figure.colorbar(image, ax=list(panels[1]), shrink=0.8, ticks=[-1, 0, 1])
    bar.set_label("v / largest", fontsize=11)
    return figure


def _outline(mask: np.ndarray) -> list[np.ndarray]:
    """The edges between patches inside and outside of a mask, as lines in grid coordinates."""
    lines = [
        np.array([(x + 0.5, y - 0.5), (x + 0.5, y + 0.5)]) for y, x in np.argwhere(mask[:, 1:] ^ mask[:, :-1])
    ]
    lines += [
        np.array([(x - 0.5, y + 0.5), (x + 0.5, y + 0.5)]) for y, x in np.argwhere(mask[1:] ^ mask[:-1])
    ]
    return lines


def graph_view(
    picture: Image.Image,
    features: PatchFeatures,
    signed: Array,
    affinity: Array,
    vector: Array,
    patch: tuple[int, int],
    *,
    figure: Figure | None = None,
) -> Figure:
    """One graph in three views: a patch's affinities over the picture, the ordered matrix, the degrees.

    Args:
        picture: the picture.
        features: its features, for the grid.
        signed: n×n affinities before the threshold.
        affinity: n×n, the same after it.
        vector: (n,) the Fiedler vector: its signs are two clusters, its values the order of the matrix.
        patch: (row, column) of the chosen patch; its strongest neighbours are outlined.
        figure: to draw in.

    Raises:
        ValueError: the patch is not on the grid.
    """
    (h, w), (row, column) = features.grid, patch
    if not (0 <= row < h and 0 <= column < w):
        raise ValueError(
            f"There is no patch in row {row}, column {column}: rows go from 0 to {h - 1}, columns to {w - 1}."
        )
    figure = blank(figure, 3.9)
    before, after, order = as_numpy(signed), as_numpy(affinity), np.argsort(as_numpy(vector), kind="stable")
    figure.set_layout_engine("none")  # places of their own: exact, and twice as fast as a computed layout
    panels = {
        name: figure.add_axes((left, 0.24, width, 0.62), label=name)
        for name, left, width in (("patch", 0.01, 0.31), ("matrix", 0.37, 0.29), ("degree", 0.68, 0.31))
    }
    affinity_bar, degree_bar = (figure.add_axes((left, 0.14, 0.26, 0.03)) for left in (0.2, 0.705))

    _neighbours(panels["patch"], picture, features, after, row * w + column)
    ends = [int((as_numpy(vector) < 0).sum())]
    image = _matrix(panels["matrix"], after[np.ix_(order, order)], ends)
    panels["matrix"].set_title("affinities by cluster", fontsize=11)
    label = "affinity / largest size: orange attracts, purple repels"
    figure.colorbar(image, cax=affinity_bar, orientation="horizontal", label=label)
    degrees = _degrees(panels["degree"], features.to_map(after.sum(1)), features)
    panels["degree"].set_title("degrees", fontsize=11)
    figure.colorbar(degrees, cax=degree_bar, orientation="horizontal", label="degree / largest affinity")
    lost = (before != after).mean(), np.abs(before - after).sum() / np.abs(before).sum()
    figure.suptitle(
        f"{(before < 0).mean():.1%} of the pairs are negative; the threshold throws away {lost[0]:.1%} of "
        f"the pairs, {lost[1]:.1%} of Σ|W|",
        fontsize=11,
    )
    return figure


@dataclass(frozen=True)
class Scores:
    """What two losses say of a partition of one picture's patches into two.

    Attributes:
        ncut: N-cut by Eq. 6, 0 to 2; NaN where a side is empty: nothing is cut then.
        cc: −Σ of the affinities of Eq. 7 inside both sides, per pair: the less, the better.
    """

    ncut: float
    cc: float


def drawn_cuts(
    picture: Image.Image,
    features: PatchFeatures,
    sides: Mapping[str, np.ndarray],
    said: Mapping[str, Scores],
    alpha: float,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Cuts of one picture side by side, each patch of the one side tinted, with what two losses say of them.

    Args:
        picture: the picture.
        features: its features, for the grid.
        sides: h×w bool by name.
        said: the losses' words on them.
        alpha: of CC.
        figure: to draw in.
    """
    figure = blank(figure, 3.3)
    figure.set_layout_engine("none")  # quick enough to follow the pointer
    for place, (name, side) in enumerate(sides.items()):
        axes = figure.add_axes((0.01 + 0.5 * place, 0.2, 0.48, 0.7), label=name)
        show(axes, picture, name)
        tint = np.zeros((*side.shape, 4))
        tint[..., :3], tint[..., 3] = ORANGE, 0.55 * side
        axes.imshow(
            tint, extent=(-0.5, picture.width - 0.5, picture.height - 0.5, -0.5), interpolation="nearest"
        )
        words = said[name]
        cut = "nothing is cut" if np.isnan(words.ncut) else f"N-cut {words.ncut:.3f}"
        axes.set_xlabel(f"{cut}   ·   CC loss per pair at α = {alpha:g}: {words.cc:.3f}", fontsize=10)
    words_below = f"the less, the better, for both · backbone {features.backbone}"
    figure.text(0.5, 0.02, words_below, ha="center", fontsize=9)
    return figure


def _neighbours(
    axes: Axes, picture: Image.Image, features: PatchFeatures, affinity: np.ndarray, chosen: int
) -> None:
    """Row `chosen` of the affinities over the grey picture, with the strongest positive ones outlined."""
    on_grid(axes, _backdrop(picture), features, cmap="gray")
    own = affinity[chosen] / (np.abs(affinity).max() or 1)
    on_grid(axes, features.to_map(own), features, cmap=SIGNED.cmap, vmin=-1, vmax=1, alpha=0.7)
    others = np.argsort(-own, kind="stable")
    others = others[(others != chosen) & (own[others] > 0)][:STRONGEST]
    for index, colour, width in [(other, "black", 1.2) for other in others] + [(chosen, "lime", 2.4)]:
        y, x = divmod(int(index), features.grid[1])
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width))
    axes.set_title(f"patch {divmod(chosen, features.grid[1])}, {len(others)} neighbours", fontsize=11)


def _backdrop(picture: Image.Image) -> Image.Image:
    """The picture in grey and small, for what is drawn over it to stand out."""
    grey = picture.convert("L")
    grey.thumbnail((140, 140))
    return grey


def on_grid(
    axes: Axes, shown: Image.Image | np.ndarray, features: PatchFeatures, **options: Any
) -> AxesImage:
    """A picture or map in the grid's coordinates, patch (row, column) at y = row, x = column.

    Args:
        axes: to draw on.
        shown: the picture, or h×w values; it keeps the picture's own proportions.
        features: the picture's features, for the grid.
        **options: of `Axes.imshow`.
    """
    (h, w), (height, width) = features.grid, features.image_size
    show(axes, shown, extent=(-0.5, w - 0.5, h - 0.5, -0.5), aspect=(height / h) / (width / w), **options)
    return axes.images[-1]
