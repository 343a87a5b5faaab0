"""Explorer of lesson 4: a picture, an objective and a border rule give edges, a box and its IoU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ipywidgets import BoundedIntText, Dropdown
from matplotlib.figure import Figure

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.foreground import background_clusters, corner_rule, foreground_box, paper_rule
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import MaskedPictures
from deepcut_lib.lessons.localization.figures import localization_figure
from deepcut_lib.localization import localize
from deepcut_lib.metrics import box_of

RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "more than two edges (paper)": paper_rule,
    "edges and a quarter of the border (library)": background_clusters,
    "four corners (published code)": corner_rule,
}
"""Border rules by name: h×w labels → (K,) bool, which clusters are background."""

OBJECTIVES: dict[str, dict[str, Any]] = {
    "N-cut, 2 clusters": {"objective": "ncut", "n_clusters": 2},
    "N-cut, 3 clusters": {"objective": "ncut", "n_clusters": 3},
    "CC, up to 10 clusters": {"objective": "cc"},
}
"""Options of `localize` by name."""


def explore_localization(data: Path, backbone: Backbone) -> Explorer:
    """Choose a picture, an objective, a border rule and a seed; see the edges counted, the box and its IoU.

    Args:
        data: a folder with `images` and `masks`; a picture without a mask, or with an empty one, has no true
            box.
        backbone: what describes the patches; a `RememberingBackbone` keeps what it knows already.

    Raises:
        ImageError: there is no such folder, or it holds no picture.
    """
    read, remembering = MaskedPictures(data), RememberingBackbone(backbone)

    def draw(*, figure: Figure, picture: str, objective: str, rule: str, seed: int) -> Figure:
        figure.clear()
        shown, truth = read(picture)
        options = OBJECTIVES[objective]
        labels = localize(
            shown, backbone=remembering, recipe=remembering.recipe, random_state=seed, **options
        ).segmentation.labels
        background = RULES[rule](labels)
        box = foreground_box(~background[labels], (shown.height, shown.width))
        true = None if truth is None else box_of(truth)
        return localization_figure(shown, labels, background, box, true, figure=figure)

    usual = f"N-cut, {backbone.recipe.n_clusters} clusters"
    controls = {
        "picture": Dropdown(options=read.names, description="picture", **sized(300)),
        "objective": Dropdown(options=list(OBJECTIVES), value=usual, description="objective", **sized(300)),
        "rule": Dropdown(options=list(RULES), value=list(RULES)[1], description="border rule", **sized(420)),
        "seed": BoundedIntText(value=0, min=0, max=999, description="seed", **sized(110)),
    }
    return Explorer(draw, controls, height=3.0)
