"""Figures of lesson 9: intervals, paired differences, and two methods on one picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.evaluation.spread import Interval, bootstrap
from deepcut_lib.lessons.common.masks import Panel, outline, show_mask
from deepcut_lib.plots.figure import blank, show
from deepcut_lib.plots.style import BLUE, COLOURS, GREY, MARKERS, ORANGE, TRUE


def resamples_figure(
    panels: Mapping[str, tuple[np.ndarray, Interval]], *, figure: Figure | None = None
) -> Figure:
    """How means of resampled pictures are spread, and where the middle 95 % of them lie.

    Args:
        panels: by title the means, and the interval.
        figure: to draw in.
    """
    figure = blank(figure, 2.9)
    for axes, (title, (means, interval)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        axes.hist(means, bins=24, color=BLUE, alpha=0.75)
        axes.axvspan(*interval, color=ORANGE, alpha=0.3)
        axes.axvline(float(np.mean(means)), color="black", linewidth=2)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("mean IoU of a resample", fontsize=11)
        axes.set_ylabel("resamples", fontsize=11)
    return figure


def intervals_figure(
    rows: Mapping[str, Mapping[str, tuple[float, Interval]]],
    label: str,
    *,
    line: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """A row for each method or pair, and in it a mark with its interval for each set.

    Args:
        rows: by title the (mean, interval) of each set, by its name; sets may be missing.
        label: what is measured.
        line: where a vertical line is to be seen, such as 0 where differences are shown.
        figure: to draw in.
    """
    sets = list(dict.fromkeys(name for row in rows.values() for name in row))
    figure = blank(figure, 1.2 + 0.32 * len(rows) + 0.13 * len(rows) * len(sets))
    axes = figure.subplots()
    if line is not None:
        axes.axvline(line, color="0.4", linewidth=1.5)
    for index, name in enumerate(sets):
        shift = 0.6 * ((index + 0.5) / len(sets) - 0.5)
        present = [(at + shift, *row[name]) for at, row in enumerate(rows.values()) if name in row]
        places, means, intervals = zip(*present, strict=True)
        reach = np.abs(np.array(intervals) - np.array(means)[:, None]).T
        axes.errorbar(
            means,
            places,
            xerr=reach,
            fmt=MARKERS[index % len(MARKERS)],
            color=COLOURS[index],
            markersize=6,
            capsize=3,
            label=name,
        )
    axes.set_yticks(range(len(rows)), rows, fontsize=10)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(label, fontsize=11)
    axes.grid(axis="x", alpha=0.3)
    if len(sets) > 1:
        figure.legend(loc="outside upper center", ncols=len(sets), frameon=False, fontsize=10)
    return figure


def differences_figure(
    differences: Mapping[str, float], pair: tuple[str, str], *, figure: Figure | None = None
) -> Figure:
    """Each picture's difference between two methods, sorted, and the mean with its interval.

    Args:
        differences: the first's IoU minus the second's, by picture.
        pair: what the two are called.
        figure: to draw in.
    """
    figure = blank(figure, 3.0)
    _differences(figure.subplots(), differences, pair)
    return figure


def share_figure(
    true_share: np.ndarray, found_share: Mapping[str, np.ndarray], *, figure: Figure | None = None
) -> Figure:
    """How much of each picture is found to be foreground, over how much of it is.

    Args:
        true_share: of each picture, 0…1.
        found_share: the same length, by method.
        figure: to draw in.
    """
    figure = blank(figure, 3.4)
    panels = figure.subplots(1, len(found_share), sharex=True, sharey=True, squeeze=False)[0]
    for index, (axes, (method, shares)) in enumerate(zip(panels, found_share.items(), strict=True)):
        axes.plot([0, 0.5], [0, 0.5], color="0.5", linestyle=":")
        axes.text(0.36, 0.36, "right size ", fontsize=10, ha="left", va="top", color="0.35")
        axes.plot(true_share, shares, MARKERS[index], color=COLOURS[index], markersize=5, alpha=0.7)
        axes.set_title(method, fontsize=11)
        axes.set_xlabel("true share", fontsize=11)
        axes.set_xlim(0, 0.5)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("share of the picture found", fontsize=11)
    panels[0].set_ylim(bottom=0)
    return figure


def versus_figure(
    picture: Image.Image,
    truth: np.ndarray | None,
    masks: Mapping[str, np.ndarray],
    differences: Mapping[str, float],
    chosen: str,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Two methods on one picture, above their differences on all.

    Args:
        picture: H×W RGB.
        truth: H×W bool, or None.
        masks: the two methods' masks by their names, H×W bool.
        differences: the first's IoU minus the second's, by picture.
        chosen: the name of this picture; it need not be among them.
        figure: to draw in.
    """
    figure = blank(figure, 5.2)
    places = figure.add_gridspec(2, 3, height_ratios=(1.1, 1))
    axes = [figure.add_subplot(places[0, column]) for column in range(3)]
    show(axes[0], picture, chosen)
    outline(axes[0], truth, TRUE)
    for place, (method, mask) in zip(axes[1:], masks.items(), strict=True):
        show_mask(place, Panel(method, picture, mask, truth))
    bars = figure.add_subplot(places[1, :])
    first, second = masks
    _differences(bars, differences, (first, second), chosen)
    bars.set_label("differences")
    return figure


def in_order(differences: Mapping[str, float]) -> list[str]:
    """The pictures as the bars show them, from the least difference to the largest."""
    return sorted(differences, key=lambda name: (differences[name], name))


def _differences(
    axes: Axes, differences: Mapping[str, float], pair: Sequence[str], chosen: str | None = None
) -> None:
    names = in_order(differences)
    values = np.array([differences[name] for name in names])
    colours = [BLUE if value > 0 else GREY for value in values]
    if chosen in names:
        colours[names.index(chosen)] = ORANGE
    axes.bar(np.arange(len(names)), values, color=colours, width=0.8)
    axes.axhline(0, color="black", linewidth=1)
    mean, (low, high) = float(values.mean()), bootstrap(values.tolist())
    axes.axhspan(low, high, color=ORANGE, alpha=0.3)
    axes.axhline(mean, color=ORANGE, linewidth=2)
    kinds = "better" if low > 0 else "worse" if high < 0 else "neither better nor worse"
    axes.set_title(
        f"{len(names)} pictures, mean {mean:+.3f} [{low:+.3f}, {high:+.3f}]: the first is {kinds}",
        fontsize=11,
    )
    axes.set_xlabel("pictures, sorted", fontsize=11)
    axes.set_xticks([])
    axes.set_xlim(-0.7, len(names) - 0.3)
    axes.set_ylabel(f"IoU: {pair[0]}\n− {pair[1]}", fontsize=9)
    axes.grid(axis="y", alpha=0.3)
