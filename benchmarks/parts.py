"""Parts: do labels mean the same in every picture, and what is training once worth?

``python -m benchmarks.parts ROOT [PREFIX]``, where ROOT holds pictures in ``images/`` and masks of the same
names in ``masks/``; PREFIX chooses pictures by the beginning of their names. Parts are cut out of the true
masks, so that only their labels are judged: by patches of other pictures that look alike to another backbone.
These sets have no key points; for those of CUB: ``python -m deepcut_lib evaluate 3``.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from deepcut_lib import load_backbone
from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import spectral
from deepcut_lib.clustering import optimise
from deepcut_lib.datasets import Sample
from deepcut_lib.datasets.masked import masked
from deepcut_lib.features import PatchFeatures
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.images import load_image
from deepcut_lib.losses import ncut_loss
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.network import Networks, initial_weights
from deepcut_lib.parts import MODES, Parts, find_parts, foreground_rows, label_agreement, to_parts
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import Segmentation, cut
from deepcut_lib.trained import train_on_features

K = 4
PICTURES = 24
"""About this many pictures, evenly spaced, are compared with each other."""

JUDGE = "tiny_vit"


def without_node_features(rows: list[Tensor]) -> list[np.ndarray]:
    """The same network, loss and affinities, but random vectors where each patch's features would enter."""
    labels = []
    for i, values in enumerate(rows):
        generator = torch.Generator().manual_seed(0)
        start = initial_weights(values.shape[1], 64, 32, K, generator)
        networks = Networks([start], batch=1, dropout=0.25)
        noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(i))
        graph = ncut_graph(values.unsqueeze(0))
        propagated = graph.propagate(noise.unsqueeze(0))
        optimise(networks, graph, propagated, ncut_loss, 100, 1e-3, [generator])
        with torch.no_grad():
            labels.append(networks(propagated)[0, 0].argmax(-1).numpy())
    return labels


def agreement(samples: list[Sample], backbone: Backbone) -> None:
    """Print how far labels agree across pictures, for each mode and without node features."""
    samples = samples[:: max(len(samples) // PICTURES, 1)][:PICTURES]
    features = [backbone(sample.image, cls=False) for sample in samples]
    judge = load_backbone(JUDGE)
    judges = [judge(sample.image, cls=False) for sample in samples]
    inside = [_on_grid(_mask(sample), grid) for sample, grid in zip(samples, features, strict=True)]
    rows = [foreground_rows(*pair, backbone.recipe) for pair in zip(features, inside, strict=True)]

    def laid_out(labels: list[np.ndarray]) -> list[Parts]:
        return [to_parts(*each) for each in zip(features, inside, labels, strict=True)]

    methods: dict[str, Callable[[int], list[Parts]]] = {
        f"DeepCut, {mode}": lambda seed, mode=mode: find_parts(
            features, inside, K, mode=mode, recipe=backbone.recipe, random_state=seed
        )
        for mode in MODES
    }
    methods["random node inputs"] = lambda seed: laid_out(without_node_features(rows))
    methods["affinities alone: spectral clustering"] = lambda seed: laid_out(
        [spectral(ncut_graph(values), K, random_state=seed) for values in rows]
    )
    print(
        f"\n{len(samples)} pictures, {backbone.name}, {K} parts of the true foreground, judged by {JUDGE}\n"
    )
    print("| method | same label | … after the best renaming | s a picture |\n|---|---|---|---|")
    for method, find in methods.items():
        seeds = (0, 1, 2) if method.startswith("DeepCut") else (0,)
        started = time.process_time()
        agreements = [label_agreement(find(seed), judges) for seed in seeds]
        seconds = (time.process_time() - started) / len(seeds) / len(samples)
        named, renamed = (", ".join(f"{agreed[i]:.2f}" for agreed in agreements) for i in (0, 1))
        print(f"| {method} | {named} | {renamed} | {seconds:.2f} |", flush=True)
    print(f"\n{agreements[0].matches} pairs of patches; with {K} labels, chance is about {1 / K:.2f}.")


def once(samples: list[Sample], backbone: Backbone) -> None:
    """Print foreground IoU and time of one network for all, fitted to every second picture, on the others.

    By Eq. 9, and with the backbone's foreground prior if it has one.
    """
    features = [
        backbone(sample.image, cls=False) for sample in tqdm(samples, disable=not sys.stderr.isatty())
    ]
    truths = [_mask(sample) for sample in samples]
    methods: dict[str, Callable[[PatchFeatures], Segmentation]] = {}
    print()
    recipes = {"Eq. 9": backbone.recipe}
    if backbone.prior is not None:
        recipes["soft N-cut and prior"] = backbone.foreground_recipe
    for name, recipe in recipes.items():
        started = time.process_time()
        trained = train_on_features(features[::2], backbone, recipe=recipe)
        fitting = time.process_time() - started
        print(f"{name}: fitted to {len(features[::2])} pictures in {fitting:.1f} s")
        methods[f"{name}, optimised for each picture"] = partial(_alone, recipe=recipe)
        methods[f"{name}, trained once"] = trained.segment_features
    print(f"\n| method, on {len(features[1::2])} other pictures | mean foreground IoU |", end="")
    print(" ms a picture, features not counted |\n|---|---|---|")
    for method, segment in methods.items():
        started = time.process_time()
        masks = [segment(picture).coarse_mask for picture in features[1::2]]
        seconds = (time.process_time() - started) / len(masks)
        score = np.mean([mask_iou(*each) for each in zip(masks, truths[1::2], strict=True)])
        print(f"| {method} | {score:.3f} | {1000 * seconds:.0f} |", flush=True)


def _alone(picture: PatchFeatures, recipe: Recipe) -> Segmentation:
    return cut([picture], recipe=recipe)[0]


def _mask(sample: Sample) -> np.ndarray:
    return read_mask(sample.mask, like=load_image(sample.image))


def _on_grid(mask: np.ndarray, features: PatchFeatures) -> np.ndarray:
    """Patches of which at least half is foreground: h×w bool."""
    h, w = features.grid
    shares = Image.fromarray(mask.astype(np.uint8) * 255).resize((w, h), Image.Resampling.BOX)
    return np.asarray(shares) > 127


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prefix = sys.argv[2] if len(sys.argv) > 2 else ""
    chosen = [sample for sample in masked(folder, partly=True) if sample.name.startswith(prefix)]
    embedded = load_backbone("effnet_lite0")
    agreement(chosen, embedded)
    if not prefix:
        once(chosen, embedded)
