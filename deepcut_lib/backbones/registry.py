"""Backbones by name."""

import os
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from inspect import signature
from typing import Any

from deepcut_lib.backbones.backbone import Backbone, plain_torch
from deepcut_lib.backbones.effnet import effnet_lite0
from deepcut_lib.backbones.pixels import pixels
from deepcut_lib.backbones.pretrained import PUBLISHED, is_cached, is_reachable, load_vit
from deepcut_lib.backbones.shipped import shipped
from deepcut_lib.backbones.tiny_vit import tiny_vit, tiny_vit_masked
from deepcut_lib.backbones.vit import random_vit
from deepcut_lib.devices import resolve_device
from deepcut_lib.errors import DeepCutError
from deepcut_lib.prior import ForegroundPrior

VARIABLE = "DEEPCUT_BACKBONE"
"""Environment variable that names the backbone which ``"auto"`` takes."""

PAPER = "dino_vits8"
"""The paper's backbone."""

EMBEDDED = "effnet_lite0"
"""The backbone whose weights are installed with the library."""

Loader = Callable[..., Backbone]
"""Makes a backbone; takes `stride` and `device`, and those of `load_backbone`'s other options that it has."""

_HERE: dict[str, tuple[Loader, str]] = {
    "effnet_lite0": (
        effnet_lite0,
        "EfficientNet-Lite0, convolutional, trained with ImageNet labels; embedded",
    ),
    "tiny_vit": (
        tiny_vit,
        "our small ViT, taught by EfficientNet-Lite0 (so by ImageNet labels); embedded",
    ),
    "tiny_vit_masked": (
        tiny_vit_masked,
        "our small ViT, trained to fill in masked patches, without labels; embedded",
    ),
    "pixels": (pixels, "colour and texture of a patch, no network"),
    "random_vit": (random_vit, "an untrained ViT-S/8"),
}

REGISTERED: dict[str, tuple[Loader, str]] = {
    **_HERE,
    **{name: (partial(load_vit, name), vit.description) for name, vit in PUBLISHED.items()},
}
"""All backbones by name, each with its loader and one line on what it is."""

OFFLINE = {name: what for name, (_, what) in _HERE.items()}
"""Backbones that need no weights from elsewhere, and what they are."""

PRIORS = {"effnet_lite0": "db838e73775817343740e6723370363ef4cc8b68073b202c9dfcfba63ad6c76e"}
"""Backbones that come with a foreground prior, and the SHA-256 of its file."""

BACKBONES = {name: what for name, (_, what) in REGISTERED.items()}
"""All names that `load_backbone` knows, each with one line on what it is."""


def load_backbone(
    name: str = "auto",
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    stride: int | None = None,
    facet: str = "key",
    layer: int = -1,
    device: str = "auto",
    prior: str | os.PathLike[str] | None = None,
) -> Backbone:
    """Load a backbone by name.

    Args:
        name: one of `BACKBONES`, or "auto": the variable DEEPCUT_BACKBONE if set, else the backbone of the
            `prior` if one is given, else the paper's DINO ViT-S/8 if its weights are cached or reachable
            within seconds, else (and whatever goes wrong on the way to them) the embedded one, with a notice.
        checkpoint: local weight file of a published ViT, in the official layout.
        stride: distance of neighbouring patches in pixels; by default the patch side.
        facet: what of a ViT's block to take: "key", "query", "value" or "token".
        layer: which block of a ViT, from 0, or from the end if negative.
        device: "auto", "cpu", "cuda" or "mps".
        prior: file of `ForegroundPrior.save`, made from this backbone's features as they are asked for here
            (facet and layer); by default the one that comes with the backbone, if any, for its usual
            features. With one, `Backbone.foreground_recipe` weighs it.

    Raises:
        ValueError: no such name, an option that this backbone does not have, or another backbone's prior.
        BackboneUnavailableError: the weights are neither on this machine nor reachable.
        CheckpointError: a file is missing, damaged, or something else: another model's weights, no prior.
    """
    options: dict[str, Any] = {
        "stride": stride,
        "facet": facet,
        "layer": layer,
        "device": device,
        "prior": prior,
    }
    if name != "auto":
        return _load(name, checkpoint=checkpoint, **options)
    named = chosen_by_user(name)
    if named != "auto":
        try:
            return _load(named, checkpoint=checkpoint, **options)
        except (DeepCutError, ValueError) as error:
            raise type(error)(f"{VARIABLE}={named}: {error}") from error
    if prior is not None:
        return _load(ForegroundPrior.load(prior).backbone, checkpoint=checkpoint, **options)
    if checkpoint is not None:
        return _load(PAPER, checkpoint=checkpoint, **options)
    reason = "is neither cached nor reachable"
    try:
        if is_cached(PAPER) or is_reachable(PAPER):
            return _load(PAPER, **options)
    except Exception as error:  # a broken cache, a full disk, a proxy: nothing on this way may end a command
        reason = f"could not be loaded ({(str(error).splitlines() or [type(error).__name__])[0]})"
    print(
        f"Backbone: {EMBEDDED}, embedded and trained with ImageNet labels; the paper's {PAPER} {reason}.",
        file=sys.stderr,
    )
    return _load(EMBEDDED, **options)


def resolve_backbone(
    backbone: str | Backbone, *, stride: int | None = None, device: str = "auto"
) -> Backbone:
    """A backbone that was given loaded, or by its name.

    The last two that were named are kept, so that a loop over pictures loads its backbone once.

    Args:
        backbone: either.
        stride: the distance of patches that is wanted, in pixels, or None.
        device: where to run one that is given by name.

    Raises:
        ValueError: it was loaded with another stride, and as `load_backbone`.
    """
    if isinstance(backbone, str):
        return _remembered(chosen_by_user(backbone), stride, device)
    if stride is not None and stride != backbone.stride:
        raise ValueError(f"{backbone.name} was loaded with stride {backbone.stride}; load it with {stride}")
    return backbone


@lru_cache(maxsize=2)
def _remembered(name: str, stride: int | None, device: str) -> Backbone:
    return load_backbone(name, stride=stride, device=device)


def chosen_by_user(name: str) -> str:
    """What a name stands for before anything is looked up: "auto" is what `VARIABLE` says, if it is set."""
    return os.environ.get(VARIABLE) or "auto" if name == "auto" else name


@plain_torch()
def _load(name: str, *, prior: str | os.PathLike[str] | None = None, **options: Any) -> Backbone:
    """Call a backbone's loader with those of `load_backbone`'s options that it takes, and add its prior."""
    if name not in REGISTERED:
        raise ValueError(f"no backbone is called {name!r}; there are: {', '.join(BACKBONES)}")
    loader, _ = REGISTERED[name]
    taken, usual = signature(loader).parameters, signature(load_backbone).parameters
    for option, value in options.items():
        if option not in taken and value != usual[option].default:
            raise ValueError(f"{name} takes no {option}; leave it out, or name a backbone that takes one")
    options["device"] = resolve_device(options["device"])
    usual_features = all(options[option] == usual[option].default for option in ("facet", "layer"))
    if prior is None and name in PRIORS and usual_features:  # a prior knows one kind of features
        prior = shipped(f"{name}_prior.safetensors", PRIORS[name])
    known = None if prior is None else ForegroundPrior.load(prior)
    backbone = loader(**{option: value for option, value in options.items() if option in taken})
    if known is None:
        return backbone
    try:
        return backbone.with_prior(known)
    except ValueError as error:
        raise ValueError(f"{prior}: {error}") from error
