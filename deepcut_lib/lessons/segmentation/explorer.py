"""Explorer of lesson 5: every knob of `segment`, with the IoU beside the picture."""

from functools import cache
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

from ipywidgets import Checkbox, Dropdown, FloatText, IntSlider, IntText, SelectionSlider
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.registry import OFFLINE
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.lessons.common.explorer import Explorer, active_for, add_to, alpha_slider, sized
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.segmentation.figures import segmentation_figure
from deepcut_lib.segmentation import Segmentation, segment

SIZES = {"usual": 1.0, "half": 0.5, "1.5×": 1.5}
"""Sides that pictures are fitted to, in units of the backbone's own."""


SMOOTHNESS = (4, 16, 64, 256, 1024)
"""Values of the solver's λ to choose from."""


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
    pictures = Pictures.of_folder(data)

    @cache
    def remembering(name: str, stride: str) -> RememberingBackbone:
        if (name, stride) == (backbone.name, "usual"):
            return RememberingBackbone(backbone)
        usual = load_backbone(name)
        return RememberingBackbone(
            usual if stride == "usual" else load_backbone(name, stride=usual.stride // 2)
        )

    def found(
        *,
        picture: str,
        backbone: str,
        stride: str,
        size: str,
        sigma: int,
        smoothness: int,
        **options: Any,
    ) -> Segmentation:
        chosen = remembering(backbone, stride)
        side = "default" if size == "usual" else round(chosen.size * SIZES[size])
        recipe = chosen.recipe.but(solver_sigma_xy=float(sigma), solver_smoothness=float(smoothness))
        return segment(pictures.read(picture), backbone=chosen, recipe=recipe, size=side, **options)

    def draw(*, figure: Figure, picture: str, **options: Any) -> Figure:
        shown, truth = pictures(picture)
        return segmentation_figure(shown, found(picture=picture, **options), truth, figure=figure)

    def save() -> tuple[str, bytes]:
        """The final mask at the picture's size, 0 and 255."""
        values = explorer.values
        content = BytesIO()
        Image.fromarray(found(**values).mask.astype("uint8") * 255).save(content, format="PNG")
        return f"{PurePath(values['picture'].removeprefix('own: ')).name}_mask.png", content.getvalue()

    recipe = backbone.recipe
    names = list(dict.fromkeys([backbone.name, *OFFLINE]))
    controls = {
        "picture": Dropdown(options=pictures.names, description="picture", **sized(170)),
        "backbone": Dropdown(options=names, value=backbone.name, description="backbone", **sized(190)),
        "size": Dropdown(options=list(SIZES), description="size", **sized(112)),
        "stride": Dropdown(options=["usual", "half"], description="stride", **sized(122)),
        "objective": Dropdown(options=[("N-cut", "ncut"), ("CC", "cc")], description="loss", **sized(118)),
        "epochs": IntText(value=10, description="epochs", **sized(108)),
        "n_clusters": IntSlider(
            value=recipe.n_clusters,
            min=1,
            max=12,
            description="K",
            **sized(170, "Clusters; of CC, the most that it may use"),
        ),
        "alpha": alpha_slider(150),
        "learning_rate": FloatText(value=recipe.learning_rate, step=1e-3, description="rate", **sized(110)),
        "n_init": IntText(value=recipe.n_init, description="starts", **sized(94)),
        "random_state": IntText(value=0, description="seed", **sized(94)),
        "centred": Checkbox(value=recipe.centred, description="centred", indent=False, **sized(78)),
        "two_stage": Checkbox(
            value=False,
            description="two-stage",
            indent=False,
            **sized(88, "Cut the foreground once more (§3.4)"),
        ),
        "refine": Checkbox(
            value=False,
            description="solver",
            indent=False,
            **sized(66, "Pull the mask onto the picture's edges"),
        ),
        "sigma": IntSlider(
            value=round(recipe.solver_sigma_xy),
            min=2,
            max=64,
            description="σ",
            continuous_update=False,
            **sized(150, "How far the solver looks, in pixels of the picture at 300"),
        ),
        "smoothness": SelectionSlider(
            options=SMOOTHNESS,
            value=round(recipe.solver_smoothness),
            description="λ",
            continuous_update=False,
            **sized(140, "How much smoothness counts against the coarse mask"),
        ),
    }
    active_for(controls, "objective", {"ncut": (), "cc": ("alpha",)})
    active_for(controls, "refine", {True: ("sigma", "smoothness"), False: ()})
    take = add_to(pictures, controls["picture"])
    explorer = Explorer(draw, controls, height=2.6, take=take, save=save, play=("n_clusters", "alpha"))
    return explorer
