"""Draw a run's log: ``python -m training.plot LOG.csv CURVES.png``."""

import csv
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMNS = ("step", "minutes", "loss", "pictures", "iou", "plain_iou")
"""Of the log: the losses since the last row are averaged; the IoU is over so many held-out pictures."""


def draw_curves(log: Path, picture: Path) -> None:
    """Draw the loss, and below it the foreground IoU on held-out pictures, over the steps."""
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows], color="#0072b2")
    above.set_ylabel("loss")
    measured = [row for row in rows if row["iou"]]
    for column, label, color, style in (
        ("iou", "K=3, centred keys, four starts", "#d55e00", "o-"),
        ("plain_iou", "K=2, keys as they are", "#009e73", "s--"),
    ):
        steps, values = ([float(row[name]) for row in measured] for name in ("step", column))
        below.plot(steps, values, style, color=color, label=label)
    below.set(xlabel="step", ylabel="foreground IoU", ylim=(0, 0.8))
    below.legend(loc="upper right")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    draw_curves(Path(sys.argv[1]), Path(sys.argv[2]))
