"""What limits the foreground masks: settings, or the clusters themselves?

``python -m benchmarks.foreground ROOT [BACKBONE]``, where ROOT holds pictures in ``images/`` and masks of the
same names in ``masks/``: ``data`` of this repository, or the Weizmann horses.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deepcut_lib import Segmentation, load_backbone
from deepcut_lib.datasets.masked import masked
from deepcut_lib.features import upsample
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import PUBLISHED_RECIPE
from deepcut_lib.segmentation import cut

CLUSTERS = (2, 3, 4, 5)


def main(root: Path, name: str = "effnet_lite0") -> None:
    """Print one row for each setting."""
    backbone = load_backbone(name)
    scores: dict[str, list[float]] = defaultdict(list)
    bounds: dict[str, list[float]] = defaultdict(list)
    samples = masked(root, partly=True)
    for sample in tqdm(samples, unit="picture", disable=not sys.stderr.isatty()):
        picture = load_image(sample.image)
        truth = read_mask(sample.mask, like=picture)
        features = backbone(picture, cls=False)
        settings = {f"the recipe, K={k}": replace(backbone.recipe, n_clusters=k) for k in CLUSTERS}
        for method, recipe in {**settings, "published settings": PUBLISHED_RECIPE}.items():
            (segmentation,) = cut([features], recipe=recipe)
            scores[method].append(mask_iou(segmentation.mask, truth))
            bounds[method].append(max(mask_iou(mask, truth) for mask in _all_masks(segmentation)))
    print(f"\n{len(samples)} pictures of {root.name}, {name}, N-cut, seed 0: mean foreground IoU\n")
    print("| setting | border rule | best choice of its clusters |\n|---|---|---|")
    for method, values in scores.items():
        print(f"| {method} | {np.mean(values):.3f} | {np.mean(bounds[method]):.3f} |")


def _all_masks(segmentation: Segmentation) -> Iterator[np.ndarray]:
    """The mask of every choice of clusters, but of none and of all."""
    present = np.unique(segmentation.labels)
    for count in range(1, max(len(present), 2)):
        for chosen in combinations(present, count):
            foreground = np.isin(segmentation.labels, chosen)
            yield upsample(foreground, segmentation.features, smooth=True) > 0.5


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
