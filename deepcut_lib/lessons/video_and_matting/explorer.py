"""Explorers of lesson 10: a clip, frame by frame, with two masks; and another background behind a matte."""

from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import PurePath
from typing import Any

import numpy as np
from ipywidgets import Dropdown, IntSlider, SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.images import ImageLike, fit_image, load_image
from deepcut_lib.lessons.common.explorer import Explorer, add_to, sized
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.video_and_matting.figures import cuts_figure, scrub_figure
from deepcut_lib.matting import Matte, blend, matte
from deepcut_lib.metrics import mask_iou

PLAIN = {"white": (255, 255, 255), "black": (0, 0, 0), "green": (0, 158, 115), "pink": (204, 121, 167)}
"""Backgrounds of one colour."""

ENLARGED = {"whole": 1.0, "twice": 0.5, "four times": 0.25}
"""How much of the picture is shown, round the middle of what was cut out."""


def explore_clip(
    frames: Sequence[Image.Image],
    truths: Sequence[np.ndarray] | None,
    ways: Mapping[str, Sequence[np.ndarray]],
) -> Explorer:
    """Scrub through a clip, with the masks of two ways of finding them and both ways' IoU over time.

    A click among the scores, or the arrow keys, choose the frame.

    Args:
        frames: H×W RGB each.
        truths: their true masks, H×W bool; None for a clip of one's own, of which each mask's share of the
            picture is shown over time instead.
        ways: the masks that each way found, H×W bool; at least two, by name.
    """
    scores = {
        name: [float(mask.mean()) for mask in masks]
        if truths is None
        else [mask_iou(*pair) for pair in zip(masks, truths, strict=True)]
        for name, masks in ways.items()
    }

    def draw(*, figure: Figure, frame: int, first: str, second: str) -> Figure:
        if first == second:
            raise ValueError(f"{first} against itself: choose two ways")
        pair = (first, second)
        masks = {name: ways[name][frame] for name in pair}
        curves = {name: scores[name] for name in pair}
        truth = None if truths is None else truths[frame]
        return scrub_figure(frames[frame], truth, masks, curves, frame, figure=figure)

    def within(number: float) -> dict[str, int]:
        return {"frame": min(max(round(number), 0), len(frames) - 1)}

    def click(axes: Axes, x: float, y: float) -> dict[str, int]:
        return within(x) if axes.get_label() == "scores" else {}

    names = list(ways)
    controls = {
        "frame": IntSlider(value=0, min=0, max=len(frames) - 1, description="frame", **sized(320)),
        "first": Dropdown(options=names, value=names[0], description="first", **sized(210)),
        "second": Dropdown(options=names, value=names[-1], description="second", **sized(210)),
    }
    explorer = Explorer(
        draw,
        controls,
        height=5.0,
        click=click,
        arrows=lambda down, across: within(explorer.values["frame"] + down + across),
        play=("frame",),
    )
    return explorer


def explore_background(
    pictures: Pictures,
    backbone: RememberingBackbone,
    backgrounds: Mapping[str, ImageLike],
    start: str,
    **options: Any,
) -> Explorer:
    """Another background behind an object, cut out by its mask and by its matte.

    A mix of mask and matte is shown on request, to see what α gains; a photograph of one's own, or one of the
    camera, is taken apart like the others. What is saved is a PNG with alpha.

    Args:
        pictures: to choose from.
        backbone: gives the features.
        backgrounds: photographs to put behind, by name; those of one colour come along.
        start: the picture shown first.
        **options: of `segment`.
    """
    behind = {name: load_image(background) for name, background in backgrounds.items()}
    behind |= {name: Image.new("RGB", (8, 8), colour) for name, colour in PLAIN.items()}

    @cache
    def taken_apart(name: str) -> Matte:
        return matte(pictures.read(name), backbone=backbone, **options)

    def draw(*, figure: Figure, picture: str, background: str, enlarged: str) -> Figure:
        of, shown = taken_apart(picture), pictures.read(picture)
        mask = of.segmentation.mask
        new = np.asarray(fit_image(behind[background], mask.shape), np.float32) / 255
        pasted = blend(mask.astype(np.float32), np.asarray(shown, np.float32) / 255, new)
        mixed = blend(of.alpha, np.asarray(shown, np.float32) / 255, new)
        panels: dict[str, tuple[Any, str]] = {
            "picture": (shown, ""),
            "by the mask": (pasted, "0 or 1"),
            "α, the picture's colours": (mixed, "α I + (1 − α) B′"),
            "matte": (of.over(behind[background]), "α F + (1 − α) B′"),
        }
        return cuts_figure(panels, _part(mask, ENLARGED[enlarged]), figure=figure)

    def save() -> tuple[str, bytes]:
        name, content = explorer.values["picture"], BytesIO()
        taken_apart(name).picture().save(content, format="PNG")
        return f"{PurePath(name.removeprefix('own: ')).name}_matte.png", content.getvalue()

    controls = {
        "picture": Dropdown(options=pictures.names, value=start, description="picture", **sized(180)),
        "background": Dropdown(options=list(behind), description="background", **sized(230)),
        "enlarged": SelectionSlider(
            options=list(ENLARGED), value="whole", description="enlarged", **sized(230, "Round its middle")
        ),
    }
    explorer = Explorer(draw, controls, height=2.6, take=add_to(pictures, controls["picture"]), save=save)
    return explorer


def _part(mask: np.ndarray, share: float) -> tuple[int, int, int, int]:
    """A box of that share of the picture's sides, where the mask's upper edge is."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    y, x = (rows.min(), columns[rows.argmin()]) if len(rows) else (height // 2, width // 2)
    tall, wide = max(round(height * share), 1), max(round(width * share), 1)
    top = min(max(y - tall // 3, 0), height - tall)
    left = min(max(x - wide // 2, 0), width - wide)
    return int(left), int(top), int(left + wide), int(top + tall)
