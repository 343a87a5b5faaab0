"""Clustering pictures without k: the paper's Table 5, and time and memory for many items.

``python -m benchmarks.kless FOLDER [BACKBONE] [--held-out]``, where FOLDER holds ``images/`` and
``styles.csv`` of the Fashion Product Images set: ten balanced draws each of 3, 4 and 5 of its five classes.

``python -m benchmarks.kless --items N [--starts R]``: N made-up items of 768 dimensions.
"""

import argparse
import csv
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from tqdm import tqdm

from deepcut_lib import load_backbone
from deepcut_lib.baselines import connected_components, spectral
from deepcut_lib.graphs import cc_graph, ncut_graph
from deepcut_lib.images import find_images
from deepcut_lib.kless import ALPHA_CENTRED, centre_vectors, cluster_vectors, picture_vector
from deepcut_lib.metrics import ClusterScores, cluster_scores

CLASSES = ("Topwear", "Shoes", "Bags", "Eyewear", "Belts")
DRAWS = 10


def read_classes(table: Path) -> dict[str, str]:
    """The subCategory of each picture's ID; commas in the last column do no harm."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        column = next(rows).index("subCategory")
        return {row[0]: row[column] for row in rows if len(row) > column}


def balanced_draw(members: dict[str, np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of a draw of `count` classes, up to 100 pictures of each, as many as the rarest has."""
    chosen = [members[name] for name in rng.choice(CLASSES, count, replace=False)]
    size = min(100, *map(len, chosen))
    return rng.permutation(np.concatenate([rng.choice(one, size, replace=False) for one in chosen]))


def cluster_by_all(vectors: Tensor, count: int, seed: int) -> dict[str, np.ndarray]:
    """Labels of each method, all on the same vectors: of one length, then centred."""
    prepared = centre_vectors(vectors)
    return {
        "connected components, W > 0 of Eq. 5, vectors as they are": connected_components(
            cc_graph(vectors, 1e9)
        ),
        "connected components, W > 0 of Eq. 7": connected_components(cc_graph(prepared, ALPHA_CENTRED)),
        "spectral, k by eigengap": spectral(ncut_graph(prepared), random_state=seed),
        "k-means told k": KMeans(count, n_init=10, random_state=seed).fit_predict(prepared.numpy()),
        f"DeepCut, CC, α={ALPHA_CENTRED:g}": cluster_vectors(vectors, random_state=seed).labels,
    }


def table5(folder: Path, name: str, *, held_out: bool) -> None:
    """Print purity, NMI, ARI and clusters found of each method, for 3, 4 and 5 classes."""
    backbone = load_backbone(name)
    by_id = read_classes(folder / "styles.csv")
    paths = [path for path in find_images(folder / "images") if by_id.get(path.stem) in CLASSES]
    classes = np.array([by_id[path.stem] for path in paths])
    started = time.perf_counter()
    vectors = torch.stack(
        [picture_vector(path, backbone) for path in tqdm(paths, disable=not sys.stderr.isatty())]
    ).cpu()
    print(f"{len(paths)} pictures, {backbone.name}, {time.perf_counter() - started:.0f} s for their vectors")
    # alpha was chosen on the first, third, … picture of each class
    members = {
        name: np.flatnonzero(classes == name)[1 if held_out else 0 :: 2 if held_out else 1]
        for name in CLASSES
    }
    for count in (3, 4, 5):
        scores: dict[str, list[ClusterScores]] = {}
        for seed in range(DRAWS):
            chosen = balanced_draw(members, count, np.random.default_rng(seed))
            for method, labels in cluster_by_all(vectors[chosen], count, seed).items():
                scores.setdefault(method, []).append(cluster_scores(classes[chosen], labels))
        print(f"\n{count} classes of {len(chosen) // count}, {DRAWS} draws\n")
        print("| method | purity | NMI | ARI | clusters found |\n|---|---|---|---|---|")
        for method, values in scores.items():
            columns = np.array(values)
            means = " | ".join(f"{columns[:, i].mean():.3f} ± {columns[:, i].std():.3f}" for i in (1, 2, 3))
            print(f"| {method} | {means} | {', '.join(str(int(n)) for n in columns[:, 0])} |")


def many_items(count: int, starts: int) -> None:
    """Print time and peak memory for `count` items of 768 dimensions in eight groups."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(8, 768, generator=generator)
    truth = torch.randint(8, (count,), generator=generator)
    vectors = centres[truth] + 2 * torch.randn(count, 768, generator=generator) + 3
    cluster_vectors(vectors[:100], device="cpu")  # what the first call alone allocates
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    found = cluster_vectors(vectors, n_init=starts, device="cpu")
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"n={count}, d=768, {starts} starts, {torch.get_num_threads()} threads: {seconds:.0f} s, "
        f"{worked:.0f} s of processor time, "
        f"{kilobytes / 1024:.0f} MB above the items' own {vectors.nbytes / 2**20:.0f} MB; "
        f"{found.n_clusters} clusters, purity {cluster_scores(truth.numpy(), found.labels).purity:.3f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("backbone", nargs="?", default="effnet_lite0")
    parser.add_argument("--items", type=int)
    parser.add_argument("--starts", type=int, default=1)
    parser.add_argument("--held-out", action="store_true", help="only pictures that alpha was not chosen on")
    options = parser.parse_args()
    if options.items:
        many_items(options.items, options.starts)
    else:
        table5(options.folder, options.backbone, held_out=options.held_out)
