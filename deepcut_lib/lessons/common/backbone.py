"""Which backbone the lessons are read with."""

import os

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.registry import EMBEDDED, VARIABLE


def lesson_backbone() -> Backbone:
    """What the variable DEEPCUT_BACKBONE names, else the embedded backbone, with which lessons are saved.

    The variable DEEPCUT_CHECKPOINT may name a file of its weights, as the ``checkpoint`` of `load_backbone`.

    Raises:
        DeepCutError, ValueError: as `load_backbone` does.
    """
    return load_backbone(
        os.environ.get(VARIABLE) or EMBEDDED, checkpoint=os.environ.get("DEEPCUT_CHECKPOINT") or None
    )
