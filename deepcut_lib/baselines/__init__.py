"""Other ways to find the foreground, the parts or the clusters in the same features."""

# ruff: noqa: F401 (what is imported here is what the package offers; results' classes are in its modules)

from deepcut_lib.baselines.amir import amir_parts, saliency_of
from deepcut_lib.baselines.cls_attention import cls_foreground, extract_with_attention, has_cls_attention
from deepcut_lib.baselines.components import connected_components
from deepcut_lib.baselines.contraction import contraction
from deepcut_lib.baselines.deep_spectral import deep_spectral
from deepcut_lib.baselines.dff import dff
from deepcut_lib.baselines.hdbscan import hdbscan
from deepcut_lib.baselines.kmeans import kmeans
from deepcut_lib.baselines.leiden import has_leiden, leiden
from deepcut_lib.baselines.lost import lost
from deepcut_lib.baselines.proposals import edge_boxes, has_ximgproc, selective_search
from deepcut_lib.baselines.spectral import spectral
from deepcut_lib.baselines.tokencut import tokencut
