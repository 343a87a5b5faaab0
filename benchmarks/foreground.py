"""Mean foreground IoU of DeepCut and its rivals on the same features.

``python -m benchmarks.foreground ROOT [BACKBONE]``, where ROOT holds pictures in ``images/`` and masks of the
same names in ``masks/``: ``data`` of this repository, or the Weizmann horses.
"""

import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib import load_backbone, segment
from deepcut_lib.baselines import kmeans, tokencut
from deepcut_lib.features import normalize, upsample
from deepcut_lib.images import find_images
from deepcut_lib.metrics import mask_iou

DEEPCUT = {
    "DeepCut, N-cut": {},
    "DeepCut, N-cut, bilateral solver": {"refine": True},
    "DeepCut, N-cut, two-stage": {"two_stage": True},
    "DeepCut, N-cut, published settings": {
        "n_clusters": 2,
        "learning_rate": 1e-3,
        "n_init": 1,
        "normalized": False,
    },
    "DeepCut, CC": {"objective": "cc"},
    "DeepCut, CC, bilateral solver": {"objective": "cc", "refine": True},
}


def main(root: Path, name: str = "effnet_lite0") -> None:
    """Print one row for each method."""
    backbone = load_backbone(name)
    scores: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    pictures = [
        path for path in find_images(root / "images") if (root / "masks" / f"{path.stem}.png").exists()
    ]
    for path in tqdm(pictures, unit="picture", disable=not sys.stderr.isatty()):
        truth = np.asarray(Image.open(root / "masks" / f"{path.stem}.png").convert("L")) > 127
        for method, options in DEEPCUT.items():
            started = time.perf_counter()
            mask = segment(path, backbone=backbone, **options).mask
            seconds[method] += time.perf_counter() - started
            scores[method].append(mask_iou(mask, truth))
        features = backbone(path, cls=False)
        if backbone.recipe.normalized:
            features = replace(features, values=normalize(features.values))
        for method, foreground in {
            "TokenCut": tokencut(features).foreground,
            "k-means, k=2": kmeans(features, 2),
            "k-means, k=3": kmeans(features, 3),
        }.items():
            scores[method].append(mask_iou(upsample(foreground, features, smooth=True) > 0.5, truth))
        height, width = truth.shape
        box = np.zeros_like(truth)
        box[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
        scores["the middle box, half of each side"].append(mask_iou(box, truth))
    print(f"\n{len(pictures)} pictures of {root.name}, {name}, seed 0\n")
    print("| method | mean foreground IoU | s a picture |\n|---|---|---|")
    for method, values in scores.items():
        took = f"{seconds[method] / len(pictures):.2f}" if method in seconds else ""
        print(f"| {method} | {np.mean(values):.3f} | {took} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
