"""Figures on backbones side by side (§6)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from deepcut_lib.comparison import BackboneScores
from deepcut_lib.plots.figure import blank
from deepcut_lib.plots.pictures import PALETTE


def backbone_bars(rows: Sequence[BackboneScores], *, figure: Figure | None = None) -> Figure:
    """Negative affinities on the left, box IoU of N-cut and correlation clustering on the right.

    Args:
        rows: one for each backbone, from `compare_backbones`.
        figure: to draw in, or None for a new one.
    """
    figure = blank(figure, 1.5 + 0.55 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    names = [row.backbone for row in rows]
    places = np.arange(len(rows))
    blue, orange, green, purple = (tuple(colour / 255) for colour in PALETTE[:4])
    for axes, upper, lower in (
        (left, ("negative", "as extracted", green), ("negative_clustered", "as clustered", purple)),
        (right, ("ncut_iou", "N-cut", blue), ("cc_iou", "CC", orange)),
    ):
        for (key, label, colour), shift in ((upper, -0.2), (lower, 0.2)):
            values = [getattr(row, key) for row in rows]
            bars = axes.barh(places + shift, values, 0.38, color=colour, label=label)
            axes.bar_label(bars, fmt="{:.2f}", padding=2, fontsize=10)
        axes.set_xlim(0, 1)
        axes.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_yticks(places, names, fontsize=11)
    left.invert_yaxis()
    left.set_xlabel("share of negative affinities", fontsize=11)
    right.set_xlabel(f"mean box IoU, {rows[0].n_pictures} pictures", fontsize=11)
    return figure
