"""Figures: pictures with their clusters and masks here, each lesson's own in the module of its name.

With `widgets`, the only part of the library that imports matplotlib.
"""

from deepcut_lib.plots.figure import blank, picture_row, show
from deepcut_lib.plots.pictures import label_picture, overlay, results_figure
from deepcut_lib.plots.style import PALETTE

__all__ = ["PALETTE", "blank", "label_picture", "overlay", "picture_row", "results_figure", "show"]
