"""Table 5: balanced draws of three, four and five classes of pictures, clustered without k."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import (
    connected_components,
    contraction,
    has_leiden,
    hdbscan,
    leiden,
    spectral,
)
from deepcut_lib.certificate import Certificate, certify
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.request import Inputs, Request
from deepcut_lib.evaluation.tasks.task import Job
from deepcut_lib.graphs import cc_graph, ncut_graph
from deepcut_lib.kless import (
    ALPHA_CENTRED,
    ALPHA_RAW,
    PICTURE_SIZE,
    cluster_by_modularity,
    cluster_vectors,
    picture_vector,
    prepare_vectors,
)
from deepcut_lib.local_search import inside
from deepcut_lib.metrics import cluster_scores

COUNTS = (3, 4, 5)
"""How many of the classes a draw has."""

PER_CLASS = 100
"""Pictures of each class in a draw; fewer if the rarest class has fewer."""

ALPHA_SEARCHED = 25.0
"""Alpha of what searches the loss itself, and finds more clusters than the network: chosen, as the network's
12 was, on the first, third, … fashion picture of each class, by the mean ARI of draws."""

LEAST_DENSE = 5
"""The smallest cluster of HDBSCAN, chosen the same way."""


@dataclass(frozen=True)
class Draw:
    """Pictures of some classes, as many of each.

    Attributes:
        vectors: n×d, one for each picture, as the backbone gives it.
        classes: their true classes.
        count: how many those are.
        centred: whether the backbone's recipe centres.
        seed: of what clusters the draw, and its number.
        seconds: what the vectors took.
    """

    vectors: Tensor
    classes: list[str]
    count: int
    centred: bool
    seed: int
    seconds: float

    def prepared(self) -> Tensor:
        """The vectors as DeepCut clusters them."""
        return prepare_vectors(self.vectors, centred=self.centred)

    def affinity(self, alpha: float | None = None) -> Tensor:
        """W of Eq. 7, n×n; by default with the network's alpha."""
        usual = ALPHA_CENTRED if self.centred else ALPHA_RAW
        return cc_graph(self.prepared(), usual if alpha is None else alpha).affinity


Cluster: TypeAlias = Callable[[Draw], np.ndarray]
"""From a draw to (n,) clusters."""


def _cc(draw: Draw) -> np.ndarray:
    return cluster_vectors(draw.vectors, centred=draw.centred, random_state=draw.seed).labels


def _cc_search(draw: Draw) -> np.ndarray:
    return cluster_vectors(
        draw.vectors, centred=draw.centred, random_state=draw.seed, local_search=True
    ).labels


def _modularity(draw: Draw) -> np.ndarray:
    return cluster_by_modularity(draw.vectors, centred=draw.centred).labels


def _greedy(draw: Draw) -> np.ndarray:
    return contraction(draw.affinity(), search=False)


def _contraction(draw: Draw) -> np.ndarray:
    return contraction(draw.affinity(ALPHA_SEARCHED))


def _leiden(draw: Draw) -> np.ndarray:
    return leiden(draw.affinity(ALPHA_SEARCHED), random_state=draw.seed)


def _hdbscan(draw: Draw) -> np.ndarray:
    return hdbscan(draw.prepared(), min_cluster_size=LEAST_DENSE)


def _spectral(draw: Draw) -> np.ndarray:
    return spectral(ncut_graph(draw.prepared()), random_state=draw.seed)


def _components(draw: Draw) -> np.ndarray:
    # of Eq. 5 on vectors as they are: what gives the paper's numbers
    return connected_components(ncut_graph(draw.vectors))


def _kmeans_told(draw: Draw) -> np.ndarray:
    model = KMeans(draw.count, n_init=10, random_state=draw.seed)
    return model.fit_predict(draw.prepared().cpu().numpy())


METHODS: dict[str, tuple[str, Cluster]] = {
    "cc": ("DeepCut, CC", _cc),
    "cc_search": ("DeepCut, CC, local search after it", _cc_search),
    "modularity": ("modularity, no alpha", _modularity),
    "greedy": (f"greedy contraction, α = {ALPHA_CENTRED:g}", _greedy),
    "contraction": (f"contraction, local search, α = {ALPHA_SEARCHED:g}", _contraction),
    "leiden": (f"Leiden, signed graph, α = {ALPHA_SEARCHED:g}", _leiden),
    "hdbscan": (f"HDBSCAN, at least {LEAST_DENSE}", _hdbscan),
    "spectral": ("spectral, k by eigengap", _spectral),
    "components": ("connected components", _components),
    "kmeans_told": ("k-means, told k", _kmeans_told),
}
"""Title and function of everything that clusters pictures, by name; the table lists them in this order."""


class SetsTask:
    """Draws of pictures with classes; a seed is a draw, and the seed of what clusters it."""

    titles: ClassVar = {name: title for name, (title, _) in METHODS.items()}
    unit = "draw"
    pooled = True
    by_backbone = False

    def columns(self, sets: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
        return {str(count): f"{count} classes" for count in COUNTS}

    def column(self, row: Row, set_name: str, backbone: str) -> str:
        return row["classes"]

    def inputs_line(self, inputs: Inputs) -> str:
        return f"whole ones at {PICTURE_SIZE} pixels, one vector for each, the same for all methods"

    def obstacle(self, method: str, backbone: Backbone, request: Request) -> str | None:
        if method == "leiden" and not has_leiden():
            return "igraph and leidenalg are not installed (pip install -e '.[leiden]')"
        return None

    def amount(self, pictures: int, seeds: int) -> int:
        return len(COUNTS) * seeds

    def run(self, job: Job, records: Records, progress: tqdm) -> dict[str, str]:
        """Do the draws that a results file lacks; they go past pictures that cannot be used.

        Raises:
            ValueError: the set has fewer classes than a draw.
        """
        dataset, backbone = job.dataset, job.backbone
        seconds = job.request.certificate
        if seconds:  # rows without a gap are done anew
            records.keep(lambda row: "gap" in row or row["seed"] >= job.seeds)
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
            """Whether a picture can be read; its vector is made when a draw first wants it, and kept."""
            sample = dataset[index]
            if index not in vectors and sample.name not in failures:
                started = time.perf_counter()
                try:
                    vectors[index] = picture_vector(sample.image, backbone)
                except Exception as error:  # whatever a reader raises for one picture
                    failures[sample.name] = f"{sample.name}: {error or type(error).__name__}"
                took[index] = time.perf_counter() - started
            return index in vectors

        for seed in range(job.seeds):
            for count in COUNTS:
                wanted = [method for method in job.methods if (method, seed, str(count)) not in done]
                if wanted:
                    indices, classes = _drawn(members, count, np.random.default_rng([seed, count]), usable)
                    draw = Draw(
                        vectors=torch.stack([vectors[index] for index in indices]),
                        classes=classes,
                        count=count,
                        centred=backbone.recipe.centred,
                        seed=seed,
                        seconds=sum(took[index] for index in indices),
                    )
                    certificate = certify(draw.affinity(), seconds=seconds) if seconds else None
                    if certificate:
                        progress.write(f"draw {seed} of {count} classes: {_in_words(certificate)}")
                    for method in wanted:
                        records.append([_row(method, draw, certificate)])
                progress.update()
        return failures


def _in_words(certificate: Certificate) -> str:
    end = "" if certificate.complete else "; out of time"
    return (
        f"inside at most {certificate.bound:,.0f}, known {certificate.reached:,.0f}, "
        f"gap {certificate.gap:.4%} ({certificate.rounds} linear programs, {certificate.seconds:.0f} s{end})"
    )


def _row(method: str, draw: Draw, certificate: Certificate | None) -> Row:
    _, cluster = METHODS[method]
    started = time.perf_counter()
    labels = cluster(draw)
    seconds = draw.seconds + time.perf_counter() - started
    scores = cluster_scores(draw.classes, labels)
    known = {"gap": certificate.short_of(inside(draw.affinity(), labels))} if certificate else {}
    return known | {
        "method": method,
        "seed": draw.seed,
        "classes": str(draw.count),
        "image": f"{len(draw.classes)} pictures",
        "purity": scores.purity,
        "nmi": scores.nmi,
        "ari": scores.ari,
        "clusters": scores.n_clusters,
        "seconds": round(seconds / len(draw.classes), 5),
    }


def _drawn(
    members: dict[str, list[int]],
    count: int,
    rng: np.random.Generator,
    usable: Callable[[int], bool],
) -> tuple[list[int], list[str]]:
    """As many pictures of each of some classes, going past those that cannot be used; and their classes.

    Args:
        members: indices of pictures by class.
        count: how many classes are drawn.
        rng: what draws them.
        usable: whether a picture can be used; asked only of those that are drawn.
    """
    chosen = rng.choice(sorted(members), count, replace=False)
    each = min(PER_CLASS, *(len(members[name]) for name in chosen))
    drawn = {
        name: list(islice(filter(usable, rng.permutation(members[name]).tolist()), each)) for name in chosen
    }
    each = min(map(len, drawn.values()))  # of a class with broken pictures there may be fewer
    return (
        [index for indices in drawn.values() for index in indices[:each]],
        [str(name) for name in drawn for _ in range(each)],
    )
