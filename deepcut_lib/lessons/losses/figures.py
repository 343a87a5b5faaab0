"""Figures of lesson 3: one step of graph convolution, what the losses prefer, assignments as they form."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike
from PIL import Image

from deepcut_lib.lessons.common.figures import colours_by_size
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.style import BLUE, GREEN, GREY, ON_WHITE, ORANGE


def step_figure(
    points: ArrayLike,
    moved: Mapping[str, ArrayLike],
    affinity: ArrayLike,
    names: Sequence[str],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Nodes with two features each, their graph, and where one step of message passing moves them.

    Args:
        points: F, n×2.
        moved: where each way of aggregating moves them, n×2, by title.
        affinity: W, n×n.
        names: of the n nodes.
        figure: to draw in.
    """
    figure = blank(figure, 3.4)
    points, affinity = np.asarray(points), np.asarray(affinity)
    graph, *steps = figure.subplots(1, 1 + len(moved), sharex=True, sharey=True)
    bonds = np.triu(affinity, 1)
    for i, j in zip(*np.nonzero(bonds), strict=True):
        graph.plot(*points[[i, j]].T, color=GREY, linewidth=1 + 6 * bonds[i, j] / bonds.max(), zorder=0)
        label = {"ha": "center", "va": "center", "fontsize": 11, "bbox": {"color": "white", "pad": 1.5}}
        graph.text(*points[[i, j]].mean(0), f"{bonds[i, j]:g}", **label)
    for axes in (graph, *steps):
        axes.scatter(*points.T, s=240, color=BLUE, label="before: F")
        axes.set_xlabel("feature 1")
        axes.margins(0.15)
        for name, point in zip(names, points, strict=True):
            axes.text(*point, name, ha="center", va="center", color="white", fontsize=12, weight="bold")
    for axes, (title, after) in zip(steps, moved.items(), strict=True):
        for start, end in zip(points, np.asarray(after), strict=True):
            axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "shrinkA": 7, "shrinkB": 2})
        axes.scatter(
            *np.asarray(after).T, s=45, color=ORANGE, edgecolor="black", marker="s", label="after", zorder=3
        )
        axes.set_title(title, fontsize=12)
    steps[-1].legend(loc="upper right", fontsize=10)
    graph.set_ylabel("feature 2")
    graph.set_title("the graph, with affinities W", fontsize=12)
    return figure


def balance_figure(
    shares: ArrayLike,
    second_term: ArrayLike,
    right: ArrayLike,
    halves: ArrayLike,
    reached: ArrayLike,
    *,
    figure: Figure | None = None,
) -> Figure:
    """What the second term of Eq. 9 costs groups of unequal sizes, and what it makes of the loss.

    Args:
        shares: of the smaller group, 0 to 0.5.
        second_term: of the right cut, at each share.
        right: the loss of the right cut.
        halves: the loss of a cut into two equal halves.
        reached: the loss that the network reaches.
        figure: to draw in.
    """
    figure = blank(figure, 3.5)
    term, loss = figure.subplots(1, 2)
    term.plot(shares, second_term, "o-", color=BLUE)
    term.set_ylabel("second term")
    term.set_title("a perfect separation pays for its sizes", fontsize=12)
    loss.plot(shares, right, "o-", color=BLUE, label="the right cut")
    loss.plot(shares, halves, "s--", color=ORANGE, label="two equal halves")
    loss.plot(shares, reached, "^:", color=GREEN, label="what the network reaches")
    loss.set_ylabel("loss (Eq. 9)")
    loss.set_title("which cut has the least loss?", fontsize=12)
    loss.legend(fontsize=10)
    for axes in (term, loss):
        axes.set_xlabel("share of the smaller group")
    return figure


def surface_figure(surfaces: Mapping[str, ArrayLike], *, figure: Figure | None = None) -> Figure:
    """Losses of a graph of two nodes over a and b, S having the rows (a, 1−a) and (b, 1−b).

    Arrows point downhill; squares mark the least value.

    Args:
        surfaces: m×m losses by title; rows are a, columns b, both from 0 to 1.
        figure: to draw in.
    """
    figure = blank(figure, 3.6)
    panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
    for axes, (title, surface) in zip(panels, surfaces.items(), strict=True):
        values = np.asarray(surface)
        at = np.linspace(0, 1, len(values))
        levels = np.linspace(values.min(), values.max(), 21)
        filled = axes.contourf(at, at, values.T, levels=levels, cmap="viridis")
        few = np.linspace(0, len(values) - 1, 9).round().astype(int)[1:-1]
        along_a, along_b = (-slope[np.ix_(few, few)] for slope in np.gradient(values))
        length = np.maximum(np.hypot(along_a, along_b), 1e-9) ** 0.5  # else only the steepest would be seen
        axes.quiver(at[few], at[few], (along_a / length).T, (along_b / length).T, color="white", width=0.01)
        least = at[np.argwhere(np.isclose(values, values.min(), atol=1e-5))]
        size = 45 if len(least) <= 4 else 14
        axes.scatter(*least.T, s=size, color=ORANGE, marker="s", edgecolor="black", clip_on=False, zorder=3)
        axes.set_aspect("equal")
        axes.set_xlabel("a: node 1 in cluster 1")
        axes.set_title(title, fontsize=11)
        bar = figure.colorbar(filled, ax=axes, location="bottom", format="%.2f", ticks=levels[::10])
        bar.set_label("loss", fontsize=10)
    panels[0].set_ylabel("b: node 2 in cluster 1")
    return figure


def alpha_figure(
    alphas: Sequence[float],
    maps: Sequence[np.ndarray],
    shown: Sequence[float],
    *,
    figure: Figure | None = None,
) -> Figure:
    """How many clusters each alpha gives, and how large they are.

    Args:
        alphas: the values of alpha.
        maps: h×w labels found with each.
        shown: alphas whose maps are drawn beside the bars.
        figure: to draw in.
    """
    figure = blank(figure, 2.8)
    bars, *panels = figure.subplots(1, 1 + len(shown), width_ratios=[1.3, *[1.0] * len(shown)])
    for x, labels in enumerate(maps):
        sizes = np.sort(np.unique(labels, return_counts=True)[1])[::-1] / labels.size
        bottom = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        bars.bar(x, sizes, bottom=bottom, color=ON_WHITE[: len(sizes)], edgecolor="black", linewidth=0.6)
        bars.text(x, 1.02, str(len(sizes)), ha="center", fontsize=11)
    bars.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    bars.set_ylim(0, 1.12)
    bars.set_xlabel("alpha")
    bars.set_ylabel("share of the patches")
    bars.set_title("clusters found, and their sizes", fontsize=11)
    for axes, alpha in zip(panels, shown, strict=True):
        show(axes, colours_by_size(maps[list(alphas).index(alpha)]), f"alpha {alpha:g}")
    return figure


def certainty(assignment: np.ndarray) -> np.ndarray:
    """Soft assignments as colours: each patch in its leading cluster's colour, the paler the less decided.

    Args:
        assignment: h×w×K, K at most 10.

    Returns:
        h×w×3, in 0…1; white where all clusters are equal.
    """
    clusters = assignment.shape[-1]
    lead = (assignment.max(-1) * clusters - 1) / max(clusters - 1, 1)
    strength = np.clip(lead, 0, 1)[..., None]
    return np.clip(strength * ON_WHITE[assignment.argmax(-1)] + (1 - strength), 0, 1)


def epochs_figure(
    picture: Image.Image, maps: Mapping[str, np.ndarray], *, figure: Figure | None = None
) -> Figure:
    """A picture, and its soft assignments at several times.

    Args:
        picture: the picture.
        maps: h×w×K assignments by title.
        figure: to draw in.
    """
    figure = blank(figure, WIDTH / (len(maps) + 1) + 0.4)
    axes = figure.subplots(1, len(maps) + 1)
    show(axes[0], picture, "picture")
    for panel, (title, assignment) in zip(axes[1:], maps.items(), strict=True):
        show(panel, certainty(assignment), title)
    return figure


def training_figure(
    picture: Image.Image,
    assignment: np.ndarray,
    curves: Mapping[str, ArrayLike],
    epoch: int,
    title: str = "",
    *,
    figure: Figure | None = None,
) -> Figure:
    """One moment of the optimisation: the assignments, cluster by cluster, and how far the loss has come.

    Args:
        picture: the picture.
        assignment: S on the grid, h×w×K, after `epoch` steps.
        curves: the loss and its terms by name, each (E+1,), from before the first step to after the last.
        epoch: how many steps were made.
        title: above all.
        figure: to draw in.
    """
    figure = blank(figure, 4.2)
    figure.suptitle(title, fontsize=12)
    grid = figure.add_gridspec(1, 3, width_ratios=[1.0, 1.75, 1.45])
    left, middle, right = (figure.add_subfigure(grid[0, column]) for column in range(3))
    top, bottom = left.subplots(2, 1)
    show(top, picture, "picture")
    show(bottom, certainty(assignment), "leading cluster")
    _cluster_maps(middle, assignment)
    axes = right.subplots()
    for (name, values), colour in zip(curves.items(), (ON_WHITE[7], BLUE, ORANGE), strict=False):
        axes.plot(values, color=colour, label=name)
        axes.plot(epoch, np.asarray(values)[epoch], "o", color=colour)
    axes.axvline(epoch, color=GREY, zorder=0)
    axes.set_xlabel("epoch")
    axes.set_title(f"after {epoch} epochs", fontsize=11)
    axes.legend(fontsize=10)
    return figure


def _cluster_maps(panel: SubFigure, assignment: np.ndarray) -> None:
    """Each cluster's share of every patch, with one colour bar for all."""
    clusters = assignment.shape[-1]
    columns = {1: 1, 2: 1, 3: 2, 4: 2}.get(clusters, 3 if clusters < 10 else 4)
    axes = panel.subplots(-(-clusters // columns), columns, squeeze=False).ravel()
    patches = np.bincount(assignment.argmax(-1).ravel(), minlength=clusters)
    for k, cluster in enumerate(axes):
        if k >= clusters:
            cluster.set_axis_off()
            continue
        show(cluster, assignment[..., k], f"{k + 1}: {patches[k]}", vmin=0, vmax=1, cmap="viridis")
        for spine in cluster.spines.values():
            spine.set(color=ON_WHITE[k], linewidth=3)
    bar = panel.colorbar(axes[0].images[0], ax=list(axes), location="bottom", shrink=0.8, aspect=30)
    bar.set_label("share in cluster (number: patches it leads)")
