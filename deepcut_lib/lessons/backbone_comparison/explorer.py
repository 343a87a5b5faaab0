"""Explorer of lesson 8: one picture through two backbones, with the same settings and the same patch."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ipywidgets import Checkbox, Dropdown, IntSlider, IntText
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.nn import functional

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.lessons.backbone_comparison.figures import two_backbones
from deepcut_lib.lessons.common.explorer import Explorer, active_for, add_to, alpha_slider, sized
from deepcut_lib.lessons.common.figures import Place, percent_at, percent_beside
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.metrics import box_of
from deepcut_lib.recipe import CENTRED_RECIPE, Recipe
from deepcut_lib.segmentation import Segmentation, cut

LENGTH = 8.0
"""Of every patch's vector, centred or not: the length of `normalize`."""


def prepared(features: PatchFeatures, *, centred: bool) -> PatchFeatures:
    """The same features with vectors of one length, centred over the picture first or not.

    The length changes no sign of an affinity. So centring is all that differs between the two.
    """
    if centred:
        return replace(features, values=normalize(features.values, LENGTH))
    return replace(features, values=functional.normalize(features.values, dim=1) * LENGTH)


def explore_backbones(
    backbones: Mapping[str, Backbone],
    data: Path,
    *,
    side: int | None = None,
    recipe: Recipe = CENTRED_RECIPE,
    place: Place = (0.5, 0.5),
) -> Explorer:
    """Choose two backbones, a picture and a loss; click a patch to see what is similar to it in both.

    Arrow keys go to the next patch of the left backbone.

    Features and clusters are kept once they were computed.

    Args:
        backbones: to choose from, by name; the first two are shown first.
        data: a folder with `images` and `masks`; a picture without a mask has no IoU.
        side: patches along each side, the same for all; by default what each backbone has.
        recipe: learning rate and number of starts, the same for all.
        place: of the patch to begin with, (down, across) as shares.

    Raises:
        ImageError: there is no such folder, or it holds no picture.
    """
    pictures = Pictures.of_folder(data)
    read = lru_cache(maxsize=8)(pictures)
    remembering = {name: RememberingBackbone(backbone) for name, backbone in backbones.items()}

    def extract(name: str, picture: str) -> PatchFeatures:
        backbone = remembering[name]
        size = "default" if side is None else side * backbone.patch_size
        return replace(backbone(read(picture)[0], size=size, cls=False), backbone=name)

    @lru_cache(maxsize=64)
    def find(name: str, picture: str, centred: bool, objective: str, k: int, alpha: float) -> Segmentation:
        ready = prepared(extract(name, picture), centred=centred)
        chosen = replace(recipe, centred=False)
        if objective == "cc":
            return cut([ready], recipe=chosen, objective="cc", alpha=alpha)[0]
        return cut([ready], recipe=chosen, n_clusters=k)[0]

    def draw(
        *,
        figure: Figure,
        left: str,
        right: str,
        picture: str,
        objective: str,
        centred: bool,
        n_clusters: int,
        alpha: float,
        down: int,
        across: int,
    ) -> Figure:
        signed = objective == "cc"
        # what the loss does not use must not tell two results apart
        k, shift = (0, alpha) if signed else (n_clusters, 0.0)
        shown, truth = read(picture)
        return two_backbones(
            shown,
            [find(name, picture, centred, objective, k, shift) for name in (left, right)],
            (down / 100, across / 100),
            truth=truth,
            true_box=None if truth is None else box_of(truth),
            alpha=alpha if signed else None,
            figure=figure,
        )

    def click(axes: Axes, x: float, y: float) -> dict[str, int]:
        shown, _ = read(explorer.values["picture"])
        if not (0 <= x <= shown.width and 0 <= y <= shown.height) or not axes.get_label():
            return {}
        half = "left" if axes.get_position().x0 < 0.5 else "right"
        return percent_at(extract(explorer.values[half], explorer.values["picture"]), x, y)

    def step(down: int, across: int) -> dict[str, int]:
        values = explorer.values
        place = (values["down"] / 100, values["across"] / 100)
        return percent_beside(extract(values["left"], values["picture"]), place, down, across)

    names = list(backbones)
    controls = {
        "left": Dropdown(options=names, value=names[0], description="left", **sized(180)),
        "right": Dropdown(options=names, value=names[1], description="right", **sized(180)),
        "picture": Dropdown(options=pictures.names, description="picture", **sized(185)),
        "objective": Dropdown(options=[("N-cut", "ncut"), ("CC", "cc")], description="loss", **sized(115)),
        "centred": Checkbox(
            True, description="centred", indent=False, **sized(90, "Subtract the picture's mean feature")
        ),
        "n_clusters": IntSlider(recipe.n_clusters, 1, 10, description="K (N-cut)", **sized(230)),
        "alpha": alpha_slider(230, "α (CC)"),
        "down": IntText(round(100 * place[0]), description="down %", **sized(120)),
        "across": IntText(round(100 * place[1]), description="across %", **sized(130)),
    }

    active_for(controls, "objective", {"ncut": ("n_clusters",), "cc": ("alpha",)})
    take = add_to(pictures, controls["picture"])
    explorer = Explorer(
        draw,
        controls,
        height=4.3,
        click=click,
        arrows=step,
        take=take,
        play=("n_clusters", "alpha"),
    )
    return explorer
