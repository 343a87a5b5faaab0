"""Weight files in the layouts their authors publish them in, read without running any code they hold."""

import argparse
import warnings
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from deepcut_lib import files
from deepcut_lib.errors import CheckpointError

Layout: TypeAlias = Literal["flat", "DINO full checkpoint", "MAE", "MoCo v3", "timm DINOv3"]
"""Where a file comes from, as far as its keys tell; DINO, DINOv2 and timm write the flat one."""

KNOWN_SHA256 = {
    "dinov2_vits14_pretrain.pth": "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    "dinov2_vitb14_pretrain.pth": "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    "dinov2_vits14_reg4_pretrain.pth": "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
    "dinov2_vitb14_reg4_pretrain.pth": "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
}
"""Digests of official files, by name, on which independent projects agree; none were found for the others."""


def read_checkpoint(
    path: str | PathLike[str], *, which: str = "teacher", sha256: str | None = None
) -> dict[str, Tensor]:
    """Read a ViT's weights from a local file; keys come out in DINO's layout.

    Args:
        path: a ``.pth`` or ``.pth.tar`` file of DINO (backbone or full checkpoint), DINOv2, MAE or MoCo v3,
            or a ``.safetensors`` file of timm.
        which: ``"teacher"`` or ``"student"``: the network to take from DINO's full checkpoint.
        sha256: the digest the file must have; by default that of `KNOWN_SHA256` for the file's name, if any.

    Raises:
        CheckpointError: the file is missing, empty, damaged, not the one expected, or laid out otherwise.
    """
    return read_layout(path, which=which, sha256=sha256)[1]


def read_layout(
    path: str | PathLike[str], *, which: str = "teacher", sha256: str | None = None
) -> tuple[Layout, dict[str, Tensor]]:
    """Read a weight file like `read_checkpoint`, and say which layout it was in."""
    if which not in ("teacher", "student"):
        raise ValueError(f"which must be 'teacher' or 'student', not {which!r}")
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path")
    try:
        if path.stat().st_size == 0:
            raise CheckpointError(f"{path}: the file is empty (zero bytes); download it again")
        check_sha256(path, sha256 or KNOWN_SHA256.get(path.name))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    contents = _load(path)
    try:
        return _recognise(contents, which)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def looks_like_weights(path: Path) -> bool:
    """Whether a file is built as weight files are, without reading the weights.

    A page that asks for a login is not, and neither is a file that was cut short, unless it is one of torch's
    old pickles, whose end does not tell.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == b"PK\x03\x04":
            return zipfile.is_zipfile(path)
        if start.startswith(b"\x80\x02"):
            return True
        with safetensors.safe_open(path, "pt"):
            return True
    except (OSError, safetensors.SafetensorError):
        return False


def check_sha256(path: Path, expected: str | None) -> None:
    """Compare a file's digest with the expected one, if there is one.

    Raises:
        CheckpointError: they differ.
    """
    if expected is None:
        return
    found = files.sha256(path)
    if found != expected.lower():
        raise CheckpointError(
            f"{path}: its SHA-256 is {found}, expected {expected.lower()}; the file is damaged or not the "
            "official one: download it again"
        )


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        # Full checkpoints of DINO hold their command line's options beside the tensors
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # old pickles are read all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # depending on the byte where reading fails, nearly any type
        if "unsupported global" in str(error).lower():
            raise CheckpointError(
                f"{path}: holds Python objects besides tensors, which could run code when read, and is "
                "refused; save its state_dict alone and give that file"
            ) from error
        # Truncated downloads of DINO's full S/8 checkpoint have been reported
        reason = (str(error).splitlines() or [""])[0][:100]
        raise CheckpointError(
            f"{path}: truncated, damaged, or no checkpoint ({type(error).__name__}: {reason}); delete it and "
            "download it again"
        ) from error


def _recognise(contents: Any, which: str) -> tuple[Layout, dict[str, Tensor]]:
    if not isinstance(contents, Mapping):
        raise CheckpointError(
            f"holds a {type(contents).__name__}, not a dict of tensors; is this a checkpoint?"
        )
    if isinstance(contents.get(which), Mapping):
        return "DINO full checkpoint", _tensors(
            contents[which], strip=("module.", "backbone."), drop=("head.",)
        )
    if isinstance(contents.get("model"), Mapping):
        return "MAE", _tensors(contents["model"], drop=("decoder_", "mask_token"))
    momentum = contents.get("state_dict")
    encoder = "module.base_encoder."
    if isinstance(momentum, Mapping) and any(str(key).startswith(encoder) for key in momentum):
        own = {key: value for key, value in momentum.items() if str(key).startswith(encoder)}
        return "MoCo v3", _tensors(own, strip=(encoder,), drop=("head.",))
    if "cls_token" in contents:
        state = _tensors(contents)
        return ("timm DINOv3" if "blocks.0.gamma_1" in state else "flat"), state
    found = ", ".join(map(str, list(contents)[:8])) + (", …" if len(contents) > 8 else "")
    raise CheckpointError(
        f"no layout that is known; its top-level keys are: {found or 'none'}. Known are DINO, DINOv2, MAE "
        "and MoCo v3 as their authors publish them, and timm's"
    )


def _tensors(
    contents: Mapping[str, Any], *, strip: tuple[str, ...] = (), drop: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    state = {}
    for key, value in contents.items():
        key = str(key)
        for prefix in strip:
            key = key.removeprefix(prefix)
        if key.startswith(drop):
            continue
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{key} is a {type(value).__name__}, not a tensor; is this a ViT's checkpoint?"
            )
        state[key] = value
    return state
