"""Explorers: a lesson's figure with controls; each lesson's own in the module of its name."""

from deepcut_lib.widgets.explorer import Explorer

__all__ = ["Explorer"]
