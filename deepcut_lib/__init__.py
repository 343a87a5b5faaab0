"""DeepCut: unsupervised image segmentation by graph neural network clustering.

>>> from deepcut_lib import segment
>>> segment("data/images/photo_cat.jpg").mask  # doctest: +SKIP
"""

from deepcut_lib import threads as threads  # first: it acts before torch is loaded
from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone, vit_from_state
from deepcut_lib.clustering import DeepCut
from deepcut_lib.features import PatchFeatures
from deepcut_lib.kless import ImageClusters, cluster_images, segment_kless
from deepcut_lib.localization import Localization, localize
from deepcut_lib.parts import Parts, segment_parts
from deepcut_lib.segmentation import Segmentation, segment
from deepcut_lib.trained import TrainedDeepCut, train_once

__version__ = "0.1.0"

__all__ = [
    "BACKBONES",
    "Backbone",
    "DeepCut",
    "ImageClusters",
    "Localization",
    "Parts",
    "PatchFeatures",
    "Segmentation",
    "TrainedDeepCut",
    "cluster_images",
    "load_backbone",
    "localize",
    "segment",
    "segment_kless",
    "segment_parts",
    "train_once",
    "vit_from_state",
]
