"""Spectral clustering, with k read off the eigenvalues: the classical way to do without k."""

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.cluster import KMeans

from deepcut_lib.features import unit_rows
from deepcut_lib.graphs import Graph

DENSE_UP_TO = 2000
"""Nodes up to which all of W is decomposed; beyond, only products with W are taken."""


def spectral(
    graph: Graph, n_clusters: int | None = None, *, max_clusters: int = 10, random_state: int = 0
) -> np.ndarray:
    """Cluster nodes by the leading eigenvectors of D^-½ W D^-½, rows at unit length, and k-means.

    Args:
        graph: a single graph of nonnegative affinities (Eq. 6).
        n_clusters: k; None takes it where the gap to the next eigenvalue is largest, k=1 excluded.
        max_clusters: the largest k that the gap may choose.
        random_state: seed of k-means.

    Returns:
        (n,) labels.

    Raises:
        ValueError: fewer nodes than clusters, or fewer than three.
    """
    wanted = n_clusters or max_clusters
    if n_clusters is not None and not 1 <= n_clusters <= graph.n:
        raise ValueError(f"{graph.n} nodes cannot form {n_clusters} clusters")
    if graph.n < 3:
        raise ValueError(f"spectral clustering needs at least 3 nodes, not {graph.n}")
    values, vectors = _leading(graph, min(wanted + 1, graph.n))
    if n_clusters is None:
        gaps = values[1:-1] - values[2:]  # between the second and third, and so on
        n_clusters = 2 + int(gaps.argmax())
    rows = unit_rows(vectors[:, :n_clusters])
    if len(np.unique(rows.round(9), axis=0)) < n_clusters:  # k-means would warn of too few distinct points
        return np.unique(rows.round(9), axis=0, return_inverse=True)[1].ravel()
    return KMeans(n_clusters, n_init=10, random_state=random_state).fit_predict(rows)


def _leading(graph: Graph, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of D^-½ W D^-½, falling, and their vectors (n, count)."""
    degrees = graph.degrees.double().cpu().numpy()
    scale = 1 / np.sqrt(np.where(degrees > 0, degrees, 1))
    n = graph.n
    if n <= DENSE_UP_TO:
        matrix = graph.affinity.double().cpu().numpy() * scale[:, None] * scale
        values, vectors = eigh(matrix, subset_by_index=[n - count, n - 1])
        return values[::-1], vectors[:, ::-1]

    def times(column: np.ndarray) -> np.ndarray:
        scaled = torch.from_numpy(scale * column.ravel()).to(graph.features)
        return scale * graph.matmul(scaled[:, None]).squeeze(1).double().cpu().numpy()

    operator = LinearOperator((n, n), matvec=times, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)  # a fixed start makes the result repeatable
    values, vectors = eigsh(operator, k=count, which="LA", v0=start, tol=1e-6)
    order = values.argsort()[::-1]
    return values[order], vectors[:, order]
