"""Clusters of one picture's patches against the number of things in it: ``python -m benchmarks.things``.

Figure 6 of the paper shows pictures cut without k. Here the number of things is known: a picture of `data/`
with a single object, and the same with one and with two objects of others pasted in by their exact alpha.
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from scipy.stats import kendalltau
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from deepcut_lib import load_backbone
from deepcut_lib.baselines import contraction, hdbscan
from deepcut_lib.baselines.spectral import spectral
from deepcut_lib.evaluation.spread import bootstrap
from deepcut_lib.features import normalize
from deepcut_lib.graphs import cc_graph, modularity_affinity, ncut_graph
from deepcut_lib.kless import EPOCHS

BACKBONE = load_backbone("effnet_lite0", device="cpu")
DATA = Path(__file__).parent.parent / "data"
MOST_THINGS = 3
LARGEST = 0.3
"""Share of a picture that its own object may take: there must be room for others."""
SIDE = 0.38
"""Longest side of a pasted object, in shorter sides of the picture."""
TRIES = 300


@dataclass(frozen=True)
class Scene:
    """A picture, whose number of things is known.

    Attributes:
        base: name of the picture that it was made from.
        things: how many.
        picture: it.
        truth: H×W, 0 for background, else 1, 2, …
    """

    base: str
    things: int
    picture: Image.Image
    truth: np.ndarray


def scenes() -> list[Scene]:
    """Three of each base: with one thing, and the same with a second and with a third pasted in."""
    with (DATA / "recipes.csv").open(newline="") as file:
        single = [row["name"] for row in csv.DictReader(file) if not row["cutout2"]]
    alphas = {name: np.asarray(Image.open(DATA / "alpha" / f"{name}.png"), float) / 255 for name in single}
    draw = np.random.default_rng(0)
    made = []
    for base in single:
        if (alphas[base] > 0.5).mean() > LARGEST:
            continue
        picture = Image.open(DATA / "images" / f"{base}.jpg").convert("RGB")
        truth = (alphas[base] > 0.5).astype(int)
        made.append(Scene(base, 1, picture, truth))
        # Of other categories: two birds could rightly be one cluster
        others = [name for name in single if name.split("_")[0] != base.split("_")[0]]
        for things in range(2, MOST_THINGS + 1):
            pasted = None
            while pasted is None:
                pasted = _pasted(picture, truth, alphas, str(draw.choice(others)), draw, things)
            picture, truth = pasted
            made.append(Scene(base, things, picture, truth))
    return made


def _pasted(
    picture: Image.Image,
    truth: np.ndarray,
    alphas: dict[str, np.ndarray],
    name: str,
    draw: np.random.Generator,
    number: int,
) -> tuple[Image.Image, np.ndarray] | None:
    """The picture with another's object where nothing is yet, or None if no place was found."""
    rows, columns = np.nonzero(alphas[name] > 0.02)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    thing = Image.open(DATA / "images" / f"{name}.jpg").convert("RGB").crop(box)
    alpha = Image.fromarray((255 * alphas[name]).astype(np.uint8)).crop(box)
    scale = SIDE * min(picture.size) / max(thing.size)
    size = (max(round(thing.width * scale), 1), max(round(thing.height * scale), 1))
    thing, alpha = (part.resize(size, Image.Resampling.LANCZOS) for part in (thing, alpha))
    opaque = np.asarray(alpha) > 127
    for _ in range(TRIES):
        x, y = (int(draw.integers(0, whole - own + 1)) for whole, own in zip(picture.size, size, strict=True))
        if not truth[y : y + size[1], x : x + size[0]].any():
            whole = picture.copy()
            whole.paste(thing, (x, y), alpha)
            changed = truth.copy()
            changed[y : y + size[1], x : x + size[0]][opaque] = number
            return whole, changed
    return None


Method = Callable[[Tensor, float], np.ndarray]


def by_network(values: Tensor, alpha: float) -> np.ndarray:
    """Correlation clustering by the network, as `segment_kless` does it."""
    recipe = BACKBONE.recipe.but(objective="cc", alpha=alpha, epochs=EPOCHS)
    return recipe.estimator("cpu", 0).fit(values).labels_


def by_modularity(values: Tensor, resolution: float) -> np.ndarray:
    """No constant: from each affinity the expected one is subtracted."""
    cosines = F.normalize(values, dim=1)
    return contraction(modularity_affinity(ncut_graph(cosines), resolution))


METHODS: dict[str, tuple[Method, tuple[float, ...]]] = {
    "DeepCut, CC": (by_network, (2.0, 4.0, 6.0, 8.0, 12.0, 24.0)),
    "contraction, local search": (
        lambda values, alpha: contraction(cc_graph(values, alpha).affinity),
        (2.0, 4.0, 6.0, 8.0, 12.0, 24.0),
    ),
    "modularity": (by_modularity, (1.0,)),
    "HDBSCAN": (lambda values, least: hdbscan(values, min_cluster_size=int(least)), (5, 10, 20, 40)),
    "spectral, k by eigengap": (lambda values, _: spectral(ncut_graph(values)), (0.0,)),
}
"""Each with the values of its one setting, of which one is chosen on every second base by Kendall's τ."""


def on_grid(truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """h×w, what is in the middle of each patch."""
    rows, columns = (
        ((np.arange(n) + 0.5) * side / n).astype(int) for n, side in zip(grid, truth.shape, strict=True)
    )
    return truth[np.ix_(rows, columns)]


def found(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of the things of which some cluster has an IoU of at least one half."""
    hits = []
    for thing in range(1, truth.max() + 1):
        own = truth == thing
        hits.append(
            any(2 * (own & (labels == k)).sum() >= (own | (labels == k)).sum() for k in np.unique(labels))
        )
    return float(np.mean(hits))


def rows(method: Method, setting: float, pictures: list[tuple[Scene, Tensor, np.ndarray]]) -> np.ndarray:
    """Clusters, ARI and share of things found of each picture, P×3."""
    measured = []
    for _, values, truth in pictures:
        labels = method(values, setting)
        ari = adjusted_rand_score(truth.ravel(), labels)
        measured.append((len(np.unique(labels)), ari, found(labels.reshape(truth.shape), truth)))
    return np.array(measured)


def follows(clusters: np.ndarray) -> float:
    """Kendall's τ between the number of clusters and that of things, over the scenes of all bases."""
    things = np.tile(np.arange(MOST_THINGS), len(clusters) // MOST_THINGS)
    return float(np.nan_to_num(kendalltau(things, clusters).statistic))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Clusters of patches against the number of things.")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the pictures there, to be looked at")
    options = parser.parse_args()
    made = scenes()
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        for scene in made:
            scene.picture.save(options.save / f"{scene.base}_{scene.things}.png")
    seen = []
    for scene in made:
        features = BACKBONE(scene.picture, cls=False)
        truth = on_grid(scene.truth, features.grid)
        seen.append((scene, normalize(features.values), truth))
    bases = [list(members) for _, members in groupby(seen, key=lambda of: of[0].base)]
    chosen_on, shown = ([picture for base in half for picture in base] for half in (bases[::2], bases[1::2]))
    print(
        f"{BACKBONE.name}, {len(shown)} pictures of {len(bases[1::2])} bases, seed 0; "
        "setting chosen on the others"
    )
    print(
        "| | setting | clusters, 1 thing | 2 | 3 | more with each thing | Kendall's τ | things found | ARI |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (method, settings) in METHODS.items():
        taus = [
            follows(rows(method, setting, chosen_on)[:, 0]) if len(settings) > 1 else 0.0
            for setting in settings
        ]
        setting = settings[int(np.argmax(taus))]
        clusters, ari, hits = rows(method, setting, shown).T
        by_base = clusters.reshape(-1, MOST_THINGS)
        slope = (by_base[:, -1] - by_base[:, 0]) / (MOST_THINGS - 1)
        low, high = bootstrap(slope)
        means = " | ".join(f"{value:.1f}" for value in by_base.mean(0))
        print(
            f"| {name} | {setting:g} | {means} | {slope.mean():+.2f} [{low:+.2f}, {high:+.2f}] "
            f"| {follows(clusters):.2f} | {100 * hits.mean():.0f} % | {ari.mean():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
