"""Explorer of lesson 4: a picture, an objective and a border rule give edges, a box and its IoU."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from ipywidgets import BoundedIntText, Dropdown, IntSlider
from matplotlib.figure import Figure

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.foreground import background_clusters, corner_rule, foreground_box, paper_rule
from deepcut_lib.lessons.common.explorer import Explorer, active_for, add_to, alpha_slider, sized
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.localization.figures import localization_figure
from deepcut_lib.localization import localize
from deepcut_lib.metrics import box_of

RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "more than two edges (paper)": paper_rule,
    "edges and a quarter of the border (library)": background_clusters,
    "four corners (published code)": corner_rule,
}
"""Border rules by name: h×w labels → (K,) bool, which clusters are background."""


def explore_localization(data: Path, backbone: Backbone) -> Explorer:
    """Choose a picture, an objective, a border rule and a seed; see the edges counted, the box and its IoU.

    Args:
        data: a folder with `images` and `masks`; a picture without a mask, or with an empty one, has no true
            box.
        backbone: what describes the patches; a `RememberingBackbone` keeps what it knows already.

    Raises:
        ImageError: there is no such folder, or it holds no picture.
    """
    pictures, remembering = Pictures.of_folder(data), RememberingBackbone(backbone)
    recipe = remembering.recipe

    @lru_cache(maxsize=64)
    def found(
        picture: str, objective: str, clusters: int, alpha: float, epochs: int, seed: int
    ) -> np.ndarray:
        options = {"alpha": alpha} if objective == "cc" else {"n_clusters": clusters}
        return localize(
            pictures.read(picture),
            backbone=remembering,
            recipe=recipe,
            objective=objective,
            epochs=epochs,
            random_state=seed,
            **options,
        ).segmentation.labels

    def draw(
        *,
        figure: Figure,
        picture: str,
        objective: str,
        clusters: int,
        alpha: float,
        epochs: int,
        rule: str,
        seed: int,
    ) -> Figure:
        figure.clear()
        shown, truth = pictures(picture)
        # what the loss does not use must not tell two results apart
        used = (0, alpha) if objective == "cc" else (clusters, 0.0)
        labels = found(picture, objective, *used, epochs, seed)
        background = RULES[rule](labels)
        box = foreground_box(~background[labels], (shown.height, shown.width))
        true = None if truth is None else box_of(truth)
        return localization_figure(shown, labels, background, box, true, figure=figure)

    controls = {
        "picture": Dropdown(options=pictures.names, description="picture", **sized(220)),
        "objective": Dropdown(
            options=[("N-cut", "ncut"), ("CC", "cc")], description="objective", **sized(145)
        ),
        "clusters": IntSlider(
            recipe.n_clusters,
            2,
            8,
            description="K (N-cut)",
            **sized(210, "N-cut's clusters; CC finds its own"),
        ),
        "alpha": alpha_slider(210, "α (CC)"),
        "epochs": IntSlider(recipe.epochs, 1, 100, description="epochs", **sized(230, "The paper takes 10")),
        "rule": Dropdown(options=list(RULES), value=list(RULES)[1], description="border rule", **sized(400)),
        "seed": BoundedIntText(value=0, min=0, max=999, description="seed", **sized(110)),
    }
    active_for(controls, "objective", {"ncut": ("clusters",), "cc": ("alpha",)})
    take = add_to(pictures, controls["picture"])
    return Explorer(draw, controls, height=3.0, take=take, play=("clusters", "alpha", "epochs"))
