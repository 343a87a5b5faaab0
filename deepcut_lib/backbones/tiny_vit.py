"""Two small vision transformers of our own, shipped with the library; `training/` made them.

Both have patches of 8 pixels, 192 channels, 6 blocks and 6 heads, and differ in what they learned from: one
matches EfficientNet-Lite0's features (and so inherits ImageNet's labels), one fills in masked patches. Their
cards lie beside their weights in `deepcut_lib/weights/`.
"""

from dataclasses import replace

import torch
from safetensors.torch import load_file

from deepcut_lib.backbones.backbone import Backbone
from deepcut_lib.backbones.shipped import shipped
from deepcut_lib.backbones.vit import vit_from_state
from deepcut_lib.recipe import CENTRED_RECIPE

SHA256 = {
    "tiny_vit": "7d52c712eed67c63053ea4dc1b2a7d5ed9de04796f59d11c00c24725d3b8ca22",
    "tiny_vit_masked": "62e31e10c6cd951fda4991b773ac76e8781495713130ba9d3d9bb98b21900ed6",
}
"""Hashes of the shipped files, as on the model cards."""


def tiny_vit(*, stride: int | None, facet: str, layer: int, device: str | torch.device) -> Backbone:
    """The distilled one: taught by EfficientNet-Lite0, which was trained with ImageNet's labels."""
    return _load("tiny_vit", stride, facet, layer, device)


def tiny_vit_masked(*, stride: int | None, facet: str, layer: int, device: str | torch.device) -> Backbone:
    """The one trained without any labels, to fill in masked patches."""
    return _load("tiny_vit_masked", stride, facet, layer, device)


def _load(name: str, stride: int | None, facet: str, layer: int, device: str | torch.device) -> Backbone:
    """Read the weights, which are in half precision in the file.

    Raises:
        CheckpointError: the file is missing or is not the one that was shipped.
    """
    path = shipped(f"{name}.safetensors", SHA256[name])
    state = {key: tensor.float() for key, tensor in load_file(path).items()}
    backbone = vit_from_state(
        state, num_heads=6, patch_size=8, stride=stride, facet=facet, layer=layer, device=device, name=name
    )
    # Keys of tiny_vit: spread of blank pictures 0.36 to 0.51, of photographs 0.54 to 0.89. The other network
    # does not tell blank pictures (0.15 to 0.20) from photographs (from 0.19 on)
    measured = name == "tiny_vit" and (facet, layer) == ("key", -1)
    backbone.recipe = replace(CENTRED_RECIPE, least_spread=0.525 if measured else 0.0)
    return backbone
