"""Correlation clustering by greedy contraction and local search: the loss of Eq. 10 without a network."""

import numpy as np
from torch import Tensor

from deepcut_lib.local_search import contract, improve, off_diagonal


def contraction(affinity: Tensor | np.ndarray, *, search: bool = True) -> np.ndarray:
    """Greedy additive edge contraction, then Kernighan and Lin's chains of moves with joins.

    Args:
        affinity: W, n×n, signed and symmetric (Eq. 7); n up to some thousands.
        search: whether the local search follows; without it, it is the contraction alone.

    Returns:
        (n,) clusters; nothing is random.
    """
    labels = contract(off_diagonal(affinity))
    return improve(affinity, labels) if search else labels
