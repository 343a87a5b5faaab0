"""DINO-[CLS] (Caron et al., 2021): the patches that a ViT's CLS token attends to most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepcut_lib.backbones import Backbone
from deepcut_lib.features import PatchFeatures
from deepcut_lib.foreground import foreground_box
from deepcut_lib.images import ImageLike, Size
from deepcut_lib.metrics import Box
from deepcut_lib.refinement import largest_component


@dataclass(frozen=True, eq=False)
class ClsForeground:
    """What `cls_foreground` found.

    Attributes:
        foreground: h×w bool: the largest 4-connected part of the patches attended to most.
        box: (x1, y1, x2, y2) round it, in pixels of the picture.
    """

    foreground: np.ndarray
    box: Box


def has_cls_attention(backbone: Backbone) -> bool:
    """Whether the backbone is a ViT with a CLS token, and its attention needs no rotation of positions."""
    model: Any = getattr(backbone.extractor, "model", None)
    return (
        getattr(model, "cls_token", None) is not None
        and getattr(model.blocks[-1].attn, "qkv", None) is not None
        and getattr(model, "rope", None) is None
    )


def extract_with_attention(
    backbone: Backbone, images: Sequence[ImageLike], *, size: Size | str = "default"
) -> tuple[list[PatchFeatures], list[np.ndarray]]:
    """Extract pictures' features together with the last block's attention from CLS to the patches.

    Args:
        backbone: a ViT with a CLS token.
        images: paths, PIL pictures or arrays.
        size: as for calling the backbone.

    Returns:
        The features, and for each picture heads×h×w attention (what goes to CLS itself is left out).

    Raises:
        ValueError: the backbone has no such attention.
    """
    if not has_cls_attention(backbone):
        raise ValueError(f"{backbone.name} has no CLS attention; take a ViT such as dino_vits8 or tiny_vit")
    model: Any = backbone.extractor.model
    recorded: list[Tensor] = []

    def record(attention: Any, given: tuple[Tensor, ...]) -> None:
        tokens = given[0]
        b, n, _ = tokens.shape
        queries, keys, _ = attention.qkv(tokens).reshape(b, n, 3, attention.num_heads, -1).unbind(2)
        # CLS, the first token, asks; all tokens answer
        queries, keys = attention.q_norm(queries[:, 0]), attention.k_norm(keys)
        weights = torch.einsum("bhc,bnhc->bhn", queries * attention.scale, keys).softmax(-1)
        recorded.extend(weights[:, :, model.num_prefix_tokens :])

    handle = model.blocks[-1].attn.register_forward_pre_hook(record)
    features, attentions = [], []
    try:
        for image in images:  # one at a time: a batch would come back sorted by grid
            features += backbone.batch([image], size=size, cls=True)
            attentions.append(recorded.pop().reshape(-1, *features[-1].grid).cpu().numpy())
    finally:
        handle.remove()
    return features, attentions


def cls_foreground(
    attention: np.ndarray, features: PatchFeatures, *, head: int = 4, mass: float = 0.6
) -> ClsForeground:
    """Keep the patches that hold most of one head's attention.

    Args:
        attention: heads×h×w.
        features: the features that came with it.
        head: which head, from 0.
        mass: share of the attention to keep, in (0, 1).

    Raises:
        ValueError: there is no such head.
    """
    if head >= len(attention):
        raise ValueError(f"the attention has {len(attention)} heads; there is no head {head} (from 0)")
    weights = attention[head].ravel().astype(np.float64)
    order = weights.argsort(kind="stable")
    kept = np.zeros(weights.size, bool)
    kept[order] = weights[order].cumsum() / weights.sum() > 1 - mass
    foreground = largest_component(features.to_map(kept))
    return ClsForeground(foreground, foreground_box(foreground, features.image_size))
