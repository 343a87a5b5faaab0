"""A table of results as bars: ours with its deviation, the paper's as a mark beside it."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from deepcut_lib.plots.figure import blank
from deepcut_lib.plots.style import BLUE, ORANGE

Value = tuple[float, float] | None
"""Mean and deviation, or nothing."""


def table_figure(
    methods: Sequence[str],
    columns: Sequence[str],
    ours: Sequence[Sequence[Value]],
    paper: Sequence[Sequence[Value]],
    measure: str,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Horizontal bars, a row for each method and axes for each column.

    Args:
        methods: titles of rows.
        columns: titles of columns.
        ours: rows of columns of (mean, deviation) in percent, or None.
        paper: the same of the paper.
        measure: what is measured, for the axis.
        figure: to draw in.
    """
    figure = blank(figure, 1.3 + 0.3 * len(methods), max(8.4, 3.4 + 2.4 * len(columns)))
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for i, (panel, title) in enumerate(zip(axes, columns, strict=True)):
        for row in range(len(methods)):
            for values, label in ((ours, "here"), (paper, "the paper's")):
                value = values[row][i]
                if value is None:
                    continue
                mean, std = value
                if label == "here":
                    panel.barh(
                        row, mean, xerr=std or None, color=BLUE, height=0.7, label=label, ecolor="black"
                    )
                    panel.annotate(
                        f"{mean:.1f}",
                        (max(mean + std, 0), row),
                        xytext=(4, 0),
                        textcoords="offset points",
                        va="center",
                        fontsize=9,
                    )
                else:
                    panel.plot(
                        mean, row, "D", color=ORANGE, markeredgecolor="black", markersize=7, label=label
                    )
        panel.set_title(title, fontsize=11)
        panel.set_xlim(0, 112)
        panel.set_xticks([0, 25, 50, 75, 100])
        panel.set_xlabel(f"{measure} (%)", fontsize=10)
        panel.grid(axis="x", alpha=0.3)
        panel.set_axisbelow(True)
    axes[0].set_yticks(range(len(methods)), methods, fontsize=10)
    axes[0].set_ylim(len(methods) - 0.5, -0.5)  # first row on top; without bars, too, marks lie inside
    entries = {
        label: handle
        for panel in axes
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    if "the paper's" in entries:
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, fontsize=10)
    return figure
