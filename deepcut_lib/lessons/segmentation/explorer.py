"""Explorer of lesson 5: every knob of `segment`, with the IoU beside the picture."""

from functools import cache
from pathlib import Path
from typing import Any

from ipywidgets import Checkbox, Dropdown, FloatText, IntSlider, IntText
from matplotlib.figure import Figure

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.registry import OFFLINE
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import MaskedPictures
from deepcut_lib.lessons.segmentation.figures import segmentation_figure
from deepcut_lib.segmentation import segment

SIZES = {"usual": 1.0, "half": 0.5, "1.5×": 1.5}
"""Sides that pictures are fitted to, in units of the backbone's own."""


def explore_segment(data: Path, backbone: Backbone) -> Explorer:
    """Choose a picture and every argument of `segment`: clusters, coarse and final mask, IoU.

    Features are kept once they were computed, so that only the first look at a picture takes time.

    Args:
        data: a folder with `images` and `masks`; a picture without a mask has no IoU.
        backbone: to begin with; its recipe sets the controls. The others that need no download can be chosen.
            A `RememberingBackbone` keeps what it knows already.

    Raises:
        ImageError: there is no such folder, or it holds no picture.
    """
    read = MaskedPictures(data)

    @cache
    def remembering(name: str, stride: str) -> RememberingBackbone:
        if (name, stride) == (backbone.name, "usual"):
            return RememberingBackbone(backbone)
        usual = load_backbone(name)
        return RememberingBackbone(
            usual if stride == "usual" else load_backbone(name, stride=usual.stride // 2)
        )

    def draw(
        *, figure: Figure, picture: str, backbone: str, stride: str, size: str, **options: Any
    ) -> Figure:
        chosen = remembering(backbone, stride)
        side = "default" if size == "usual" else round(chosen.size * SIZES[size])
        shown, truth = read(picture)
        segmentation = segment(shown, backbone=chosen, recipe=chosen.recipe, size=side, **options)
        return segmentation_figure(shown, segmentation, truth, figure=figure)

    recipe = backbone.recipe
    names = list(dict.fromkeys([backbone.name, *OFFLINE]))
    controls = {
        "picture": Dropdown(options=read.names, description="picture", **sized(170)),
        "backbone": Dropdown(options=names, value=backbone.name, description="backbone", **sized(190)),
        "size": Dropdown(options=list(SIZES), description="size", **sized(112)),
        "stride": Dropdown(options=["usual", "half"], description="stride", **sized(122)),
        "objective": Dropdown(options=[("N-cut", "ncut"), ("CC", "cc")], description="loss", **sized(118)),
        "epochs": IntText(value=10, description="epochs", **sized(108)),
        "n_clusters": IntSlider(
            value=recipe.n_clusters, min=1, max=12, description="K", continuous_update=False, **sized(170)
        ),
        "alpha": FloatText(value=3.0, step=0.5, description="α", **sized(84)),
        "learning_rate": FloatText(value=recipe.learning_rate, step=1e-3, description="rate", **sized(110)),
        "n_init": IntText(value=recipe.n_init, description="starts", **sized(94)),
        "random_state": IntText(value=0, description="seed", **sized(94)),
        "centred": Checkbox(value=recipe.centred, description="centred", indent=False, **sized(78)),
        "two_stage": Checkbox(value=False, description="two-stage", indent=False, **sized(88)),
        "refine": Checkbox(value=False, description="solver", indent=False, **sized(66)),
    }
    return Explorer(draw, controls, height=2.6)
