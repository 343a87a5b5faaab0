"""Figures of lesson 8: scores of backbones, their negative affinities (§6), one picture through two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from PIL import Image

from deepcut_lib.clustering import by_size
from deepcut_lib.features import pca_rgb, upsample
from deepcut_lib.graphs import Graph, cc_graph
from deepcut_lib.lessons.common.figures import Place, frame_patch, patch_at, similarity_map
from deepcut_lib.metrics import Box, box_iou, mask_iou
from deepcut_lib.plots.figure import WIDTH, blank, show
from deepcut_lib.plots.pictures import label_picture, overlay
from deepcut_lib.plots.style import COLOURS, MARKERS, SIGNED
from deepcut_lib.segmentation import Segmentation

Colour = tuple[float, float, float] | str

NCUT, CC = COLOURS[0], COLOURS[1]
SHARES = {"negative": COLOURS[2], "shifted": COLOURS[3]}


class BackboneOutcome(NamedTuple):
    """What one backbone's features, made ready in one way, led to: (m,) arrays, a number for each picture.

    Attributes:
        backbone: its name.
        centred: whether the features were centred over the picture.
        negative: share of negative entries of FFᵀ (Eq. 5).
        shifted: the same after the shift of Eq. 7.
        clusters: how many clusters correlation clustering found.
        ncut_box, cc_box: IoU of the box that each loss led to.
        ncut_mask, cc_mask: IoU of the mask.
    """

    backbone: str
    centred: bool
    negative: np.ndarray
    shifted: np.ndarray
    clusters: np.ndarray
    ncut_box: np.ndarray
    cc_box: np.ndarray
    ncut_mask: np.ndarray
    cc_mask: np.ndarray

    def gap(self, measure: str) -> np.ndarray:
        """How far correlation clustering's IoU lies above N-cut's, (m,); `measure` is "box" or "mask"."""
        return np.asarray(getattr(self, f"cc_{measure}") - getattr(self, f"ncut_{measure}"))


class Curve(NamedTuple):
    """Scores along a sweep of α.

    Attributes:
        name: what is swept.
        alphas: (a,) values of α.
        shares: (a,) the share of negative affinities that each leaves after Eq. 7.
        scores: (a,) IoU of correlation clustering.
        ncut: the IoU of N-cut, which has no α.
    """

    name: str
    alphas: Sequence[float]
    shares: Sequence[float]
    scores: Sequence[float]
    ncut: float


def outcomes_figure(
    outcomes: Sequence[BackboneOutcome],
    *,
    measure: str = "box",
    floor: float = 0.0,
    figure: Figure | None = None,
) -> Figure:
    """A row for each backbone: its negative affinities and the IoU of both losses, not centred and centred.

    Args:
        outcomes: of each backbone, not centred and centred.
        measure: "box" or "mask".
        floor: the IoU of an answer that knows nothing, drawn as a line.
        figure: to draw in.
    """
    names = list(dict.fromkeys(outcome.backbone for outcome in outcomes))
    figure = blank(figure, 1.6 + 0.3 * len(names))
    panels = figure.subplots(1, 3, sharey=True)
    for axes, centred in zip(panels[1:], (False, True), strict=True):
        for outcome in outcomes:
            if outcome.centred != centred:
                continue
            row = names.index(outcome.backbone)
            ncut, cc = (np.mean(getattr(outcome, f"{loss}_{measure}")) for loss in ("ncut", "cc"))
            _dumbbell(axes, row, (ncut, NCUT, "o"), (cc, CC, "s"))
        if floor:
            axes.axvline(floor, color="black", linestyle=":", linewidth=1.5, zorder=0)
        axes.set_xlabel(f"mean {measure} IoU", fontsize=11)
        axes.set_title("centred" if centred else "not centred", fontsize=11)
    for outcome in outcomes:
        row = names.index(outcome.backbone)
        fill = None if outcome.centred else "white"
        for key, shift, marker in (("negative", -0.17, "D"), ("shifted", 0.17, "^")):
            _mark(panels[0], np.mean(getattr(outcome, key)), row + shift, SHARES[key], marker, fill)
    panels[0].set_title("negative affinities", fontsize=11)
    panels[0].set_xlabel("share of pairs", fontsize=11)
    panels[0].set_yticks(range(len(names)), names, fontsize=11)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for axes in panels:
        axes.set_xlim(-0.04, 1.04)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [
        _handle("of FFᵀ (Eq. 5)", SHARES["negative"], "D"),
        _handle("after Eq. 7", SHARES["shifted"], "^"),
        _handle("hollow: not centred", "black", "o", "white"),
        _handle("N-cut", NCUT, "o"),
        _handle("CC", CC, "s"),
    ]
    if floor:
        handles.append(Line2D([], [], color="black", linestyle=":", label="the whole picture"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def gap_figure(
    outcomes: Sequence[BackboneOutcome],
    group: Callable[[str], str],
    paper: Mapping[str, tuple[float, float]],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Negative share of FFᵀ against how far CC lies above N-cut, for boxes and for masks.

    Args:
        outcomes: of each backbone, not centred and centred; a line joins the two.
        group: what a backbone belongs to, by name: each group has a colour.
        paper: the paper's points (share, box IoU of CC minus that of N-cut), by name.
        figure: to draw in.
    """
    figure = blank(figure, 4.0)
    panels = figure.subplots(1, 2)
    groups = list(dict.fromkeys(group(outcome.backbone) for outcome in outcomes))
    colours = dict(zip(groups, COLOURS[:4], strict=False))
    for axes, measure in zip(panels, ("box", "mask"), strict=True):
        for name in dict.fromkeys(outcome.backbone for outcome in outcomes):
            ways = [outcome for outcome in outcomes if outcome.backbone == name]
            points = [(np.mean(way.negative), np.mean(way.gap(measure))) for way in ways]
            axes.plot(*zip(*points, strict=True), color="0.8", linewidth=1, zorder=1)
            for way, (share, gap) in zip(ways, points, strict=True):
                error = np.std(way.gap(measure), ddof=1) / len(way.negative) ** 0.5
                axes.errorbar(share, gap, error, color="0.6", linewidth=1, zorder=2)
                colour = colours[group(name)]
                marker = MARKERS[groups.index(group(name)) % len(MARKERS)]
                _mark(axes, share, gap, colour, marker, None if way.centred else "white")
        if measure == "box":
            for name, (share, gap) in paper.items():
                _mark(axes, share, gap, "black", "*", None, 12)
                axes.annotate(name, (share, gap), (7, -4), textcoords="offset points", fontsize=10)
        axes.axhline(0, color="black", linewidth=1)
        axes.set_xlim(-0.03, 0.65)
        axes.set_xlabel("share of negative affinities, FFᵀ", fontsize=11)
        axes.set_ylabel(f"{measure} IoU: CC minus N-cut", fontsize=11)
        axes.grid(alpha=0.3)
    low, high = zip(*(axes.get_ylim() for axes in panels), strict=True)
    for axes in panels:
        axes.set_ylim(min(low), max(high))
    handles = [_handle(name, colours[name], MARKERS[i % len(MARKERS)]) for i, name in enumerate(groups)]
    handles += [
        _handle("hollow: not centred", "black", "o", "white"),
        _handle("the paper's (VOC07, ViT-B/16)", "black", "*"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def dose_figure(
    curves: Mapping[str, Sequence[Curve]], *, floors: Mapping[str, float], figure: Figure | None = None
) -> Figure:
    """IoU of correlation clustering against the negative affinities that α leaves it.

    Args:
        curves: by the measure that is on the axis, a panel each. N-cut's IoU is a dashed line.
        floors: by measure, the IoU of an answer that knows nothing.
        figure: to draw in.
    """
    figure = blank(figure, 3.9)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (measure, sweeps) in zip(panels, curves.items(), strict=True):
        for sweep, colour, marker in zip(sweeps, (COLOURS[5], COLOURS[0], COLOURS[2]), MARKERS, strict=False):
            axes.plot(sweep.shares, sweep.scores, color=colour, marker=marker, label=f"CC, {sweep.name}")
            axes.axhline(sweep.ncut, color=colour, linestyle="--", linewidth=1.5)
        _write_alphas(axes, sweeps[0], COLOURS[5])
        if floors.get(measure):
            axes.axhline(floors[measure], color="black", linestyle=":", linewidth=1.5)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.14, 1.0))
        axes.set_xlabel("share of negative affinities after Eq. 7", fontsize=11)
        axes.set_ylabel(f"mean {measure} IoU", fontsize=11)
        axes.grid(alpha=0.3)
    handles = [*panels[0].get_legend_handles_labels()[0]]
    handles.append(Line2D([], [], color="0.3", linestyle="--", label="N-cut, in the same colours"))
    if any(floors.values()):
        handles.append(Line2D([], [], color="black", linestyle=":", label="the whole picture"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


def clusters_figure(
    rows: Mapping[str, Mapping[str, Segmentation | Image.Image]], *, figure: Figure | None = None
) -> Figure:
    """Clusters of one picture, backbones in rows and ways to cut in columns.

    Args:
        rows: by backbone and by the name of the column, a segmentation; a picture is shown as it is.
        figure: to draw in.
    """
    columns = list(next(iter(rows.values())))
    first = next(iter(next(iter(rows.values())).values()))
    height, width = (first.height, first.width) if isinstance(first, Image.Image) else first.mask.shape
    each = (WIDTH - 0.5) / len(columns) * height / width
    figure = blank(figure, 0.4 + len(rows) * (each + 0.25))
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (name, row) in enumerate(rows.items()):
        for column, shown in enumerate(row.values()):
            picture = shown if isinstance(shown, Image.Image) else label_picture(_numbered(shown))
            title = columns[column] if line == 0 else ""
            show(axes[line, column], picture, title)
            if not isinstance(shown, Image.Image):
                count = f"{shown.n_clusters} cluster" + "s" * (shown.n_clusters > 1)
                axes[line, column].set_xlabel(count, fontsize=10)
        axes[line, 0].set_ylabel(name, fontsize=11)
    return figure


def two_backbones(
    picture: Image.Image,
    segmentations: Sequence[Segmentation],
    place: Place,
    *,
    truth: np.ndarray | None = None,
    true_box: Box | None = None,
    alpha: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """One picture through two backbones: colours of the features, clusters, mask with box, similarity.

    Args:
        picture: H×W RGB.
        segmentations: by each backbone; their `features` are as they were clustered.
        place: of the patch whose similarity is shown, (down, across) as shares.
        truth: the true mask, H×W bool, or None.
        true_box: the true box, or None.
        alpha: of Eq. 7, if the clusters come from correlation clustering.
        figure: to draw in.
    """
    figure = blank(figure, 4.3)
    figure.set_layout_engine("none")
    for half, segmentation in enumerate(segmentations):
        features = segmentation.features
        patch = patch_at(features, place)
        left = 0.01 + 0.5 * half
        figure.text(left, 0.955, features.backbone, fontsize=12, weight="bold")
        figure.text(left, 0.905, _shares(segmentation, alpha), fontsize=10)
        figure.text(left, 0.86, _scores(segmentation, truth, true_box), fontsize=10)
        panels = {
            "features as colours": upsample(pca_rgb(features), features),
            f"clusters: {segmentation.n_clusters}": label_picture(_numbered(segmentation)),
            "mask and box": overlay(picture, segmentation.mask, segmentation.box),
            "similarity to one patch": similarity_map(features, place, centred=False),
        }
        for index, (title, panel) in enumerate(panels.items()):
            row, column = divmod(index, 2)
            frame = (left + 0.243 * column, 0.475 - 0.382 * row, 0.236, 0.32)
            axes = figure.add_axes(frame, label=title)
            signed = {"cmap": SIGNED.cmap, "norm": SIGNED.norm} if index == 3 else {}
            show(axes, panel, title, **signed)
            axes.title.set_fontsize(10)
            frame_patch(axes, features, patch, linewidth=1.5)
    bar = figure.add_axes((0.36, 0.047, 0.28, 0.02))
    figure.colorbar(SIGNED, cax=bar, orientation="horizontal", ticks=[-1, 0, 1])
    figure.text(0.35, 0.045, "cosine similarity", fontsize=10, ha="right")
    return figure


def _shares(segmentation: Segmentation, alpha: float | None) -> str:
    values = segmentation.features.values
    text = f"negative affinities: {float(Graph(values).negative_share()):.0%}"
    if alpha is not None:
        text += f", after Eq. 7 {float(cc_graph(values, alpha).negative_share()):.0%}"
    return text


def _scores(segmentation: Segmentation, truth: np.ndarray | None, true_box: Box | None) -> str:
    scores = []
    if true_box is not None:
        scores.append(f"box IoU {box_iou(segmentation.box, true_box):.2f}")
    if truth is not None:
        scores.append(f"mask IoU {mask_iou(segmentation.mask, truth):.2f}")
    return ", ".join(scores) or "no mask to compare with"


def _write_alphas(axes: Axes, sweep: Curve, colour: Colour) -> None:
    """Each point's α above it, or below it where the point before is too near."""
    last = -1.0
    for alpha, share, score in zip(sweep.alphas, sweep.shares, sweep.scores, strict=True):
        crowded = share - last < 0.07
        text = axes.annotate(
            f"{alpha:g}",
            (share, score),
            (0, -17 if crowded else 7),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            color=colour,
            zorder=5,
        )
        text.set_path_effects([Stroke(linewidth=3, foreground="white"), Normal()])
        last = -1.0 if crowded else share


def _numbered(segmentation: Segmentation) -> Segmentation:
    """The same with clusters numbered from the largest, so that their colours come in one order."""
    return replace(segmentation, labels=by_size(segmentation.labels))


def _mark(
    axes: Axes, x: float, y: float, colour: Colour, marker: str, fill: Colour | None = None, size: float = 7
) -> None:
    """One dot: hollow if `fill` is white."""
    axes.plot(
        x,
        y,
        marker,
        color=colour,
        markerfacecolor=colour if fill is None else fill,
        markeredgewidth=1.6,
        markersize=size,
        zorder=3,
    )


def _dumbbell(axes: Axes, row: int, *ends: tuple[float, Colour, str]) -> None:
    axes.plot([x for x, _, _ in ends], [row] * len(ends), color="0.6", linewidth=2, zorder=1)
    for x, colour, marker in ends:
        _mark(axes, x, row, colour, marker)


def _handle(label: str, colour: Colour, marker: str, fill: Colour | None = None) -> Line2D:
    face = colour if fill is None else fill
    return Line2D(
        [], [], linestyle="none", marker=marker, color=colour, markerfacecolor=face, markersize=8, label=label
    )
