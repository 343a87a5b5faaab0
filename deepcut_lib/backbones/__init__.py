"""Backbones: a picture in, patch features out."""

from deepcut_lib.backbones.backbone import Backbone
from deepcut_lib.backbones.registry import BACKBONES, load_backbone, resolve_backbone
from deepcut_lib.backbones.vit import vit_from_state

__all__ = ["BACKBONES", "Backbone", "load_backbone", "resolve_backbone", "vit_from_state"]
