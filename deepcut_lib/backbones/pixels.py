"""No network at all: a patch's colour and texture, to show what learned features are worth."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcut_lib.backbones.backbone import Backbone, Extracted, checked_stride
from deepcut_lib.recipe import CENTRED_RECIPE

ORIENTATIONS = 8


class PixelFeatures(nn.Module):
    """Colour mean (3), colour spread (3) and a histogram of gradient directions (8) of 16-pixel patches.

    Args:
        stride: distance of patches in pixels: 16 (also None), 8 or 4.
    """

    patch_size = 16

    def __init__(self, stride: int | None = None) -> None:
        super().__init__()
        self.stride = checked_stride(stride, self.patch_size)

    def forward(self, batch: Tensor, *, cls: bool) -> Extracted:
        """B×3×H×W colours in −1…1 → values B×n×14; `cls` is their mean."""
        padded = F.pad(batch.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        right = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        # Opposite directions are one orientation: an edge is an edge from both sides
        angle = torch.atan2(down, right) % torch.pi
        bins = (angle / torch.pi * ORIENTATIONS).long().clamp(max=ORIENTATIONS - 1).squeeze(1)
        edges = F.one_hot(bins, ORIENTATIONS).permute(0, 3, 1, 2) * torch.hypot(down, right)
        mean = self._pool(batch)
        spread = (self._pool(batch.square()) - mean.square()).clamp(min=0).sqrt()
        values = torch.cat([mean, spread, self._pool(edges)], dim=1).flatten(2).mT
        return Extracted(values, values.mean(1) if cls else None)

    def _pool(self, maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, self.patch_size, self.stride)


def pixels(*, stride: int | None, device: torch.device) -> Backbone:
    """Colour and texture at 448 pixels, a grid of 28×28."""
    half = [0.5, 0.5, 0.5]
    # spread of blank pictures 0 to 0.19, of photographs 0.32 to 0.99
    recipe = replace(CENTRED_RECIPE, least_spread=0.25)
    return Backbone(
        "pixels", PixelFeatures(stride), mean=half, std=half, size=448, device=device, recipe=recipe
    )
