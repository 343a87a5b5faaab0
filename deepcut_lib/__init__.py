"""DeepCut: unsupervised image segmentation by graph neural network clustering.

>>> from deepcut_lib import segment
>>> segment("data/images/photo_cat.jpg").mask  # doctest: +SKIP
"""

from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone, vit_from_state
from deepcut_lib.clustering import DeepCut
from deepcut_lib.features import PatchFeatures
from deepcut_lib.localization import Localization, localize
from deepcut_lib.segmentation import Segmentation, segment

__version__ = "0.1.0"

__all__ = [
    "BACKBONES",
    "Backbone",
    "DeepCut",
    "Localization",
    "PatchFeatures",
    "Segmentation",
    "load_backbone",
    "localize",
    "segment",
    "vit_from_state",
]
