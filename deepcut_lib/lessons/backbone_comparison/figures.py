"""Figures of lesson 8: how backbones learn, their scores and negative affinities (§6), one picture in two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from PIL import Image, ImageEnhance, ImageOps
from scipy.stats import spearmanr

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

LEFT, RIGHT = (0.0, 0.46), (0.54, 0.46)
"""(x, width) of the two sides of a training: what learns, and what it is held against."""

LEARNS, FOLLOWS, GRADIENT = (0.80, 0.90, 0.97), (0.92, 0.92, 0.92), COLOURS[5]


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


def shares_figure(
    outcomes: Sequence[BackboneOutcome],
    group: Callable[[str], str],
    paper: Mapping[str, tuple[float, float, float]],
    *,
    measure: str = "box",
    figure: Figure | None = None,
) -> Figure:
    """Both negative shares against CC's IoU, N-cut's IoU and their difference: a panel each, with its ρ.

    Args:
        outcomes: a point for each, with a bar of one standard error over the pictures.
        group: what a backbone belongs to, by name: each group has a colour.
        paper: the paper's points (share, IoU of N-cut, IoU of CC), by name; none are drawn for masks.
        measure: "box" or "mask".
        figure: to draw in.
    """
    figure = blank(figure, 5.6)
    panels = figure.subplots(2, 3, sharey="col", sharex="row")
    groups = list(dict.fromkeys(group(outcome.backbone) for outcome in outcomes))
    columns: dict[str, Callable[[BackboneOutcome], np.ndarray]] = {
        "CC": lambda outcome: np.asarray(getattr(outcome, f"cc_{measure}")),
        "N-cut": lambda outcome: np.asarray(getattr(outcome, f"ncut_{measure}")),
        "CC minus N-cut": lambda outcome: outcome.gap(measure),
    }
    stars = {
        name: {"CC": cc, "N-cut": ncut, "CC minus N-cut": cc - ncut} for name, (_, ncut, cc) in paper.items()
    }
    for row, (share, label) in zip(panels, (("negative", "of FFᵀ"), ("shifted", "after Eq. 7")), strict=True):
        for axes, (column, score) in zip(row, columns.items(), strict=True):
            points = np.array([(getattr(one, share).mean(), score(one).mean()) for one in outcomes])
            for outcome, (x, y) in zip(outcomes, points, strict=True):
                error = score(outcome).std(ddof=1) / len(outcome.negative) ** 0.5
                axes.errorbar(x, y, error, color="0.7", linewidth=1, zorder=2)
                place = groups.index(group(outcome.backbone))
                _mark(axes, x, y, COLOURS[place % 8], MARKERS[place % len(MARKERS)])
            for name in paper if measure == "box" else ():
                at = (paper[name][0], stars[name][column])
                _mark(axes, *at, "black", "*", None, 11)
                if column == "CC" and share == "negative":
                    text = axes.annotate(name, at, (7, -3), textcoords="offset points", fontsize=10, zorder=5)
                    text.set_path_effects([Stroke(linewidth=3, foreground="white"), Normal()])
            rho = f"{_rho(points):+.2f}".replace("-", "−")
            axes.set_title(f"{column}:  ρ = {rho}", fontsize=11)
            axes.set_xlabel(f"negative share {label}", fontsize=11)
            axes.grid(alpha=0.3)
        row[0].set_xlim(right=1.25 * row[0].get_xlim()[1])
        row[0].set_ylabel(f"mean {measure} IoU", fontsize=11)
        row[2].axhline(0, color="black", linewidth=1)
    handles = [_handle(name, COLOURS[i % 8], MARKERS[i % len(MARKERS)]) for i, name in enumerate(groups)]
    if measure == "box":
        handles.append(_handle("the paper's (VOC07, ViT-B/16)", "black", "*"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


def trainings_figure(
    picture: Image.Image, others: Sequence[Image.Image], *, figure: Figure | None = None
) -> Figure:
    """DINO, MoCo v3 and MAE in columns: what goes in, what is compared, and where gradients flow.

    Args:
        picture: whose views are shown.
        others: two more pictures of the batch.
        figure: to draw in.
    """
    figure = blank(figure, 4.9)
    figure.set_layout_engine("none")
    square = picture.crop((0, 0, min(picture.size), min(picture.size))).resize((240, 240))
    first = square.crop((10, 40, 190, 220))
    second = ImageEnhance.Color(ImageOps.mirror(square.crop((60, 20, 220, 180)))).enhance(0.2)
    small = [other.resize((120, 120)) for other in others]
    columns = {
        "DINO": (
            [(first, LEFT, "one view"), (second, RIGHT, "another view")],
            [("student", LEFT, 0.51), ("softmax", LEFT, 0.3)],
            [("teacher", RIGHT, 0.51), ("centre, sharpen,\nsoftmax", RIGHT, 0.3)],
            "the same distribution?",
        ),
        "MoCo v3": (
            [
                (first, LEFT, "one view"),
                (second, (0.54, 0.145), ""),
                (small[0], (0.7, 0.145), "another, and others"),
                (small[1], (0.855, 0.145), ""),
            ],
            [("encoder", LEFT, 0.51), ("predictor", LEFT, 0.3)],
            [("momentum\nencoder", RIGHT, 0.51), ("a vector of\neach picture", RIGHT, 0.3)],
            "nearest to its own picture?",
        ),
        "MAE": (
            [(_hidden(square), LEFT, "75 % hidden"), (square, RIGHT, "the whole")],
            [("encoder, sees\nonly the rest", LEFT, 0.51), ("decoder", LEFT, 0.3)],
            [("pixels of the\nhidden patches", RIGHT, 0.42)],
            "the same pixels?",
        ),
    }
    for place, (name, (pictures, learns, follows, question)) in enumerate(columns.items()):
        axes = figure.add_axes((0.01 + 0.335 * place, 0.09, 0.315, 0.84), label=name)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.axis("off")
        axes.set_title(name, fontsize=13, weight="bold", pad=8)
        for shown, (x, width), title in pictures:
            inset = axes.inset_axes((x, 0.7, width, 0.23))
            show(inset, shown, title)
            inset.title.set_fontsize(10)
            inset.set_anchor("S")
        for side, boxes, fill in ((LEFT, learns, LEARNS), (RIGHT, follows, FOLLOWS)):
            middle, above = side[0] + side[1] / 2, 0.7
            for text, _, y in boxes:
                _arrow(axes, (middle, above), (middle, y + 0.065), "black")
                _plate(axes, side, y, text, fill)
                above = y - 0.065
            _arrow(axes, (middle, above), (middle, 0.155), "black")
        _plate(axes, (0.0, 1.0), 0.09, question, "white")
        for low, high in ((0.155, 0.235), (0.365, 0.445)):  # beside the arrows of the side that learns
            _arrow(axes, (0.1, low), (0.1, high), GRADIENT, linewidth=3)
        if name != "MAE":
            _arrow(axes, (sum(LEFT), 0.51), (RIGHT[0], 0.51), "0.35", linestyle=":", linewidth=2.5)
    handles = [
        Line2D([], [], color="black", label="forward"),
        Line2D([], [], color=GRADIENT, linewidth=3, label="gradients flow back"),
        Line2D(
            [], [], color="0.35", linestyle=":", linewidth=2.5, label="weights follow slowly (moving average)"
        ),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def _hidden(picture: Image.Image, cells: int = 8, share: float = 0.75) -> Image.Image:
    """The picture with three quarters of its patches grey."""
    grey = np.zeros(cells**2, bool)
    grey[np.random.default_rng(0).permutation(cells**2)[: int(share * cells**2)]] = True
    shown = np.array(picture)
    side = picture.width // cells
    shown[np.kron(grey.reshape(cells, cells), np.ones((side, side), bool))] = 190
    return Image.fromarray(shown)


def _plate(axes: Axes, side: tuple[float, float], y: float, text: str, fill: Colour) -> None:
    """A box of text between x and x + width, round the height y."""
    x, width = side
    axes.add_patch(
        Rectangle((x, y - 0.065), width, 0.13, facecolor=fill, edgecolor="black", zorder=3, clip_on=False)
    )
    axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=10, zorder=4)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: Colour, **style: Any
) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, **style}
    )


def _rho(points: np.ndarray) -> float:
    """Spearman's ρ of (m, 2) points; 0 if one side is constant, as nothing can be said then."""
    if len(points) < 2 or (np.ptp(points, axis=0) == 0).any():
        return 0.0
    return float(spearmanr(*points.T).statistic)


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
