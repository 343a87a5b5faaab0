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
from deepcut_lib.baselines import connected_components, spectral
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.request import Inputs, Request
from deepcut_lib.evaluation.tasks.task import Job
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.kless import PICTURE_SIZE, cluster_vectors, picture_vector, prepare_vectors
from deepcut_lib.metrics import cluster_scores

COUNTS = (3, 4, 5)
"""How many of the classes a draw has."""

PER_CLASS = 100
"""Pictures of each class in a draw; fewer if the rarest class has fewer."""


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


Cluster: TypeAlias = Callable[[Draw], np.ndarray]
"""From a draw to (n,) clusters."""


def _cc(draw: Draw) -> np.ndarray:
    return cluster_vectors(draw.vectors, centred=draw.centred, random_state=draw.seed).labels


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
        return None

    def amount(self, pictures: int, seeds: int) -> int:
        return len(COUNTS) * seeds

    def run(self, job: Job, records: Records, progress: tqdm) -> dict[str, str]:
        """Do the draws that a results file lacks; they go past pictures that cannot be used.

        Raises:
            ValueError: the set has fewer classes than a draw.
        """
        dataset, backbone = job.dataset, job.backbone
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
                    for method in wanted:
                        records.append([_row(method, draw)])
                progress.update()
        return failures


def _row(method: str, draw: Draw) -> Row:
    _, cluster = METHODS[method]
    started = time.perf_counter()
    scores = cluster_scores(draw.classes, cluster(draw))
    seconds = draw.seconds + time.perf_counter() - started
    return {
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
