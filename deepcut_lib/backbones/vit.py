"""Vision transformers as backbones: a block's keys, queries, values or tokens, and nothing computed beyond.

The networks are timm's; the grid (stride, picture size) and the choice of block and facet are ours.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcut_lib.backbones.backbone import Backbone, Extracted, checked_stride, plain_torch
from deepcut_lib.devices import resolve_device
from deepcut_lib.errors import CheckpointError
from deepcut_lib.parameters import is_whole

FACETS = ("query", "key", "value", "token")
"""What can be taken of a block; the first three stand in the order of timm's fused projection."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ViTFeatures(nn.Module):
    """One facet of one block of a vision transformer, for every patch.

    Keys, queries and values come head-major: head 0's channels first. They are taken before the rotation
    that models with rotary positions (DINOv3) apply to them, so that a patch's feature says what the patch
    shows and not where it lies.

    Args:
        model: a timm ``VisionTransformer`` or ``Eva``, without head.
        stride: distance of neighbouring patches in pixels: the patch side p (also None), p/2 or p/4.
        facet: ``"key"``, ``"query"``, ``"value"`` or ``"token"`` (the block's output, before the last norm).
        layer: which block, from 0, or from the end if negative.

    Raises:
        ValueError: the model has no such stride, facet or layer.
    """

    def __init__(
        self, model: nn.Module, *, stride: int | None = None, facet: str = "key", layer: int = -1
    ) -> None:
        super().__init__()
        self.model = cast(Any, model)
        self.patch_size = int(self.model.patch_embed.proj.kernel_size[0])
        self.stride = checked_stride(stride, self.patch_size)
        if facet not in FACETS:
            raise ValueError(f"facet must be one of {', '.join(FACETS)}, not {facet!r}")
        depth = len(self.model.blocks)
        if not is_whole(layer) or not -depth <= layer < depth:
            raise ValueError(
                f"the model has {depth} blocks: layer must lie in {-depth}…{depth - 1}, not {layer!r}"
            )
        self.facet = facet
        self.layer = int(layer) % depth
        self.num_heads = int(self.model.blocks[0].attn.num_heads)  # no weight tells it
        self._resized: tuple[object, Tensor] | None = None

    def forward(self, batch: Tensor, *, cls: bool) -> Extracted:
        """B×3×H×W → values B×n×d; `cls` is the last block's CLS token after the final norm, B×d."""
        x, rotations = self._embed(batch)
        done = self.layer + (self.facet == "token")
        for index in range(done):
            x = self._run_block(index, x, rotations)
        patches = x[:, self.model.num_prefix_tokens :]
        values = patches if self.facet == "token" else self._project(patches)
        if not cls:
            return Extracted(values, None)
        for index in range(done, len(self.model.blocks)):
            x = self._run_block(index, x, rotations)
        return Extracted(values, self.model.norm(x[:, 0]))

    def _embed(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """Tokens before the first block, B×(prefix + n)×d, and the rotations of the grid, if any."""
        model = self.model
        projection = model.patch_embed.proj
        x = F.conv2d(batch, projection.weight, projection.bias, stride=self.stride)
        grid = (x.shape[2], x.shape[3])
        x = model.patch_embed.norm(x.flatten(2).transpose(1, 2))
        extra = [token for token in (model.cls_token, model.reg_token) if token is not None]
        prefix = [token.expand(len(x), -1, -1) for token in extra]
        if model.pos_embed is None:
            x = torch.cat([*prefix, x], dim=1)
        elif model.no_embed_class:  # the table has no rows for the prefix
            x = torch.cat([*prefix, x + self._positions(grid, 0)], dim=1)
        else:
            x = torch.cat([*prefix, x], dim=1) + self._positions(grid, model.num_prefix_tokens)
        rotary = getattr(model, "rope", None)
        return model.norm_pre(x), None if rotary is None else rotary.get_embed(shape=grid)

    def _positions(self, grid: tuple[int, int], prefix: int) -> Tensor:
        """The position table for this grid: 1×(prefix + n)×d; the last is kept: a GPU takes 3 ms for it."""
        table: Tensor = self.model.pos_embed
        if grid == tuple(self.model.patch_embed.grid_size):
            return table
        if table.requires_grad:
            return self._resize(table, grid, prefix)
        made_from = (grid, prefix, table.device, table._version)
        resized = self._resized
        if resized is None or resized[0] != made_from:
            self._resized = resized = made_from, self._resize(table, grid, prefix)
        return resized[1]

    def _resize(self, table: Tensor, grid: tuple[int, int], prefix: int) -> Tensor:
        native = self.model.patch_embed.grid_size
        # DINO asks for a tenth of a patch more than the grid and passes the resulting scale on, and so the
        # sampling points differ a little from those of a resize to exactly h×w; features by about 1 %
        rows, columns = ((cells + 0.1) / side for cells, side in zip(grid, native, strict=True))
        resized = F.interpolate(
            table[:, prefix:].unflatten(1, native).permute(0, 3, 1, 2),
            scale_factor=(rows, columns),
            mode="bicubic",
            align_corners=False,
        )
        return torch.cat([table[:, :prefix], resized.flatten(2).transpose(1, 2)], dim=1)

    def _run_block(self, index: int, x: Tensor, rotations: Tensor | None) -> Tensor:
        block = self.model.blocks[index]
        if rotations is None:
            return block(x)
        return block(x, rope=rotations[index] if self.model.rope_mixed else rotations)

    def _project(self, tokens: Tensor) -> Tensor:
        """The third of the block's fused projection that the facet needs."""
        block = self.model.blocks[self.layer]
        attention = block.attn
        third = FACETS.index(self.facet)
        if getattr(attention, "q_bias", None) is not None:  # Eva keeps the three biases apart
            bias = (attention.q_bias, attention.k_bias, attention.v_bias)[third]
        else:
            bias = None if attention.qkv.bias is None else attention.qkv.bias.chunk(3)[third]
        values = F.linear(block.norm1(tokens), attention.qkv.weight.chunk(3)[third], bias)
        if self.facet == "value":
            return values
        norm = attention.q_norm if self.facet == "query" else attention.k_norm
        return norm(values.unflatten(-1, (attention.num_heads, -1))).flatten(-2)


def vit_backbone(
    name: str,
    model: nn.Module,
    *,
    stride: int | None,
    facet: str,
    layer: int,
    device: str | torch.device,
) -> Backbone:
    """Wrap a timm transformer that wants ImageNet's mean and deviation.

    Pictures become 280×280 for patches of 8 pixels, as in the published code, else nearly 448×448.
    """
    extractor = ViTFeatures(model, stride=stride, facet=facet, layer=layer)
    patch = extractor.patch_size
    return Backbone(
        name,
        extractor,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        size=280 if patch == 8 else round(448 / patch) * patch,
        device=resolve_device(device),
    )


_DIMENSIONS = {
    "patch_embed.proj.weight": 4,
    "cls_token": 3,
    "pos_embed": 3,
    "register_tokens": 3,
    "reg_token": 3,
    "blocks.0.mlp.fc1.weight": 2,
}
"""Those of the tensors that the network's sizes are read off."""


class Architecture(NamedTuple):
    """What a state dict's tensors tell of the network; the number of heads is not among it."""

    embed_dim: int
    depth: int
    patch_size: int
    registers: int


def read_architecture(state_dict: Mapping[str, Tensor]) -> Architecture:
    """Read the sizes off a state dict in DINO's or timm's layout.

    Raises:
        CheckpointError: it has no patch projection or no blocks, or tensors of other dimensions.
    """
    _require(state_dict, "patch_embed.proj.weight", "blocks.0.norm1.weight")
    for key, dimensions in _DIMENSIONS.items():
        tensor = state_dict.get(key)
        if tensor is not None and (tensor.ndim != dimensions or tensor.numel() == 0):
            raise CheckpointError(
                f"{key} has the shape {tuple(tensor.shape)}, where a ViT has {dimensions} dimensions, "
                "none of them 0; is this a ViT's checkpoint?"
            )
    projection = state_dict["patch_embed.proj.weight"]
    registers = state_dict.get("register_tokens", state_dict.get("reg_token"))
    return Architecture(
        embed_dim=projection.shape[0],
        depth=len({key.split(".")[1] for key in state_dict if key.startswith("blocks.")}),
        patch_size=projection.shape[-1],
        registers=0 if registers is None else registers.shape[1],
    )


@plain_torch()
def vit_from_state(
    state_dict: Mapping[str, Tensor],
    *,
    num_heads: int,
    patch_size: int,
    stride: int | None = None,
    facet: str = "key",
    layer: int = -1,
    device: str | torch.device = "auto",
    name: str = "vit",
) -> Backbone:
    """Build a ViT backbone from weights in DINO's layout; its sizes are read off the tensors.

    Args:
        state_dict: ``cls_token``, ``pos_embed``, ``patch_embed.proj.*``, ``blocks.i.*``, ``norm.*``; also
            DINOv2's layer scale (``ls1``, ``ls2``) and registers. ``mask_token`` is ignored.
        num_heads: attention heads of each block. They cannot be read off the tensors, and a wrong number
            that divides the channels loads silently, with wrong attention.
        patch_size: side of a patch in pixels.
        stride: distance of neighbouring patches in pixels: the patch side (also None), its half or quarter.
        facet: ``"key"``, ``"query"``, ``"value"`` or ``"token"``.
        layer: which block, from 0, or from the end if negative.
        device: where to run.
        name: the backbone's name.

    Raises:
        CheckpointError: the tensors do not make such a network; the message says which and why.
        ValueError: the network has no such stride, facet or layer.
    """
    state = {key: tensor for key, tensor in state_dict.items() if key != "mask_token"}
    sizes = read_architecture(state)
    _require(state, "cls_token", "pos_embed", "blocks.0.mlp.fc1.weight")
    kernel = tuple(state["patch_embed.proj.weight"].shape[1:])
    if not is_whole(patch_size) or kernel != (3, patch_size, patch_size):
        raise CheckpointError(
            f"the patch projection's kernel is {'×'.join(map(str, kernel))} (channels × height × width), "
            f"which contradicts patch_size={patch_size!r}"
        )
    if not is_whole(num_heads) or num_heads < 1 or sizes.embed_dim % num_heads:
        raise CheckpointError(
            f"embed_dim {sizes.embed_dim} is not divisible by num_heads={num_heads!r}; give the whole number "
            "of heads that the network was trained with"
        )

    if "register_tokens" in state:
        state["reg_token"] = state.pop("register_tokens")
    rows = state["pos_embed"].shape[1]
    with_class = rows > 1 and math.isqrt(rows - 1) ** 2 == rows - 1
    side = math.isqrt(rows - with_class)
    if side**2 != rows - with_class:
        raise CheckpointError(
            f"the position table has {rows} rows, neither s² nor s² + 1 for a square of side s"
        )
    if sizes.registers and with_class:
        # Registers stand between the class token and the patches and have no position: add its own to the
        # class token here, as timm does, and the table's rows are the patches alone
        state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
        state["pos_embed"] = state["pos_embed"][:, 1:]
        with_class = False
    model = _transformer(
        img_size=side * int(patch_size),
        patch_size=int(patch_size),
        embed_dim=sizes.embed_dim,
        depth=sizes.depth,
        num_heads=int(num_heads),
        # timm multiplies and rounds down: the half keeps it on the number that was read
        mlp_ratio=(len(state["blocks.0.mlp.fc1.weight"]) + 0.5) / sizes.embed_dim,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
        init_values=1.0 if "blocks.0.ls1.gamma" in state else None,
        reg_tokens=sizes.registers,
        no_embed_class=not with_class,
        weight_init="skip",
    )
    load_strictly(model, state)
    return vit_backbone(name, model, stride=stride, facet=facet, layer=layer, device=device)


def load_strictly(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights that must fit exactly.

    Raises:
        CheckpointError: keys are missing or left over, or shapes differ; the message lists them. Or a tensor
            is of a kind that holds no weights, such as a sparse or complex one.
    """
    wanted = model.state_dict()
    faults = [
        ("missing keys", [key for key in wanted if key not in state]),
        ("unexpected keys", [key for key in state if key not in wanted]),
        (
            "other shapes",
            [
                f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
                for key, tensor in wanted.items()
                if key in state and state[key].shape != tensor.shape
            ],
        ),
    ]
    if any(found for _, found in faults):
        raise CheckpointError("; ".join(f"{fault}: {_shortened(found)}" for fault, found in faults if found))
    try:
        model.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"these weights cannot be used ({' '.join(str(error).split())[:300]})"
        ) from error


@plain_torch()
def random_vit(
    *,
    stride: int | None = None,
    facet: str = "key",
    layer: int = -1,
    device: str | torch.device = "auto",
) -> Backbone:
    """An untrained ViT-S/8, the same every time: what the architecture alone is worth."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = _transformer(
            patch_size=8,
            embed_dim=384,
            depth=12,
            num_heads=6,
        )
    return vit_backbone("random_vit", model, stride=stride, facet=facet, layer=layer, device=device)


def _transformer(**sizes: Any) -> nn.Module:
    # timm takes as long to load as torch itself, and only a network needs it
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(norm_layer=partial(nn.LayerNorm, eps=1e-6), num_classes=0, **sizes)


def _require(state: Mapping[str, Tensor], *keys: str) -> None:
    missing = [key for key in keys if key not in state]
    if missing:
        raise CheckpointError(
            f"missing keys: {', '.join(missing)}; found {_shortened(list(state)) or 'none'}"
        )


def _shortened(items: list[str], count: int = 6) -> str:
    rest = len(items) - count
    return ", ".join(items[:count]) + (f" and {rest} more" if rest > 0 else "")
