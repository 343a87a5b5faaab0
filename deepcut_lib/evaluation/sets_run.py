"""Table 5's run: balanced draws of three, four and five classes of pictures, clustered without k."""

import time
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines.components import connected_components
from deepcut_lib.baselines.spectral import spectral
from deepcut_lib.datasets import DataSet
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.kless import cluster_vectors, picture_vector, prepare_vectors
from deepcut_lib.metrics import cluster_scores

COUNTS = (3, 4, 5)
"""How many of the classes a draw has."""

PER_CLASS = 100
"""Pictures of each class in a draw; fewer if the rarest class has fewer."""

TITLES = {
    "cc": "DeepCut, CC",
    "spectral": "spectral, k by eigengap",
    "components": "connected components",
    "kmeans_told": "k-means, told k",
}


def _labels(method: str, vectors: Tensor, count: int, *, centred: bool, seed: int) -> np.ndarray:
    if method == "cc":
        return cluster_vectors(vectors, centred=centred, random_state=seed).labels
    if method == "components":  # of Eq. 5 on vectors as they are: what gives the paper's numbers
        return connected_components(ncut_graph(vectors))
    prepared = prepare_vectors(vectors, centred=centred)
    if method == "spectral":
        return spectral(ncut_graph(prepared), random_state=seed)
    return KMeans(count, n_init=10, random_state=seed).fit_predict(prepared.cpu().numpy())


def run_sets(
    dataset: DataSet,
    backbone: Backbone,
    methods: Sequence[str],
    seeds: int,
    records: Records,
    progress: tqdm,
) -> dict[str, str]:
    """Do the draws that a results file lacks; a seed is a draw, and the seed of what clusters it.

    Args:
        dataset: pictures with classes.
        backbone: whose vectors of whole pictures are clustered.
        methods: names in `TITLES`.
        seeds: how many draws of each number of classes.
        records: where a row for each draw and method is appended.
        progress: advanced by each draw.

    Returns:
        Messages of pictures that could not be used; draws go past them.

    Raises:
        DeepCutError: the results file cannot be written.
        ValueError: the set has fewer classes than a draw.
    """
    done = {(row["method"], row["seed"], row["classes"]) for row in records.rows()}
    members: dict[str, list[int]] = {}
    for index, sample in enumerate(dataset):
        members.setdefault(str(sample.label), []).append(index)
    if len(members) < max(COUNTS):
        raise ValueError(
            f"the set has pictures of {len(members)} classes, but draws of {max(COUNTS)} are wanted; "
            "take more pictures (--limit)"
        )
    vectors: dict[int, Tensor] = {}
    took: dict[int, float] = {}
    failures: dict[str, str] = {}

    def usable(index: int) -> bool:
        sample = dataset[index]
        if index not in vectors and sample.name not in failures:
            started = time.perf_counter()
            try:
                vectors[index] = picture_vector(sample.image, backbone)
            except Exception as error:  # whatever a reader raises for one picture
                failures[sample.name] = f"{sample.name}: {error or type(error).__name__}"
            took[index] = time.perf_counter() - started
        return index in vectors

    for seed in range(seeds):
        for count in COUNTS:
            wanted = [method for method in methods if (method, seed, str(count)) not in done]
            if wanted:
                drawn, truth = _draw(members, count, np.random.default_rng([seed, count]), usable)
                rows = torch.stack([vectors[index] for index in drawn])
                extraction = sum(took[index] for index in drawn)
                for method in wanted:
                    row = _row(method, rows, truth, count, backbone.recipe.centred, seed, extraction)
                    records.append([row])
            progress.update()
    return failures


def _row(
    method: str,
    vectors: Tensor,
    truth: list[str],
    count: int,
    centred: bool,
    seed: int,
    extraction: float,
) -> Row:
    started = time.perf_counter()
    found = cluster_scores(truth, _labels(method, vectors, count, centred=centred, seed=seed))
    seconds = extraction + time.perf_counter() - started
    return {
        "method": method,
        "seed": seed,
        "classes": str(count),
        "image": f"{len(truth)} pictures",
        "purity": found.purity,
        "nmi": found.nmi,
        "ari": found.ari,
        "clusters": found.n_clusters,
        "seconds": round(seconds / len(truth), 5),
    }


def _draw(
    members: dict[str, list[int]],
    count: int,
    rng: np.random.Generator,
    usable: Callable[[int], bool],
) -> tuple[list[int], list[str]]:
    """As many pictures of each of some classes, going past those that cannot be used; and their classes."""
    chosen = rng.choice(sorted(members), count, replace=False)
    each = min(PER_CLASS, *(len(members[name]) for name in chosen))
    drawn = {
        name: list(islice(filter(usable, rng.permutation(members[name]).tolist()), each)) for name in chosen
    }
    each = min(map(len, drawn.values()))
    return (
        [index for some in drawn.values() for index in some[:each]],
        [str(name) for name in drawn for _ in range(each)],
    )
