"""Measure the shipped transformers: ``python -m training.evaluate tiny_vit IMAGES MASKS`` prints Markdown.

Two tables: every facet of every layer on the photographs that training held out, and the last layer on the
held-out photographs, on all of them, and on the project's own pictures, with EfficientNet-Lite0 beside it.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.tiny_vit import tiny_vit, tiny_vit_masked
from deepcut_lib.backbones.vit import FACETS
from deepcut_lib.datasets.masked import pictures_and_masks
from deepcut_lib.errors import DeepCutError
from deepcut_lib.features import normalize
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import PUBLISHED_RECIPE
from deepcut_lib.segmentation import segment
from training.train import Pair, mean_iou, pair_with_masks

MODELS: dict[str, Callable[..., Backbone]] = {"tiny_vit": tiny_vit, "tiny_vit_masked": tiny_vit_masked}
DATA = Path(__file__).parents[1] / "data"
LAYERS = 6


class Measured(NamedTuple):
    """Means over photographs.

    Attributes:
        iou: foreground IoU of the cut with the backbone's own recipe.
        negative: share of negative affinities between the features as they are.
        negative_centred: the same after centring over the picture.
        milliseconds: for one photograph, from the file to the mask.
    """

    iou: float
    negative: float
    negative_centred: float
    milliseconds: float


def measure(backbone: Backbone, pairs: Sequence[Pair]) -> Measured:
    """Segment photographs one by one and compare with their masks."""
    rows = []
    for image, mask in tqdm(pairs, desc=backbone.name, leave=False):
        began = time.perf_counter()
        found = segment(image, backbone=backbone)
        milliseconds = 1000 * (time.perf_counter() - began)
        shares = [
            float((values @ values.T < 0).float().mean())
            for values in (found.features.values, normalize(found.features.values))
        ]
        truth = read_mask(mask, like=load_image(image))
        rows.append((mask_iou(found.mask, truth), *shares, milliseconds))
    return Measured(*np.mean(rows, axis=0))


def layer_table(model: Callable[..., Backbone], held_out: Sequence[Pair]) -> Iterator[str]:
    """Every facet of every layer, in lines of Markdown: IoU, in brackets the share of negative affinities."""
    yield "| layer | " + " | ".join(FACETS) + " |"
    yield "|---" * (len(FACETS) + 1) + "|"
    for layer in range(LAYERS):
        cells = []
        for facet in FACETS:
            measured = measure(model(stride=None, facet=facet, layer=layer, device="cpu"), held_out)
            cells.append(f"{measured.iou:.3f} ({measured.negative:.2f})")
        yield f"| {layer} | " + " | ".join(cells) + " |"


def last_layer_table(
    model: Callable[..., Backbone], pairs: Sequence[Pair], own: Sequence[Pair]
) -> Iterator[str]:
    """The last layer's facets and EfficientNet-Lite0 on three sets, in lines of Markdown."""
    yield "| features | held out | all | `data/` | held out, plain | negative | … centred | ms |"
    yield "|---" * 8 + "|"
    backbones = {facet: model(stride=None, facet=facet, layer=-1, device="cpu") for facet in FACETS}
    backbones["effnet_lite0"] = load_backbone("effnet_lite0", device="cpu")
    for name, backbone in backbones.items():
        held_out, trained_on, ours = (measure(backbone, each) for each in (pairs[::3], _rest(pairs), own))
        count = len(pairs[::3])
        of_all = (count * held_out.iou + (len(pairs) - count) * trained_on.iou) / len(pairs)
        yield (
            f"| {name} | {held_out.iou:.3f} | {of_all:.3f} | {ours.iou:.3f} "
            f"| {mean_iou(backbone, pairs[::3], PUBLISHED_RECIPE):.3f} | {held_out.negative:.2f} "
            f"| {held_out.negative_centred:.2f} | {held_out.milliseconds:.0f} |"
        )


def _rest(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for index, pair in enumerate(pairs) if index % 3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Measure a shipped transformer.")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("images", type=Path, help="photographs, every third of them held out in training")
    parser.add_argument("masks", type=Path)
    given = parser.parse_args(arguments)
    try:
        pairs = pair_with_masks(given.images, given.masks)
        own = [(image, mask) for image, mask in pictures_and_masks(DATA).values() if mask]
        model = MODELS[given.model]
        for line in chain(last_layer_table(model, pairs, own), [""], layer_table(model, pairs[::3])):
            print(line, flush=True)
    except DeepCutError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
