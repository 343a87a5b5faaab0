"""What limits the foreground masks: the clusters, their number, the optimisation, or the choice among them?

``python -m benchmarks.foreground ROOT [BACKBONE]``, where ROOT holds pictures in ``images/`` and masks of the
same names in ``masks/``: ``data`` of this repository, or the Weizmann horses.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deepcut_lib import Segmentation, load_backbone
from deepcut_lib.datasets.masked import masked
from deepcut_lib.evaluation.methods import SOFT
from deepcut_lib.features import upsample
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import PUBLISHED_RECIPE, Recipe
from deepcut_lib.segmentation import cut

LONG = {"epochs": 100, "learning_rate": 1e-2}
COLUMNS = ("clusters found", "border rule", "union rule", "best choice")


def settings_of(recipe: Recipe) -> dict[str, Recipe]:
    """The rows of the table."""
    rows = {f"Eq. 9, K={k}": recipe.but(n_clusters=k) for k in (2, 3, 4, 5, 8)}
    rows |= {f"Eq. 9, K={k}, 100 epochs at 1e-2": recipe.but(n_clusters=k, **LONG) for k in (3, 4, 8)}
    rows |= {f"soft N-cut, K={k}, 30 epochs at 2e-2": recipe.but(n_clusters=k, **SOFT) for k in (3, 4, 8)}
    return {**rows, "published settings": PUBLISHED_RECIPE}


def main(root: Path, name: str = "effnet_lite0") -> None:
    """Print one row for each setting."""
    backbone = load_backbone(name)
    settings = settings_of(backbone.recipe)
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    samples = masked(root, partly=True)
    for sample in tqdm(samples, unit="picture", disable=not sys.stderr.isatty()):
        picture = load_image(sample.image)
        truth = read_mask(sample.mask, like=picture)
        features = backbone(picture, cls=False)
        for row, recipe in settings.items():
            (border,) = cut([features], recipe=recipe)
            (union,) = cut([features], recipe=recipe, rule="union")
            scores = [mask_iou(upsample(each.foreground, features), truth) for each in (border, union)]
            found[row].append((border.n_clusters, *scores, best_choice(union, truth)))
    print(f"\n{len(samples)} pictures of {root.name}, {name}, seed 0: mean foreground IoU\n")
    print("| setting | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    for row, values in found.items():
        clusters, *scores = np.mean(values, axis=0)
        print(f"| {row} | {clusters:.1f} | " + " | ".join(f"{score:.3f}" for score in scores) + " |")


def best_choice(segmentation: Segmentation, truth: np.ndarray) -> float:
    """The highest IoU of any union of clusters: it sees the answer, and is a bound for all rules."""
    labels = upsample(segmentation.labels, segmentation.features).ravel()
    size, held = np.bincount(labels), np.bincount(labels[truth.ravel()], minlength=labels.max() + 1)
    unions = np.arange(1, 2 ** len(size))[:, None] >> np.arange(len(size)) & 1
    inside = unions @ held
    return float((inside / (unions @ size + truth.sum() - inside)).max())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
