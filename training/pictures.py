"""Folders of photographs as one tensor, and random crops of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from deepcut_lib.backbones.vit import IMAGENET_MEAN, IMAGENET_STD
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.images import fit_image, load_image

SIDE = 448
"""Every photograph is kept as a square of this many pixels."""


@dataclass(frozen=True)
class Crops:
    """Random pieces of photographs.

    Attributes:
        pictures: (B,) which photograph each crop is of.
        boxes: (B, 4) top, left, bottom and right edge, as shares of the photograph's side.
        flipped: (B,) bool, mirrored left to right.
        pixels: B×3×s×s RGB in 0…1, colours varied.
    """

    pictures: Tensor
    boxes: Tensor
    flipped: Tensor
    pixels: Tensor

    @property
    def normalized(self) -> Tensor:
        """The pixels as the transformers want them."""
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        return (self.pixels - mean) / std


def read_pictures(paths: Sequence[Path]) -> tuple[Tensor, list[str]]:
    """Read photographs, past those that cannot be read.

    Returns:
        P×3×SIDE×SIDE uint8, and one line on each file left out.

    Raises:
        DeepCutError: none could be read.
    """
    pictures, skipped = [], []
    for path in tqdm(paths, desc="reading", mininterval=5):
        try:
            picture = fit_image(load_image(path), SIDE)
        except ImageError as error:
            skipped.append(str(error))
        else:
            pictures.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
    if not pictures:
        raise DeepCutError(f"none of the {len(paths)} pictures can be read: " + "; ".join(skipped[:3]))
    return torch.stack(pictures), skipped


def random_crops(
    pictures: Tensor, count: int, side: int, scale: tuple[float, float], generator: torch.Generator
) -> Crops:
    """Draw crops at random, and vary them.

    Args:
        pictures: P×3×SIDE×SIDE uint8.
        count: B, how many.
        side: of a crop, in pixels.
        scale: least and greatest share of the photograph's area.
        generator: the source of chance.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    chosen = torch.randint(len(pictures), (count,), generator=generator)
    area, shape = uniform(*scale), uniform(-0.3, 0.3).exp()  # the shape is height by width
    height, width = ((area * part).sqrt().clamp(max=1) for part in (shape, 1 / shape))
    top, left = uniform(0, 1) * (1 - height), uniform(0, 1) * (1 - width)
    edges = (torch.stack([top, left, top + height, left + width], dim=1) * SIDE).round().int()
    flipped = uniform(0, 1) < 0.5
    pieces = []
    for index, (y1, x1, y2, x2), flip in zip(chosen, edges.tolist(), flipped, strict=True):
        piece = pictures[index, :, y1:y2, x1:x2].unsqueeze(0).float() / 255
        piece = F.interpolate(piece, size=(side, side), mode="bilinear", antialias=True)
        pieces.append(piece.flip(3) if flip else piece)
    colours = [uniform(0.8, 1.2).view(-1, 1, 1, 1) for _ in range(3)]
    return Crops(chosen, edges / SIDE, flipped, _vary_colours(torch.cat(pieces), *colours))


def _vary_colours(pixels: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    pixels = pixels * brightness
    mean = pixels.mean((1, 2, 3), keepdim=True)
    pixels = mean + (pixels - mean) * contrast
    grey = pixels.mean(1, keepdim=True)
    return (grey + (pixels - grey) * saturation).clamp(0, 1)
