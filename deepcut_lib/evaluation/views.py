"""How pictures are fitted for a method, and their features extracted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.vit import IMAGENET_MEAN
from deepcut_lib.baselines import extract_with_attention
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import Size

Fitting: TypeAlias = Literal["square", "nearest", "padded", "cropped"]
"""How a picture comes to whole patches: squashed to the backbone's square, resized to the nearest multiple,
padded right and below with the mean colour, or cropped there."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture as a method sees it.

    Attributes:
        picture: fitted, but not resized: padded or cropped if its method wants that.
        features: of that picture, as the backbone gives them.
        attention: heads×h×w, of the CLS token, or None if no method asked for it.
    """

    picture: Image.Image
    features: PatchFeatures
    attention: np.ndarray | None = None


def look(
    backbone: Backbone,
    pictures: Sequence[Image.Image],
    fitting: Fitting,
    *,
    attention: bool,
    size: Size | str = "default",
) -> list[View]:
    """Fit pictures and extract their features, on a GPU those of one grid together.

    Args:
        backbone: the backbone.
        pictures: RGB.
        fitting: how they come to whole patches.
        attention: record CLS attention too.
        size: what ``"square"`` squashes them to.
    """
    fitted = [_fit(picture, fitting, backbone.patch_size) for picture in pictures]
    wanted = size if fitting == "square" else None
    if not attention:
        if backbone.device.type == "cpu":  # a batch of large pictures only leaves its caches
            features = [backbone(picture, size=wanted, cls=False) for picture in fitted]
        else:
            features = backbone.batch(fitted, size=wanted)
        return [View(*pair) for pair in zip(fitted, features, strict=True)]
    features, maps = extract_with_attention(backbone, fitted, size=wanted)
    return [View(*parts) for parts in zip(fitted, features, maps, strict=True)]


def _fit(picture: Image.Image, fitting: Fitting, patch: int) -> Image.Image:
    if fitting in ("square", "nearest"):
        return picture
    if fitting == "cropped":
        width, height = (max(side // patch, 1) * patch for side in picture.size)
        return picture.crop((0, 0, min(width, picture.width), min(height, picture.height)))
    width, height = (-(-side // patch) * patch for side in picture.size)
    red, green, blue = (round(255 * channel) for channel in IMAGENET_MEAN)  # zero, once normalised
    padded = Image.new("RGB", (width, height), (red, green, blue))
    padded.paste(picture, (0, 0))
    return padded
