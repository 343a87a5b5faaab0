"""Figures of lesson 1: patches, attention, the similarity of a patch to all others, and what it is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from deepcut_lib.features import PatchFeatures
from deepcut_lib.lessons.common.figures import (
    Place,
    frame_patch,
    patch_at,
    patch_box,
    show_similarity,
    similarity_map,
)
from deepcut_lib.plots.figure import blank, show
from deepcut_lib.plots.style import COLOURS, MARKERS, ORANGE, SIGNED


def toy_figure(picture: np.ndarray, weights: np.ndarray, *, figure: Figure | None = None) -> Figure:
    """A tiny picture cut into four patches, and how much attention each of them pays to each.

    Args:
        picture: 4×4 grey values in 0…1.
        weights: 4×4 attention weights; each row sums to one.
        figure: to draw in.
    """
    figure = blank(figure, 3.2)
    figure.set_layout_engine("compressed")
    left, right = figure.subplots(1, 2)
    show(left, picture, "a picture of 4×4 pixels,\nfour patches of 2×2", cmap="gray", vmin=0, vmax=1)
    for (row, column), grey in np.ndenumerate(picture):
        left.text(
            column, row, f"{grey:.1f}", ha="center", va="center", color="black" if grey > 0.5 else "white"
        )
    for patch in range(4):
        x, y = 2 * (patch % 2) - 0.5, 2 * (patch // 2) - 0.5
        left.add_patch(Rectangle((x, y), 2, 2, fill=False, edgecolor=ORANGE, linewidth=4))
        left.text(x + 1, y + 1, str(patch), **_badge())
    image = right.imshow(weights, cmap="viridis", vmin=0, vmax=1)
    for (row, column), weight in np.ndenumerate(weights):
        ink = "black" if weight > 0.6 else "white"
        right.text(column, row, f"{weight:.2f}", ha="center", va="center", color=ink, fontsize=11)
    right.set(xticks=range(4), yticks=range(4), xlabel="to patch", ylabel="attention of patch")
    figure.colorbar(image, ax=right, label="attention weight")
    return figure


def patches_figure(
    picture: Image.Image,
    features: PatchFeatures,
    places: Mapping[str, Place],
    *,
    figure: Figure | None = None,
) -> Figure:
    """A picture with some of its patches marked, and these patches enlarged.

    Args:
        picture: H×W RGB.
        features: of the picture, for the size of a patch.
        places: of the patches, by the letter to mark them with.
        figure: to draw in.
    """
    figure = blank(figure, 2.6, 6.4)
    grid = figure.add_gridspec(len(places), 2, width_ratios=(4, 1))
    whole = figure.add_subplot(grid[:, 0])
    show(whole, picture)
    for line, (letter, place) in enumerate(places.items()):
        x, y, width, height = patch_box(features, patch_at(features, place))
        whole.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=ORANGE, linewidth=2))
        side = 1 if x < picture.width / 2 else -1
        whole.text(x + width / 2 + side * 36, y + height / 2, letter, **_badge())
        crop = picture.crop((round(x), round(y), round(x + width), round(y + height)))
        axes = figure.add_subplot(grid[line, 1])
        show(axes, crop, interpolation="nearest")
        axes.set_ylabel(letter, fontsize=13, rotation=0, labelpad=14, va="center")
    return figure


def similarity_figure(
    picture: Image.Image,
    features: PatchFeatures,
    place: Place,
    *,
    centred: bool = True,
    name: str = "",
    figure: Figure | None = None,
) -> Figure:
    """A picture with one patch marked, and the similarity of this patch to all others.

    Args:
        picture: H×W RGB.
        features: of the picture.
        place: of the patch, (down, across) as shares.
        centred: subtract the mean over the picture first.
        name: what made the features, if more than the backbone's name is to be said.
        figure: to draw in.
    """
    similarity = similarity_map(features, place, centred=centred)
    row, column = patch_at(features, place)
    h, w = features.grid
    figure = blank(figure, 4.2)
    left, right = figure.subplots(1, 2)
    show(left, picture, f"patch in row {row}, column {column} of {h}×{w}")
    show_similarity(right, similarity, name or features.backbone)
    for axes in (left, right):
        frame_patch(axes, features, (row, column))
    kind = "cosine similarity, centred" if centred else "cosine similarity, not centred"
    figure.colorbar(SIGNED, ax=[left, right], label=kind, location="bottom", shrink=0.6, aspect=40)
    return figure


def separation_figure(
    scores: Mapping[str, Mapping[str, Sequence[float]]], *, label: str, figure: Figure | None = None
) -> Figure:
    """How well similarities tell two sides apart: a row for each name, a mark for each way, a dot a picture.

    Args:
        scores: pictures' scores, by name and way.
        label: of the axis of scores.
        figure: to draw in.
    """
    ways = list(dict.fromkeys(way for row in scores.values() for way in row))
    figure = blank(figure, 1.3 + 0.45 * len(scores))
    axes = figure.subplots()
    for line, row in enumerate(scores.values()):
        for way, values in row.items():
            index = ways.index(way)
            y = line + 0.22 * (index - (len(ways) - 1) / 2)
            style: dict[str, Any] = {"color": COLOURS[index], "marker": MARKERS[index], "linestyle": "none"}
            axes.plot(values, [y] * len(values), markersize=4, alpha=0.45, **style)
            legend = way if line == 0 else None
            axes.plot(np.mean(values), y, markersize=10, markeredgecolor="black", label=legend, **style)
    axes.axvline(0.5, color="black", linestyle=":", linewidth=1.5)
    axes.text(0.5, -0.62, " chance", ha="left", va="center", fontsize=10)
    axes.set_yticks(range(len(scores)), list(scores), fontsize=11)
    axes.set(xlabel=label, ylim=(len(scores) - 0.5, -0.85))
    axes.set_xlim(right=1.01)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=len(ways), frameon=False, fontsize=11)
    return figure


def _badge() -> dict:
    box = {"boxstyle": "circle,pad=0.25", "facecolor": ORANGE, "edgecolor": "black"}
    return {"ha": "center", "va": "center", "fontsize": 11, "color": "black", "bbox": box}
