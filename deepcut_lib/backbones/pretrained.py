"""The published ViTs: what they are, and how their weights come here, from a file, a cache or the net."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub import constants
from torch import Tensor

from deepcut_lib.backbones.backbone import Backbone, plain_torch
from deepcut_lib.backbones.checkpoints import (
    KNOWN_SHA256,
    Layout,
    check_sha256,
    looks_like_weights,
    read_layout,
)
from deepcut_lib.backbones.vit import (
    Architecture,
    load_strictly,
    read_architecture,
    vit_backbone,
    vit_from_state,
)
from deepcut_lib.downloads import DownloadError, fetch, reason_of, unreachable
from deepcut_lib.errors import BackboneUnavailableError, CheckpointError

OFFICIAL = "https://dl.fbaipublicfiles.com"
"""Where the official files are."""

HUB = constants.ENDPOINT
"""Where the hub is that timm publishes on; the variable HF_ENDPOINT names a mirror."""

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""What weights may be called in a timm repository of the Hugging Face hub; the first is downloaded."""


@dataclass(frozen=True)
class PublishedViT:
    """One published ViT.

    Attributes:
        name: our name.
        timm_name: timm's, also that of its repository on the Hugging Face hub, or None.
        file: path of the official file below `OFFICIAL`, or None.
        num_heads: attention heads of each block.
        patch_size: side of a patch in pixels.
        embed_dim: channels.
        depth: blocks.
        description: one line.
        registers: register tokens.
        layouts: the layouts that its weights are published in.
        which: the network of DINO's full checkpoint that this is.
    """

    name: str
    timm_name: str | None
    file: str | None
    num_heads: int
    patch_size: int
    embed_dim: int
    depth: int
    description: str
    registers: int = 0
    layouts: tuple[Layout, ...] = ("flat",)
    which: str = "teacher"

    @property
    def architecture(self) -> Architecture:
        """What must be found in its weight file."""
        return Architecture(self.embed_dim, self.depth, self.patch_size, self.registers)

    @property
    def repository(self) -> str | None:
        """timm's repository on the hub."""
        return f"timm/{self.timm_name}" if self.timm_name else None

    @property
    def hub_url(self) -> str | None:
        """Address of the weights on the hub."""
        return f"{HUB}/{self.repository}/resolve/main/{HUB_FILES[0]}" if self.repository else None

    @property
    def official_url(self) -> str | None:
        """Address of the authors' own file."""
        return f"{OFFICIAL}/{self.file}" if self.file else None

    @property
    def urls(self) -> list[str]:
        """Where its weights can be downloaded, in the order in which that is tried."""
        return [url for url in (self.hub_url, self.official_url) if url]


_DINO: tuple[Layout, ...] = ("flat", "DINO full checkpoint")
_ROWS = (
    PublishedViT(
        "dino_vits8",
        "vit_small_patch8_224.dino",
        "dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth",
        *(6, 8, 384, 12),
        "DINO ViT-S/8, the teacher: the paper's architecture, as timm and most others have it",
        layouts=_DINO,
    ),
    PublishedViT(
        "dino_vits8_student",
        None,
        "dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain_full_checkpoint.pth",
        *(6, 8, 384, 12),
        "DINO ViT-S/8, the student: what the paper's published code loads",
        layouts=("DINO full checkpoint",),
        which="student",
    ),
    PublishedViT(
        "dino_vits16",
        "vit_small_patch16_224.dino",
        "dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth",
        *(6, 16, 384, 12),
        "DINO ViT-S/16: a quarter of the patches of S/8",
        layouts=_DINO,
    ),
    PublishedViT(
        "dino_vitb8",
        "vit_base_patch8_224.dino",
        "dino/dino_vitbase8_pretrain/dino_vitbase8_pretrain.pth",
        *(12, 8, 768, 12),
        "DINO ViT-B/8",
        layouts=_DINO,
    ),
    PublishedViT(
        "dino_vitb16",
        "vit_base_patch16_224.dino",
        "dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
        *(12, 16, 768, 12),
        "DINO ViT-B/16: the paper's Table 4",
        layouts=_DINO,
    ),
    PublishedViT(
        "mae_vitb16",
        "vit_base_patch16_224.mae",
        "mae/pretrain/mae_pretrain_vit_base.pth",
        *(12, 16, 768, 12),
        "MAE ViT-B/16, trained to fill in hidden patches: the paper's Table 4",
        layouts=("MAE", "flat"),
    ),
    PublishedViT(
        "mocov3_vits16",
        None,
        "moco-v3/vit-s-300ep/vit-s-300ep.pth.tar",
        *(12, 16, 384, 12),
        "MoCo v3 ViT-S/16, with 12 heads where all others of its size have 6",
        layouts=("MoCo v3",),
    ),
    PublishedViT(
        "mocov3_vitb16",
        None,
        "moco-v3/vit-b-300ep/vit-b-300ep.pth.tar",
        *(12, 16, 768, 12),
        "MoCo v3 ViT-B/16: the paper's Table 4",
        layouts=("MoCo v3",),
    ),
    PublishedViT(
        "dinov2_vits14",
        "vit_small_patch14_dinov2.lvd142m",
        "dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        *(6, 14, 384, 12),
        "DINOv2 ViT-S/14",
    ),
    PublishedViT(
        "dinov2_vitb14",
        "vit_base_patch14_dinov2.lvd142m",
        "dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        *(12, 14, 768, 12),
        "DINOv2 ViT-B/14",
    ),
    PublishedViT(
        "dinov2_vits14_reg4",
        "vit_small_patch14_reg4_dinov2.lvd142m",
        "dinov2/dinov2_vits14/dinov2_vits14_reg4_pretrain.pth",
        *(6, 14, 384, 12),
        "DINOv2 ViT-S/14 with four registers",
        registers=4,
    ),
    PublishedViT(
        "dinov2_vitb14_reg4",
        "vit_base_patch14_reg4_dinov2.lvd142m",
        "dinov2/dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
        *(12, 14, 768, 12),
        "DINOv2 ViT-B/14 with four registers",
        registers=4,
    ),
    PublishedViT(
        "dinov3_vits16",
        "vit_small_patch16_dinov3.lvd1689m",
        None,  # Meta's own files ask for registration
        *(6, 16, 384, 12),
        "DINOv3 ViT-S/16 with rotary positions and four registers",
        registers=4,
        layouts=("timm DINOv3",),
    ),
)

PUBLISHED = {row.name: row for row in _ROWS}
"""The published ViTs by our names."""


def load_vit(
    name: str,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    stride: int | None = None,
    facet: str = "key",
    layer: int = -1,
    device: str | torch.device = "auto",
) -> Backbone:
    """Load a published ViT: from the given file, else from a cache on this machine, else from the net.

    Args:
        name: one of `PUBLISHED`.
        checkpoint: a local weight file in the official layout or timm's.
        stride: distance of neighbouring patches in pixels: the patch side (also None), its half or quarter.
        facet: ``"key"``, ``"query"``, ``"value"`` or ``"token"``.
        layer: which block, from 0, or from the end if negative.
        device: where to run.

    Raises:
        BackboneUnavailableError: no file was given and the weights are neither cached nor reachable.
        CheckpointError: the file, given or downloaded, is missing, damaged, or another model's.
        ValueError: no such name, stride, facet or layer.
    """
    row = _row(name)
    options: dict[str, Any] = {"stride": stride, "facet": facet, "layer": layer, "device": device}
    if checkpoint is not None:
        return _built(row, Path(checkpoint), options)
    damaged = []
    for path in _cached(row):
        try:
            return _built(row, path, options)
        except CheckpointError as error:  # a damaged file in a cache must not stand in the way of a whole one
            damaged.append(str(error))
    return _built(row, _download(row, damaged), options)


@plain_torch()
def _built(row: PublishedViT, path: Path, options: dict[str, Any]) -> Backbone:
    """The backbone of a weight file, which must be this model's."""
    layout, state = read_layout(path, which=row.which)
    name = row.name
    try:
        _check_origin(row, layout, state)
        if layout == "timm DINOv3" and row.timm_name:
            import timm

            model = timm.create_model(row.timm_name, pretrained=False)
            load_strictly(model, state)
            return vit_backbone(name, model, **options)
        return vit_from_state(state, num_heads=row.num_heads, patch_size=row.patch_size, name=name, **options)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def is_cached(name: str) -> bool:
    """Whether a published ViT's weights are on this machine; asks no network."""
    return next(_cached(_row(name)), None) is not None


def is_reachable(name: str, timeout: float = 3.0) -> bool:
    """Whether a published ViT's weights can be downloaded; answers within `timeout` seconds."""
    urls = _row(name).urls
    return len(_unreachable(urls, timeout)) < len(urls)


def _row(name: str) -> PublishedViT:
    if name not in PUBLISHED:
        raise ValueError(f"unknown ViT {name!r}; known are {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


def _check_origin(row: PublishedViT, layout: Layout, state: dict[str, Tensor]) -> None:
    found, wanted = read_architecture(state), row.architecture
    fitting = [r.name for r in PUBLISHED.values() if r.architecture == found and layout in r.layouts]
    if row.name in fitting:
        return
    if found[:2] != wanted[:2]:
        holds = f"holds embed_dim {found.embed_dim} and {found.depth} blocks"
        has = f"{wanted.embed_dim} and {wanted.depth}"
    elif found.patch_size != wanted.patch_size:
        holds, has = f"holds patches of {found.patch_size} pixels", f"{wanted.patch_size}"
    elif found.registers != wanted.registers:
        holds, has = f"holds {found.registers} registers", f"{wanted.registers}"
    else:  # the tensors would fit, but not tell the number of heads or the training
        holds, has = (
            f"is a file in the layout {layout!r}",
            f"weights in {' or '.join(map(repr, row.layouts))}",
        )
    names = " or ".join(f"name={name!r}" for name in fitting)
    remedy = f"choose {names}" if fitting else "no published ViT that is known fits; vit_from_state takes any"
    raise CheckpointError(f"{holds}, but {row.name} has {has}; {remedy}")


def _cached(row: PublishedViT) -> Iterator[Path]:
    """Files on this machine that may be its weights, as far as can be seen without reading them."""
    if row.repository:
        for file in HUB_FILES:
            cached = None
            with contextlib.suppress(OSError, ValueError):  # a cache that cannot be read has nothing for us
                cached = huggingface_hub.try_to_load_from_cache(row.repository, file)
            if isinstance(cached, str) and looks_like_weights(Path(cached)):
                yield Path(cached)
    if row.file and looks_like_weights(_official_target(row.file)):
        yield _official_target(row.file)


def _official_target(file: str) -> Path:
    """Where torch.hub keeps a file, so that what other programs downloaded is found."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(file).name


def _download(row: PublishedViT, damaged: list[str]) -> Path:
    """Download the weights from the first address that gives them.

    Args:
        row: the model.
        damaged: what is wrong with the files that are cached, for the message.
    """
    failures = _unreachable(row.urls, timeout=3.0)
    failure: type[BackboneUnavailableError | CheckpointError] = BackboneUnavailableError
    for url in row.urls:
        if url in failures:
            continue
        try:
            if row.file and url == row.official_url:
                target = _official_target(row.file)
                known = KNOWN_SHA256.get(target.name)
                # without long patience: there may be another address, or a backbone that is embedded
                check = partial(_check_arrived, row=row, sha256=known)
                return fetch(url, target, attempts=2, check=check)
            if row.repository:
                return _from_hub(row.repository, row)
        except Exception as error:  # the hub's client, its transport and urllib share no class of errors
            failures[url] = reason_of(error).removeprefix(f"{url}: ")
            if isinstance(error, CheckpointError):
                failure = CheckpointError
    tried = "; ".join([*damaged, *(f"{url}: {reason}" for url, reason in failures.items())])
    raise failure(
        f"{row.name} is not on this machine and could not be downloaded ({tried}). Download {row.urls[-1]} "
        "elsewhere and pass its path as checkpoint=, or use the embedded backbone 'effnet_lite0'"
    )


def _unreachable(urls: list[str], timeout: float) -> dict[str, str]:
    """Those of the addresses that do not answer in time, each with the reason."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return dict.fromkeys(urls, "HF_HUB_OFFLINE is set")
    return unreachable(urls, timeout)


def _from_hub(repository: str, row: PublishedViT) -> Path:
    """Download from the hub by its own client, which keeps whatever it was given: what is no weights goes.

    By force, because the client takes what is cached for whole, and nothing that is of use was cached.
    """
    path = Path(huggingface_hub.hf_hub_download(repository, HUB_FILES[0], endpoint=HUB, force_download=True))
    try:
        _check_arrived(path, row)
    except (DownloadError, CheckpointError):
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
    return path


def _check_arrived(path: Path, row: PublishedViT, sha256: str | None = None) -> None:
    """Build the model of a file that was downloaded, so that only a whole one is kept.

    Raises:
        DownloadError: it is no weight file at all.
        CheckpointError: it is damaged, or another model's.
    """
    if not looks_like_weights(path):
        raise DownloadError(
            "what arrived is no weight file; does the network ask for a login, or for a proxy?"
        )
    try:
        check_sha256(path, sha256)
        _built(row, path, {"stride": None, "facet": "key", "layer": -1, "device": "cpu"})
    except CheckpointError as error:
        raise CheckpointError(str(error).removeprefix(f"{path}: ")) from error
