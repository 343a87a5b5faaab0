"""One style for all figures: colours and marks that mean the same wherever they are seen."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

PALETTE = np.array(
    [
        (0, 114, 178),
        (230, 159, 0),
        (0, 158, 115),
        (86, 180, 233),
        (204, 121, 167),
        (213, 94, 0),
        (240, 228, 66),
        (0, 0, 0),
        (150, 150, 150),
        (255, 255, 255),
    ],
    np.uint8,
)
"""Okabe and Ito's colours, black, grey and white: one for each cluster.

The first four stay apart for readers without red or green; of the others some come near one of them.
"""

COLOURS = [(red / 255, green / 255, blue / 255) for red, green, blue in PALETTE.tolist()]
"""The same as matplotlib takes them."""

BLUE, ORANGE, GREEN = COLOURS[:3]
GREY = COLOURS[8]

ON_WHITE = np.vstack([PALETTE[:9], (130, 70, 20)]) / 255
"""The palette with brown in place of white, (10, 3) in 0…1: for clusters where white stands for none."""

TRUE, FOUND = BLUE, ORANGE
"""Of lines round what is true (blue) and round what was found (orange): boxes and masks."""

TRUE_BOX, FOUND_BOX = (75 / 255, 0, 130 / 255), (230 / 255, 0, 230 / 255)
"""The same of boxes over clusters: indigo and magenta, which no cluster has."""

MARKERS = "osD^v"
"""Of series in diagrams, each with the palette's colour of its place."""

SIGNED = ScalarMappable(Normalize(-1, 1), "PuOr_r")
"""Of numbers with a sign: orange attracts or is positive, purple repels or is negative."""

ATTRACTS, REPELS = SIGNED.cmap(0.9), SIGNED.cmap(0.1)
"""The same of lines: orange and purple."""
