"""One box round the main object, without labels (§3.2)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcut_lib.foreground import touched_edges
from deepcut_lib.images import ImageLike
from deepcut_lib.metrics import Box
from deepcut_lib.segmentation import Segmentation, segment


@dataclass(frozen=True, eq=False)
class Localization:
    """What `localize` found.

    Attributes:
        box: (x1, y1, x2, y2) in pixels of the picture, far edges exclusive.
        edges: (K,) on how many of the picture's edges each cluster lies.
        segmentation: the cut that the box was drawn from.
    """

    box: Box
    edges: np.ndarray
    segmentation: Segmentation


def localize(image: ImageLike, **options: Any) -> Localization:
    """Find one object: cut the picture, drop what lies on more than two of its edges, box the rest.

    Args:
        image: a path, PIL picture or array.
        **options: as for `segment`.

    Returns:
        The box round the largest connected part of the foreground; the whole picture if there is none.
    """
    segmentation = segment(image, **options)
    return Localization(segmentation.box, touched_edges(segmentation.labels), segmentation)
