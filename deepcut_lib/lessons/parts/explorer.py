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
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.parts.figures import parts_view
from deepcut_lib.parts import MODES, Mode, Parts, find_parts, label_agreement
from deepcut_lib.segmentation import cut

SHOWN = 6
"""So many pictures at most are shown side by side."""


def explore_parts(backbone: Backbone, pictures: Sequence[Path]) -> Explorer:
    """Choose k, the mode and one stage or two; see the parts of some pictures, and how far labels agree.

    In two stages the foreground is cut into k parts, with 100 epochs; in one stage the whole picture is, with
    10 epochs and the backbone's recipe, as for a segmentation. What was found once is kept. A picture of
    the reader's own takes the place of the first one where there are six.

    Args:
        backbone: gives the features; a `RememberingBackbone` keeps what it knows already.
        pictures: two to six files.

    Raises:
        ImageError: there are none.
    """
    known = Pictures.of_files(pictures[:SHOWN])
    recipe = backbone.recipe
    remembering = RememberingBackbone(backbone)

    def shown() -> list[str]:
        """The names of the pictures in view: the last ones, if readers have brought some."""
        return known.names[-SHOWN:]

    @cache
    def read(name: str) -> Image.Image:
        return known.read(name)

    def features_of(names: tuple[str, ...]) -> list[PatchFeatures]:
        return [remembering(read(name), cls=False) for name in names]

    @cache
    def foregrounds(names: tuple[str, ...]) -> list[np.ndarray]:
        return [segmentation.foreground for segmentation in cut(features_of(names), recipe=recipe)]

    @cache
    def parts_of_all(names: tuple[str, ...], k: int, mode: Mode, two_stage: bool) -> list[Parts]:
        features = features_of(names)
        if two_stage:
            return find_parts(features, foregrounds(names), k, mode=mode, recipe=recipe)
        everything = [np.ones(of_picture.grid, bool) for of_picture in features]
        return find_parts(
            features,
            everything,
            k,
            mode=mode,
            recipe=recipe,
            epochs=10,
            learning_rate=recipe.learning_rate,
        )

    def draw(*, figure: Figure, k: int, mode: Mode, two_stage: bool, picture: int) -> Figure:
        names = shown()
        parts = parts_of_all(tuple(names), k, mode, two_stage)
        pictures = [read(name) for name in names]
        return parts_view(pictures, parts, names, picture, label_agreement(parts), figure=figure)

    def click(axes: Axes, _x: float, _y: float) -> dict[str, int]:
        return {"picture": shown().index(str(axes.get_label()))} if axes.get_label() in shown() else {}

    def take(file_name: str, content: bytes) -> dict[str, int]:
        known.add(file_name, content)
        controls["picture"].options = [(name, index) for index, name in enumerate(shown())]
        return {"picture": len(shown()) - 1}

    controls = {
        "k": IntSlider(value=4, min=2, max=8, description="k", continuous_update=False, **sized(230)),
        "mode": Dropdown(options=MODES, description="mode", **sized(180)),
        "two_stage": Checkbox(
            True, description="two-stage", indent=False, **sized(110, "Parts of the foreground alone (§3.4)")
        ),
        "picture": Dropdown(
            options=[(name, index) for index, name in enumerate(shown())], description="picture", **sized(180)
        ),
    }
    return Explorer(draw, controls, height=4.3, click=click, take=take, play=("k",))
