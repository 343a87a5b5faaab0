"""Many patches through landmarks: how fast, and how like the exact graph: ``python -m benchmarks.large``.

Features are of real photographs, four in each mosaic, at a fine stride. Needs the rival, which is no
dependency: ``pip install ncut-pytorch==3.2.0 fpsample``.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.cluster import KMeans
from torch import Tensor

from deepcut_lib import DeepCut, load_backbone
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import load_image
from deepcut_lib.network import initial_weights
from deepcut_lib.recipe import CENTRED_RECIPE, PRIOR_RECIPE, PUBLISHED_RECIPE, Recipe

PICTURES = Path(__file__).parent.parent / "data" / "images"
SIZES = (1225, 4761, 11_000, 20_000, 100_000)
BACKBONES = {"effnet_lite0": (8, 912), "tiny_vit": (4, 456)}
"""Stride and size, of which each gives 113×113 patches."""
RECIPES = {
    "prior": PRIOR_RECIPE,
    "three groups": CENTRED_RECIPE.but(n_init=1),
    "published": PUBLISHED_RECIPE,
}


def mosaics(count: int) -> list[Image.Image]:
    """2×2 pictures of `data/`, each of 456 pixels; evenly spaced by name."""
    paths = sorted(PICTURES.glob("*.jpg"))
    made = []
    for i in range(count):
        canvas = Image.new("RGB", (912, 912))
        for j in range(4):
            picture = load_image(paths[(4 * i + j) * len(paths) // (4 * count)]).resize((456, 456))
            canvas.paste(picture, (456 * (j % 2), 456 * (j // 2)))
        made.append(canvas)
    return made


def embedded(name: str, count: int) -> list[PatchFeatures]:
    """The mosaics' features."""
    stride, size = BACKBONES[name]
    backbone = load_backbone(name, stride=stride, device="cpu")
    return [backbone(picture, size=size, cls=False) for picture in mosaics(count)]


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare_speed(rounds: int, sizes: tuple[int, ...]) -> None:
    """One table: medians of rounds in which everything runs once."""
    from ncut_pytorch import Ncut

    pool = torch.cat([features.values for features in embedded("effnet_lite0", 8)])
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(0))
    print(f"\n{torch.get_num_threads()} threads; seconds, medians of {rounds} rounds; d={pool.shape[1]}, K=2")
    print("| n | DeepCut | ncut-pytorch | k-means | ncut-pytorch / DeepCut | DeepCut / k-means |")
    print("|---|---|---|---|---|---|")
    for n in sizes:
        values = pool[order[:n]]
        values = values - values.mean(0)
        works: list[Callable[[], object]] = [
            lambda values=values: DeepCut(device="cpu").fit(values),  # type: ignore[misc]
            lambda values=values: Ncut(n_eig=10, device="cpu").fit_transform(values),  # type: ignore[misc]
            lambda values=values: KMeans(2, n_init=10, random_state=0).fit(values.numpy()),  # type: ignore[misc]
        ]
        times = [[seconds(work) for work in works] for _ in range(rounds + 1)][1:]
        ours, nystrom, kmeans = (statistics.median(column) for column in zip(*times, strict=True))
        # The machine's state changes between rounds: ratios are taken within each
        faster = statistics.median(row[1] / row[0] for row in times)
        slower = statistics.median(row[0] / row[2] for row in times)
        print(
            f"| {n:,} | {ours:.2f} | {nystrom:.2f} | {kmeans:.2f} | {faster:.1f} | {slower:.1f} |", flush=True
        )


def labels(features: PatchFeatures, recipe: Recipe, memory: str, dropout_seed: int = 0) -> np.ndarray:
    """From the same initial weights."""
    values = recipe.prepare(features.values)
    model = recipe.but(memory=memory).estimator("cpu", dropout_seed)
    sizes = (values.shape[1], model.hidden_channels, model.mlp_channels, model.n_clusters)
    model.initial_weights = initial_weights(*sizes, torch.Generator().manual_seed(0))
    prior: Tensor | None = features.prior if recipe.prior_weight else None
    return model.fit(values, prior=prior).labels_


def compare_labels(count: int) -> None:
    """One row for each backbone and recipe: percent of labels as in the exact solution."""
    print("\n| backbone, recipe | through landmarks | exact, other dropout | patches in each exact cluster |")
    print("|---|---|---|---|")
    for name in BACKBONES:
        pictures = embedded(name, count)
        for title, recipe in RECIPES.items():
            if recipe.prior_weight and pictures[0].prior is None:
                continue  # its prior is for another stride
            agreed, control, counts = [], [], []
            for features in pictures:
                exact = labels(features, recipe, "dense")
                agreed.append(100 * np.mean(labels(features, recipe, "landmarks") == exact))
                control.append(100 * np.mean(labels(features, recipe, "dense", 1) == exact))
                counts.append("/".join(map(str, np.bincount(exact, minlength=recipe.n_clusters))))
            columns = (" ".join(f"{value:.1f}" for value in row) for row in (agreed, control))
            print("| " + " | ".join([f"{name}, {title}", *columns, ", ".join(counts)]) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Graphs of many patches through landmarks.")
    parser.add_argument("--speed", action="store_true", help="only the times")
    parser.add_argument("--labels", action="store_true", help="only the labels")
    parser.add_argument("--rounds", type=int, default=3, help="of the times (default: 3)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="patches to time")
    parser.add_argument("--mosaics", type=int, default=4, help="of the labels (default: 4)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # what the rival prints
    if options.labels or not options.speed:
        compare_labels(options.mosaics)
    if options.speed or not options.labels:
        compare_speed(options.rounds, tuple(options.sizes))


if __name__ == "__main__":
    main()
