"""Figures that several lessons share: patches and similarities, small graphs, and clusters in colours.

A place in a picture is given as shares of its height and width, so that it means the same in every grid.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor
from torch.nn import functional

from deepcut_lib.clustering import by_size
from deepcut_lib.features import PatchFeatures, normalize, pca_rgb, upsample
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.pictures import overlay
from deepcut_lib.plots.style import ATTRACTS, ON_WHITE, REPELS, SIGNED
from deepcut_lib.segmentation import Segmentation

Array = np.ndarray | Tensor

Place = tuple[float, float]
"""(down, across) as shares of the picture's height and width, 0…1."""


def as_numpy(values: Array) -> np.ndarray:
    """An array, or a tensor wherever it lives, as an array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


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


def patch_under(features: PatchFeatures, x: float, y: float) -> tuple[int, int]:
    """The (row, column) of the patch whose centre is nearest to a pixel, also to one beside the picture."""
    height, width = features.image_size
    return patch_at(features, (min(max(y / height, 0), 1), min(max(x / width, 0), 1)))


def percent_at(features: PatchFeatures, x: float, y: float) -> dict[str, int]:
    """Where the patch under a pixel has its centre, "down" and "across" in whole per cents of the picture.

    They are those of its centre, or they would not always lie inside the patch.
    """
    return _percent(features, patch_under(features, x, y))


def percent_beside(features: PatchFeatures, place: Place, down: int, across: int) -> dict[str, int]:
    """The same of the patch so many steps from the one at a place, or of the last one on the way there."""
    row, column = patch_at(features, place)
    h, w = features.grid
    return _percent(features, (min(max(row + down, 0), h - 1), min(max(column + across, 0), w - 1)))


def _percent(features: PatchFeatures, patch: tuple[int, int]) -> dict[str, int]:
    left, top, width, height = patch_box(features, patch)
    return {
        "down": round(100 * (top + height / 2) / features.image_size[0]),
        "across": round(100 * (left + width / 2) / features.image_size[1]),
    }


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


def frame_patch(axes: Axes, features: PatchFeatures, patch: tuple[int, int], *, linewidth: float = 2) -> None:
    """A black frame with a white rim round the patch in (row, column), on a picture of these features."""
    x, y, width, height = patch_box(features, patch)
    for colour, line in (("white", 2 * linewidth), ("black", linewidth)):
        axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=line))


def show_similarity(axes: Axes, similarity: np.ndarray, title: str) -> None:
    """An H×W map of similarities in −1…1 on axes without ticks."""
    show(axes, similarity, title, cmap=SIGNED.cmap, norm=SIGNED.norm, interpolation="nearest")


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
    for empty in axes.flat[len(shown) :]:
        empty.set_axis_off()
    for at, (title, panel) in zip(axes.flat, shown.items(), strict=False):
        if panel.ndim == 2:
            show_similarity(at, panel, title)
        else:
            photograph = isinstance(panels[title], Image.Image)
            show(at, panel, title, interpolation=None if photograph else "nearest")
        if place is not None:
            for colour, line in (("white", 4), ("black", 2)):
                at.plot(
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


def overview_figure(picture: Image.Image, found: Segmentation, affinity: Array) -> Figure:
    """The method's steps on one picture, as Figure 1 of the paper draws them.

    Args:
        picture: H×W RGB.
        found: what `segment` made of it.
        affinity: n×n of its patches, as the loss sees them.
    """
    features = found.features
    order = np.argsort(found.labels.ravel(), kind="stable")
    pairs = as_numpy(affinity)[np.ix_(order, order)]
    figure = blank(None, 6.2)
    figure.set_layout_engine("constrained", wspace=0.12, hspace=0.08)  # room for the arrows
    axes = figure.subplots(2, 3)
    show(axes[0, 0], picture, "picture, in patches (1)")
    for patch in np.ndindex(*features.grid):
        x, y, width, height = patch_box(features, patch)
        axes[0, 0].add_patch(Rectangle((x, y), width, height, fill=False, edgecolor="white", linewidth=0.3))
    colours = upsample(pca_rgb(features), features)
    show(axes[0, 1], colours, "features F, as colours (1)", interpolation="nearest")
    largest = np.quantile(np.abs(pairs), 0.99)
    show(axes[0, 2], pairs, "graph: W = FFᵀ (2)", cmap=SIGNED.cmap, vmin=-largest, vmax=largest)
    shares = upsample(found.probability, features)
    show(axes[1, 0], shares, "network: assignments S (3)", cmap="cividis", vmin=0, vmax=1)
    axes[1, 0].set_xlabel("share of foreground: blue 0, yellow 1")
    show(axes[1, 1], overlay(picture, found.coarse_mask), "foreground (4)")
    show(axes[1, 2], overlay(picture, found.mask, found.box), "box, and mask by the solver (4, 5)")
    axes[0, 2].set_xlabel("patches, by cluster")
    for left in axes[:, :2].flat:
        left.annotate(
            "", (1.12, 0.5), (1.0, 0.5), "axes fraction", arrowprops={"arrowstyle": "-|>", "linewidth": 1.5}
        )
    return figure


def four_nodes(
    affinities: Sequence[Array], titles: Sequence[str], colours: Array, *, figure: Figure | None = None
) -> Figure:
    """Graphs of the four patches of a 2×2 picture: an edge's width is its size, its colour its sign.

    Args:
        affinities: 4×4 matrices, one for each panel; edges of 0 are not drawn.
        titles: one for each panel.
        colours: 2×2×3, the picture.
        figure: to draw in.
    """
    figure = blank(figure, 3.2)
    panels = figure.subplots(1, len(affinities), squeeze=False)[0]
    largest = max(float(np.abs(as_numpy(affinity)).max()) for affinity in affinities)
    for axes, affinity, title in zip(panels, affinities, titles, strict=True):
        _four_nodes(axes, as_numpy(affinity), as_numpy(colours).reshape(4, 3), largest)
        axes.set_title(title, fontsize=11)
    return figure


def _four_nodes(axes: Axes, affinity: np.ndarray, colours: np.ndarray, largest: float) -> None:
    places = np.array([(0, 1), (1, 1), (0, 0), (1, 0)], float)
    for i in range(4):
        for j in range(i + 1, 4):
            weight = affinity[i, j]
            if weight == 0:
                continue
            colour = ATTRACTS if weight > 0 else REPELS
            axes.plot(*places[[i, j]].T, color=colour, linewidth=9 * abs(weight) / largest, zorder=1)
            # the diagonals cross in the middle: their numbers stand a third of the way along
            at = places[i] + (0.5 if i + j != 3 else 0.33) * (places[j] - places[i])
            axes.text(
                at[0],
                at[1],
                f"{weight:+.3g}".replace("-", "−"),
                fontsize=12,
                ha="center",
                va="center",
                bbox=_plate(colour),
            )
    for i, (x, y) in enumerate(places):
        axes.add_patch(Rectangle((x - 0.19, y - 0.19), 0.38, 0.38, color=colours[i], ec="black", zorder=3))
        axes.text(x, y + 0.05, f"{i}", fontsize=15, weight="bold", ha="center", va="center", zorder=4)
        axes.text(x, y - 0.1, f"self {affinity[i, i]:.3g}", fontsize=10, ha="center", va="center", zorder=4)
    axes.set(xlim=(-0.25, 1.25), ylim=(-0.25, 1.25), aspect="equal")
    axes.axis("off")


def _plate(colour: object) -> dict[str, object]:
    return {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour}


def clusterings_figure(
    points: ArrayLike, labels: Mapping[str, np.ndarray], *, figure: Figure | None = None
) -> Figure:
    """The same points in the plane under several clusterings.

    Args:
        points: n×2.
        labels: (n,) clusters by title.
        figure: to draw in.
    """
    figure = blank(figure, 2.7)
    x, y = np.asarray(points).T
    for axes, (title, clusters) in zip(
        figure.subplots(1, len(labels), sharey=True, squeeze=False)[0], labels.items(), strict=True
    ):
        axes.scatter(
            x, y, s=14, color=ON_WHITE[np.unique(clusters, return_inverse=True)[1]], edgecolor="black", lw=0.3
        )
        axes.set_aspect("equal")
        axes.set_xlabel("feature 1")
        axes.set_title(title, fontsize=11)
    figure.axes[0].set_ylabel("feature 2")
    return figure


def colours_by_size(labels: np.ndarray) -> np.ndarray:
    """h×w labels as h×w×3 colours in 0…1, the largest cluster in the palette's first."""
    return ON_WHITE[by_size(labels)]
