"""What the small transformer learns from: a teacher's features, or its own masked pictures."""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from tqdm import tqdm

from deepcut_lib.backbones.effnet import ConvolutionalFeatures
from training.pictures import Crops

BLOCKS = (3, 4, 5)
"""The teacher's blocks that are matched."""

BLOCK_WEIGHTS = (1.0, 0.5, 1.5)
"""What each of them counts in a cosine of the concatenated features."""

AFFINITY_WEIGHT = 2.0
"""What the affinities of the keys count, beside a cosine."""

SIDES = (448, 640)
"""The teacher sees each photograph at these two sides in pixels, the second time mirrored."""

MAP = 28
"""Side of the teacher's feature maps, in patches."""

BINS = 9
"""Orientations of a gradient histogram, over half a turn."""


def run_vit(
    vit: VisionTransformer, batch: Tensor, masked: Tensor | None, fill: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run the transformer and catch the keys of its last block on the way.

    Args:
        vit: the transformer.
        batch: B×3×H×W, normalised.
        masked: B×h×w bool, the patches that it may not see, or None.
        fill: (d,) what it sees instead.

    Returns:
        The tokens after the last norm, B×(1 + n)×d, class token first, and the keys, B×n×d.
    """
    x = vit.patch_embed(batch)
    if masked is not None:
        x = torch.where(masked.unsqueeze(-1), cast(Tensor, fill).to(x.dtype), x)
    x = vit._pos_embed(x)
    for block in vit.blocks[:-1]:
        x = block(x)
    last = cast(Any, vit.blocks[-1])
    weight, bias = (part.chunk(3)[1] for part in (last.attn.qkv.weight, last.attn.qkv.bias))
    keys = F.linear(last.norm1(x[:, 1:]), weight, bias)
    return vit.norm(last(x)), keys


class Distilled(nn.Module):
    """Match the features of EfficientNet-Lite0, which was trained with ImageNet's labels.

    The teacher sees each photograph whole, and what it says of a place in it is what the transformer is to
    say of that place in any crop. The loss has four parts: the cosines between the teacher's features and
    linear predictions from the tokens, and from the last block's keys; between the mean of the teacher's
    features and a prediction from the class token; and, for the cut itself, the difference between the
    affinities that the keys make and those that the teacher's features make, both centred over the crop.

    Args:
        pictures: P×3×S×S uint8.
        dim: channels of the transformer.
    """

    def __init__(self, pictures: Tensor, dim: int) -> None:
        super().__init__()
        self.maps = teacher_maps(pictures)
        channels = self.maps.shape[1]
        self.from_tokens = nn.Linear(dim, channels)
        self.from_keys = nn.Linear(dim, channels)
        self.from_class = nn.Linear(dim, channels)

    def forward(self, vit: VisionTransformer, crops: Crops, generator: torch.Generator) -> Tensor:
        """The loss on a batch of crops."""
        with torch.autocast("cpu", torch.bfloat16):
            tokens, keys = run_vit(vit, crops.normalized, None, None)
            predicted = [self.from_tokens(tokens[:, 1:]), self.from_keys(keys)]
            of_all = self.from_class(tokens[:, 0])
        target = self._targets(crops, round(keys.shape[1] ** 0.5))
        loss = 1 - F.cosine_similarity(of_all.float(), target.mean(1), dim=-1).mean()
        for prediction in predicted:
            loss = loss + 1 - F.cosine_similarity(prediction.float(), target, dim=-1).mean()
        wanted = _affinities(target)
        missed = (_affinities(keys.float()) - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2))
        return loss + AFFINITY_WEIGHT * missed.mean()

    def _targets(self, crops: Crops, grid: int) -> Tensor:
        """The teacher's features at the centres of the crops' patches: B×n×c."""
        top, left, bottom, right = crops.boxes.unbind(1)
        left, right = (
            torch.where(crops.flipped, right, left),
            torch.where(crops.flipped, left, right),
        )
        centres = (torch.arange(grid) + 0.5) / grid
        rows = top[:, None] + (bottom - top)[:, None] * centres
        columns = left[:, None] + (right - left)[:, None] * centres
        places = torch.stack(
            [columns[:, None, :].expand(-1, grid, -1), rows[:, :, None].expand(-1, -1, grid)], dim=-1
        )
        maps = self.maps[crops.pictures].float()
        sampled = F.grid_sample(maps, places * 2 - 1, padding_mode="border", align_corners=False)
        return sampled.flatten(2).transpose(1, 2)


def teacher_maps(pictures: Tensor) -> Tensor:
    """What the teacher says of each photograph: P×c×MAP×MAP, half precision.

    The outputs of `BLOCKS`, each centred over all photographs (they share a large mean, which says nothing),
    of one length in every place, times `BLOCK_WEIGHTS`.
    """
    network = ConvolutionalFeatures(BLOCKS).eval().network.to(memory_format=torch.channels_last)
    found: list[list[Tensor]] = [[] for _ in BLOCKS]
    with torch.no_grad():
        for picture in tqdm(pictures, desc="teacher", mininterval=5):
            views = [
                _teacher_blocks(network, picture, SIDES[0]),
                [level.flip(2) for level in _teacher_blocks(network, picture.flip(2), SIDES[1])],
            ]
            for levels, *both in zip(found, *views, strict=True):
                levels.append((both[0] + both[1]).half())
    weights = torch.tensor(BLOCK_WEIGHTS) / math.hypot(*BLOCK_WEIGHTS)
    levels = []
    for level, weight in zip(found, weights, strict=True):
        maps = torch.stack(level)
        mean = torch.stack([one.float().mean((1, 2)) for one in maps]).mean(0)
        for one in maps:
            one.copy_(F.normalize(one.float() - mean[:, None, None], dim=0) * weight)
        levels.append(maps)
    return torch.cat(levels, dim=1)


def _teacher_blocks(network: Any, picture: Tensor, side: int) -> list[Tensor]:
    """The outputs of `BLOCKS` for a picture of this side, of one length in every place: c×MAP×MAP each."""
    x = F.interpolate(picture[None].float(), size=(side, side), mode="bilinear", antialias=True)
    x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
    x = network.bn1(network.conv_stem(x))
    outputs = []
    for index, block in enumerate(network.blocks[: max(BLOCKS) + 1]):
        x = block(x)
        if index in BLOCKS:
            level = F.normalize(x, dim=1)
            outputs.append(F.interpolate(level, size=(MAP, MAP), mode="bilinear", antialias=True)[0])
    return outputs


def _affinities(features: Tensor) -> Tensor:
    """Cosines between the patches of each picture, after centring over the picture: B×n×d → B×n×n."""
    centred = F.normalize(features - features.mean(1, keepdim=True), dim=-1)
    return centred @ centred.transpose(1, 2)


class Masked(nn.Module):
    """Fill in what is hidden: gradient histograms and colours of masked blocks of patches, without labels.

    Args:
        vit: the transformer. Its positions start as sines: at first they alone tell hidden patches apart, and
            from the usual faint noise it learned next to nothing in 400 steps.
        patch: side of a patch in pixels.
    """

    def __init__(self, vit: VisionTransformer, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.fill = nn.Parameter(torch.zeros(vit.embed_dim))
        self.from_tokens = nn.Linear(vit.embed_dim, BINS + 6)
        with torch.no_grad():
            cast(Tensor, vit.pos_embed)[:, 1:] = sine_positions(vit.patch_embed.grid_size[0], vit.embed_dim)

    def forward(self, vit: VisionTransformer, crops: Crops, generator: torch.Generator) -> Tensor:
        """The loss on a batch of crops: the mean squared error on the masked patches."""
        target = describe_patches(crops.pixels, self.patch)
        grid = crops.pixels.shape[2] // self.patch
        masked = block_mask(len(target), grid, generator)
        with torch.autocast("cpu", torch.bfloat16):
            tokens, _ = run_vit(vit, crops.normalized, masked, self.fill)
            predicted = self.from_tokens(tokens[:, 1:])
        hidden = masked.flatten(1)
        return F.mse_loss(predicted.float()[hidden], target[hidden])


def describe_patches(pixels: Tensor, patch: int) -> Tensor:
    """What is to be filled in: B×3×H×W in 0…1 → B×n×(BINS + 6), each channel of mean 0 and deviation 1.

    For each patch the histogram of gradient orientations, weighted by the gradients' lengths and of length 1;
    then the mean and the deviation of red, green and blue.
    """
    grey = F.pad(pixels.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    down = grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]
    orientation = (torch.atan2(down, across) / torch.pi % 1 * BINS).long().clamp(max=BINS - 1)
    votes = torch.zeros_like(pixels[:, :1]).expand(-1, BINS, -1, -1).clone()
    votes.scatter_(1, orientation, torch.hypot(across, down))
    histogram = F.normalize(F.avg_pool2d(votes, patch) + 1e-4, dim=1)
    mean = F.avg_pool2d(pixels, patch)
    deviation = (F.avg_pool2d(pixels.square(), patch) - mean.square()).clamp(min=0).sqrt()
    rows = torch.cat([histogram, mean, deviation], dim=1).flatten(2).transpose(1, 2)
    spread = rows.std((0, 1)).clamp(min=1e-3)
    return (rows - rows.mean((0, 1))) / spread


def sine_positions(side: int, dim: int) -> Tensor:
    """Sines and cosines of row and column at dim/4 wavelengths: side²×dim."""
    waves = 2 * torch.pi / torch.logspace(math.log10(2), math.log10(4 * side), dim // 4)
    angles = torch.arange(side)[:, None] * waves
    along = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = along[:, None].expand(-1, side, -1), along[None].expand(side, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


def block_mask(count: int, grid: int, generator: torch.Generator) -> Tensor:
    """Hide three fifths of each picture in blocks of up to a third of its side: B×h×w bool."""
    masks = torch.zeros(count, grid, grid, dtype=torch.bool)
    for mask in masks:
        while mask.float().mean() < 0.6:
            height, width = (torch.randint(2, max(grid // 3, 2) + 1, (2,), generator=generator)).tolist()
            top = int(torch.randint(grid - height + 1, (), generator=generator))
            left = int(torch.randint(grid - width + 1, (), generator=generator))
            mask[top : top + height, left : left + width] = True
    return masks
