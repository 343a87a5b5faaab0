"""One network for a whole folder: better than one for each picture, and than k-means of the same patches?

``python -m benchmarks.together PICTURES MASKS [--backbone NAME] [--seeds N] [--limit N]``: two folders with
files of the same names, and a backbone with a foreground prior. What all pictures share is fitted to at most
200 of them, drawn by the seed; then all are labelled.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.cluster import KMeans
from tqdm import tqdm

from deepcut_lib import Segmentation, load_backbone
from deepcut_lib.backbones import Backbone
from deepcut_lib.datasets import DataSet
from deepcut_lib.datasets.masked import masked
from deepcut_lib.evaluation.records import Row
from deepcut_lib.evaluation.spread import RESAMPLES, bootstrap
from deepcut_lib.evaluation.tally import Tallies, by_picture, difference, of_seeds, tally
from deepcut_lib.evaluation.tasks.parts import FIT_ON
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import assemble, cut
from deepcut_lib.trained import train_on_features

CLUSTERS = 8
"""Of the k-means of all patches together: as many as where it is run on one picture."""

TITLES = {
    "prior_ncut": "DeepCut, one network for each picture",
    "joint_prior": "DeepCut, one network for all",
    "joint_kmeans_prior": f"k-means, k={CLUSTERS}, of all patches together",
}

PAIRS = (
    ("joint_prior", "prior_ncut"),
    ("joint_prior", "joint_kmeans_prior"),
    ("prior_ncut", "joint_kmeans_prior"),
)

Label = Callable[[PatchFeatures, Image.Image], Segmentation]
"""From a picture's features and the picture to its masks, coarse and refined."""


def joint_kmeans(features: Sequence[PatchFeatures], recipe: Recipe, seed: int) -> Label:
    """k-means of all patches; a cluster is foreground if the mean prior of its patches is at least one half.

    Pictures are labelled by the nearest centre, and their masks refined as DeepCut's.
    """
    values = torch.cat([recipe.prepare(of_picture.values) for of_picture in features]).cpu().numpy()
    priors = torch.cat(recipe.priors(features) or []).cpu().numpy()
    model = KMeans(CLUSTERS, n_init=4, random_state=seed).fit(values)
    held = np.bincount(model.labels_, minlength=CLUSTERS)
    background = np.bincount(model.labels_, priors, CLUSTERS) < held / 2

    def label(of_picture: PatchFeatures, picture: Image.Image) -> Segmentation:
        labels = of_picture.to_map(model.predict(recipe.prepare(of_picture.values).cpu().numpy()))
        return assemble(
            labels,
            background,
            of_picture,
            np.empty(0, np.float32),
            recipe,
            refine_on=picture,
        )

    return label


def fit(samples: DataSet, backbone: Backbone, seed: int) -> dict[str, Label]:
    """What labels pictures, by method; fitted, where all pictures share it, to those that the seed draws."""
    recipe = backbone.foreground_recipe
    drawn = np.random.default_rng(seed).permutation(len(samples))[:FIT_ON]
    features = [backbone(samples[int(i)].image, cls=False) for i in drawn]
    network = train_on_features(features, backbone, recipe=recipe, random_state=seed * recipe.n_init)

    def alone(of_picture: PatchFeatures, picture: Image.Image) -> Segmentation:
        start = seed * recipe.n_init  # so that no two seeds share one
        return cut([of_picture], recipe=recipe, refine_on=[picture], random_state=start)[0]

    def together(of_picture: PatchFeatures, picture: Image.Image) -> Segmentation:
        return network.segment_features(of_picture, refine_on=picture)

    return {
        "prior_ncut": alone,
        "joint_prior": together,
        "joint_kmeans_prior": joint_kmeans(features, recipe, seed),
    }


def scores(samples: DataSet, backbone: Backbone, seeds: int) -> Iterator[tuple[str, Row]]:
    """A row for each picture, seed and method, in the columns "coarse" and "refined"."""
    methods = [fit(samples, backbone, seed) for seed in range(seeds)]
    for sample in tqdm(samples, unit="picture", disable=not sys.stderr.isatty()):
        picture = load_image(sample.image)
        truth = read_mask(sample.mask, like=picture)
        features = backbone(picture, cls=False)
        for seed, of_seed in enumerate(methods):
            for method, label in of_seed.items():
                found = label(features, picture)
                row: Row = {"method": method, "seed": seed, "image": sample.name, "seconds": 0.0}
                yield "coarse", {**row, "iou": mask_iou(found.coarse_mask, truth)}
                yield "refined", {**row, "iou": mask_iou(found.mask, truth)}


def write(tallies: Tallies) -> None:
    """Print the means, then the differences on the same pictures, with their intervals."""
    columns = ("coarse", "refined")
    print("| method | " + " | ".join(columns) + " |\n|---|---|---|")
    for method, title in TITLES.items():
        line = []
        for column in columns:
            of_pictures = list(by_picture(of_seeds(tallies, method, column), "iou").values())
            low, high = bootstrap(of_pictures)
            line.append(f"{np.mean(of_pictures):.1f} [{low:.1f}, {high:.1f}]")
        print(f"| {title} | " + " | ".join(line) + " |")
    print("\n| methods | " + " | ".join(columns) + " |\n|---|---|---|")
    for pair in PAIRS:
        line = []
        for column in columns:
            apart = difference(tallies, pair, column, "iou")
            assert apart is not None
            line.append(f"{apart.mean:+.1f} [{apart.interval[0]:+.1f}, {apart.interval[1]:+.1f}]")
        print("| " + " − ".join(TITLES[method] for method in pair) + " | " + " | ".join(line) + " |")


def main() -> None:
    """Read the command line, fit, score, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.together")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--backbone", default="effnet_lite0")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="the first pictures alone")
    options = parser.parse_args()
    backbone = load_backbone(options.backbone)
    if backbone.prior is None:
        parser.error(f"{backbone.name} has no foreground prior")
    samples = masked(Path(), str(options.pictures), str(options.masks), partly=True)[: options.limit]
    if len(samples) < 2 or options.seeds < 1:
        parser.error("it takes two pictures with masks, and one seed")
    tallies = tally(scores(samples, backbone, options.seeds))
    print(
        f"\n{len(samples)} pictures of {options.pictures}, {backbone.name}, soft N-cut and prior; fitted to "
        f"{min(len(samples), FIT_ON)}, seeds 0 to {options.seeds - 1}: mean foreground IoU in percent\n"
        f"[from, to]: 95 % bootstrap interval over pictures, {RESAMPLES:,} resamples of each picture's mean "
        "over seeds\n"
    )
    write(tallies)


if __name__ == "__main__":
    main()
