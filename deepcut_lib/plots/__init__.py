"""One style for all figures, pictures with their clusters and masks, and tables; lessons draw their own.

With `lessons`, the only part of the library that imports matplotlib.
"""

from deepcut_lib.plots.figure import blank, picture_row, show
from deepcut_lib.plots.pictures import label_picture, overlay, results_figure
from deepcut_lib.plots.style import COLOURS, PALETTE

__all__ = ["COLOURS", "PALETTE", "blank", "label_picture", "overlay", "picture_row", "results_figure", "show"]
