"""Other ways to find the foreground, the parts or the clusters in the same features."""

from deepcut_lib.baselines.amir import AmirParts, amir_parts, saliency_of
from deepcut_lib.baselines.cls_attention import (
    ClsForeground,
    cls_foreground,
    extract_with_attention,
    has_cls_attention,
)
from deepcut_lib.baselines.components import connected_components
from deepcut_lib.baselines.deep_spectral import DeepSpectral, deep_spectral
from deepcut_lib.baselines.dff import Dff, dff
from deepcut_lib.baselines.kmeans import kmeans
from deepcut_lib.baselines.lost import Lost, lost
from deepcut_lib.baselines.proposals import edge_boxes, has_ximgproc, selective_search
from deepcut_lib.baselines.spectral import spectral
from deepcut_lib.baselines.tokencut import TokenCut, tokencut

__all__ = [
    "AmirParts",
    "ClsForeground",
    "DeepSpectral",
    "Dff",
    "Lost",
    "TokenCut",
    "amir_parts",
    "cls_foreground",
    "connected_components",
    "deep_spectral",
    "dff",
    "edge_boxes",
    "extract_with_attention",
    "has_cls_attention",
    "has_ximgproc",
    "kmeans",
    "lost",
    "saliency_of",
    "selective_search",
    "spectral",
    "tokencut",
]
