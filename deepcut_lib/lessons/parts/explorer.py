"""Explorer of lesson 6: k, the mode, one stage or two, and a picture."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from ipywidgets import Checkbox, Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import load_image
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import by_name
from deepcut_lib.lessons.parts.figures import parts_view
from deepcut_lib.parts import MODES, Mode, Parts, find_parts, label_agreement
from deepcut_lib.segmentation import cut

SHOWN = 6
"""So many pictures at most are shown side by side."""


def explore_parts(backbone: Backbone, pictures: Sequence[Path]) -> Explorer:
    """Choose k, the mode and one stage or two; see the parts of some pictures, and how far labels agree.

    In two stages the foreground is cut into k parts, with 100 epochs; in one stage the whole picture is, with
    10 epochs and the backbone's recipe, as for a segmentation. What was found once is kept.

    Args:
        backbone: gives the features; a `RememberingBackbone` keeps what it knows already.
        pictures: two to six files.

    Raises:
        ImageError: there are none.
    """
    files = by_name(pictures[:SHOWN])
    names = list(files)
    recipe = backbone.recipe
    remembering = RememberingBackbone(backbone)

    @cache
    def shown() -> list[Image.Image]:
        return [load_image(path) for path in files.values()]

    def features() -> list[PatchFeatures]:
        return [remembering(picture, cls=False) for picture in shown()]

    @cache
    def foregrounds() -> list[np.ndarray]:
        return [segmentation.foreground for segmentation in cut(features(), recipe=recipe)]

    @cache
    def parts_of_all(k: int, mode: Mode, two_stage: bool) -> list[Parts]:
        if two_stage:
            return find_parts(features(), foregrounds(), k, mode=mode, recipe=recipe)
        everything = [np.ones(of_picture.grid, bool) for of_picture in features()]
        return find_parts(
            features(),
            everything,
            k,
            mode=mode,
            recipe=recipe,
            epochs=10,
            learning_rate=recipe.learning_rate,
        )

    def draw(*, figure: Figure, k: int, mode: Mode, two_stage: bool, picture: int) -> Figure:
        parts = parts_of_all(k, mode, two_stage)
        return parts_view(shown(), parts, names, picture, label_agreement(parts), figure=figure)

    def click(axes: Axes, _x: float, _y: float) -> dict[str, int]:
        return {"picture": names.index(str(axes.get_label()))} if axes.get_label() in names else {}

    controls = {
        "k": IntSlider(value=4, min=2, max=8, description="k", continuous_update=False, **sized(230)),
        "mode": Dropdown(options=MODES, description="mode", **sized(180)),
        "two_stage": Checkbox(True, description="two-stage", indent=False, **sized(110)),
        "picture": Dropdown(
            options=[(name, index) for index, name in enumerate(names)], description="picture", **sized(180)
        ),
    }
    return Explorer(draw, controls, height=4.3, click=click)
