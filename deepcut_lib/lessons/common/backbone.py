"""Which backbone the lessons are read with."""

import os

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.registry import EMBEDDED, VARIABLE


def lesson_backbone() -> Backbone:
    """What the variable DEEPCUT_BACKBONE names, else the embedded backbone, with which lessons are saved.

    Raises:
        DeepCutError, ValueError: as `load_backbone` does.
    """
    return load_backbone(os.environ.get(VARIABLE) or EMBEDDED)
