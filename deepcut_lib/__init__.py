"""DeepCut: unsupervised image segmentation by graph neural network clustering.

>>> from deepcut_lib import segment
>>> segment("data/images/photo_cat.jpg").mask  # doctest: +SKIP

What the package offers is loaded when it is first named: `import deepcut_lib` alone loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepcut_lib import threads as threads  # first: it acts before torch is loaded

if TYPE_CHECKING:
    from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone, vit_from_state
    from deepcut_lib.clustering import DeepCut
    from deepcut_lib.features import PatchFeatures
    from deepcut_lib.kless import ImageClusters, cluster_images, segment_kless
    from deepcut_lib.localization import Localization, localize
    from deepcut_lib.matting import Matte, matte
    from deepcut_lib.parts import Parts, segment_parts
    from deepcut_lib.segmentation import Segmentation, segment
    from deepcut_lib.trained import TrainedDeepCut, train_once
    from deepcut_lib.video import VideoFrame, segment_video

__version__ = "0.1.0"

__all__ = [
    "BACKBONES",
    "Backbone",
    "DeepCut",
    "ImageClusters",
    "Localization",
    "Matte",
    "Parts",
    "PatchFeatures",
    "Segmentation",
    "TrainedDeepCut",
    "VideoFrame",
    "cluster_images",
    "load_backbone",
    "localize",
    "matte",
    "segment",
    "segment_kless",
    "segment_parts",
    "segment_video",
    "train_once",
    "vit_from_state",
]

_OFFERED_BY = {
    "backbones": ("BACKBONES", "Backbone", "load_backbone", "vit_from_state"),
    "clustering": ("DeepCut",),
    "features": ("PatchFeatures",),
    "kless": ("ImageClusters", "cluster_images", "segment_kless"),
    "localization": ("Localization", "localize"),
    "matting": ("Matte", "matte"),
    "parts": ("Parts", "segment_parts"),
    "segmentation": ("Segmentation", "segment"),
    "trained": ("TrainedDeepCut", "train_once"),
    "video": ("VideoFrame", "segment_video"),
}
_MODULES = {name: module for module, names in _OFFERED_BY.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load what the package offers, at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
