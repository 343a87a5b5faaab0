"""Figures of lesson 1: patches, features as colours, and the similarity of one patch to all others.

A place in a picture is given as shares of its height and width, so that it means the same in every grid.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch.nn import functional

from deepcut_lib.features import PatchFeatures, normalize, upsample
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import PALETTE

Place = tuple[float, float]
"""(down, across) as shares of the picture's height and width, 0…1."""

SIGNED = ScalarMappable(Normalize(-1, 1), "PuOr_r")
"""Colours of a cosine similarity: orange for similar, white for 0, purple for opposite."""

COLOURS = [tuple(colour / 255) for colour in PALETTE]
MARKERS = "osD^v"


def patch_at(features: PatchFeatures, place: Place) -> tuple[int, int]:
    """The (row, column) of the patch whose centre is nearest to a place.

    Raises:
        ValueError: the place lies outside the picture.
    """
    if not all(0 <= share <= 1 for share in place):
        raise ValueError(f"the place {place} lies outside the picture; give shares of its sides, 0 to 1")
    overlap = features.patch_size / features.stride
    nearest = (
        int(np.clip(np.floor(share * (cells - 1 + overlap) - (overlap - 1) / 2), 0, cells - 1))
        for share, cells in zip(place, features.grid, strict=True)
    )
    row, column = nearest
    return row, column


def patch_box(features: PatchFeatures, patch: tuple[int, int]) -> tuple[float, float, float, float]:
    """(x, y, width, height) of a patch, in pixels of the picture."""
    overlap = features.patch_size / features.stride
    (y, height), (x, width) = (
        (at * size / (cells - 1 + overlap), overlap * size / (cells - 1 + overlap))
        for at, size, cells in zip(patch, features.image_size, features.grid, strict=True)
    )
    return x, y, width, height


def similarity_map(features: PatchFeatures, place: Place, *, centred: bool = True) -> np.ndarray:
    """The cosine similarity of the patch at a place to all patches, at the picture's size: H×W in −1…1.

    Args:
        features: of the picture.
        place: of the patch, (down, across) as shares.
        centred: subtract the mean over the picture first, as `normalize` does.
    """
    row, column = patch_at(features, place)
    units = normalize(features.values, 1.0) if centred else functional.normalize(features.values, dim=1)
    similarity = units @ units[row * features.grid[1] + column]
    return upsample(features.to_map(similarity), features)


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
        left.add_patch(Rectangle((x, y), 2, 2, fill=False, edgecolor=COLOURS[1], linewidth=4))
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
        whole.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=COLOURS[1], linewidth=2))
        side = 1 if x < picture.width / 2 else -1
        whole.text(x + width / 2 + side * 36, y + height / 2, letter, **_badge())
        crop = picture.crop((round(x), round(y), round(x + width), round(y + height)))
        axes = figure.add_subplot(grid[line, 1])
        show(axes, crop, interpolation="nearest")
        axes.set_ylabel(letter, fontsize=13, rotation=0, labelpad=14, va="center")
    return figure


def panels_figure(
    panels: Mapping[str, np.ndarray | Image.Image],
    *,
    place: Place | None = None,
    columns: int = 3,
    figure: Figure | None = None,
) -> Figure:
    """Pictures and similarity maps of one size in rows, under their names.

    Args:
        panels: by title; H×W×3 colours, or H×W similarities in −1…1.
        place: to mark in every panel, or None.
        columns: panels in a row.
        figure: to draw in.
    """
    shown = {title: np.asarray(panel) for title, panel in panels.items()}
    height, width = next(iter(shown.values())).shape[:2]
    rows = -(-len(shown) // columns)
    figure = blank(figure, rows * (WIDTH / columns * height / width * 0.97 + 0.3))
    figure.set_layout_engine("compressed")
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.flat[len(shown) :]:
        one.set_axis_off()
    for one, (title, panel) in zip(axes.flat, shown.items(), strict=False):
        if panel.ndim == 2:
            _show_similarity(one, panel, title)
        else:
            show(
                one, panel, title, interpolation=None if isinstance(panels[title], Image.Image) else "nearest"
            )
        if place is not None:
            for colour, line in (("white", 4), ("black", 2)):
                one.plot(
                    place[1] * width,
                    place[0] * height,
                    marker="o",
                    markersize=10,
                    markerfacecolor="none",
                    markeredgecolor=colour,
                    markeredgewidth=line,
                )
    if any(panel.ndim == 2 for panel in shown.values()):
        label = "cosine similarity"
        if len(shown) < axes.size:  # a free cell has room for it
            bar = axes.flat[-1].inset_axes((0.08, 0.5, 0.84, 0.1))
            figure.colorbar(SIGNED, cax=bar, label=label, orientation="horizontal")
        else:
            figure.colorbar(SIGNED, ax=axes, label=label, shrink=0.8, aspect=30)
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
    _show_similarity(right, similarity, name or features.backbone)
    for axes in (left, right):
        _frame(axes, patch_box(features, (row, column)))
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


def _frame(axes: Axes, box: tuple[float, float, float, float]) -> None:
    x, y, width, height = box
    for colour, line in (("white", 4), ("black", 2)):
        axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=line))


def _show_similarity(axes: Axes, similarity: np.ndarray, title: str) -> None:
    show(axes, similarity, title, cmap=SIGNED.cmap, norm=SIGNED.norm, interpolation="nearest")


def _badge() -> dict:
    box = {"boxstyle": "circle,pad=0.25", "facecolor": COLOURS[1], "edgecolor": "black"}
    return {"ha": "center", "va": "center", "fontsize": 11, "color": "black", "bbox": box}
