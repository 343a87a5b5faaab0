"""Other ways to find the foreground in the same features."""

from deepcut_lib.baselines.kmeans import kmeans
from deepcut_lib.baselines.tokencut import TokenCut, tokencut

__all__ = ["TokenCut", "kmeans", "tokencut"]
