"""Leiden (Traag, Waltman and van Eck, 2019) on the signed graph, by leidenalg where it is installed."""

import importlib
from typing import Any

import numpy as np
from torch import Tensor

from deepcut_lib.errors import DeepCutError
from deepcut_lib.local_search import off_diagonal


class LeidenMissingError(DeepCutError, RuntimeError):
    """The packages igraph and leidenalg are not installed."""


def has_leiden() -> bool:
    """Whether leidenalg is installed."""
    try:
        _leidenalg()
    except LeidenMissingError:
        return False
    return True


def leiden(affinity: Tensor | np.ndarray, *, random_state: int = 0) -> np.ndarray:
    """Maximise the affinity inside clusters (Eq. 10): a layer of what attracts, minus one of what repels.

    The constant Potts model at resolution 0, in which a clustering is worth the sum of its weights.

    Args:
        affinity: W, n×n, signed and symmetric (Eq. 7). Each pair becomes an edge: n up to some thousands.
        random_state: the order in which nodes are visited.

    Returns:
        (n,) clusters.

    Raises:
        LeidenMissingError: igraph or leidenalg is not installed.
    """
    leidenalg = _leidenalg()
    igraph = importlib.import_module("igraph")
    weights = off_diagonal(affinity)
    layers = []
    for layer in (np.maximum(weights, 0), np.maximum(-weights, 0)):
        first, second = np.nonzero(np.triu(layer))
        graph = igraph.Graph(n=len(layer), edges=np.column_stack([first, second]).tolist())
        graph.es["weight"] = layer[first, second].tolist()
        layers.append(leidenalg.CPMVertexPartition(graph, weights="weight", resolution_parameter=0))
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(random_state % 2**31)
    optimiser.optimise_partition_multiplex(layers, layer_weights=[1, -1], n_iterations=-1)
    return np.array(layers[0].membership)


def _leidenalg() -> Any:
    try:
        importlib.import_module("igraph")
        return importlib.import_module("leidenalg")
    except ImportError as error:
        raise LeidenMissingError(
            "igraph and leidenalg are not installed; pip install -e '.[leiden]' installs them"
        ) from error
