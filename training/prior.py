"""Make a backbone's foreground prior from unlabelled photographs: ``python -m training.prior NAME …``."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from tqdm import tqdm

from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.images import find_images, load_image
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.recipe import PRIOR_RECIPE, Recipe
from deepcut_lib.refinement import largest_component
from deepcut_lib.segmentation import cut

ROUNDS = 4
"""How often the prior is fitted to the masks that the one before has led to."""

PADDING = 1 / 7
"""Reflected margin on each side while border and middle are told apart, as a share of the picture's side."""

LENGTH = 4.0
"""Root mean square length that centred features are brought to, so that one regularisation suits them all."""

FIRST_RECIPE = replace(PRIOR_RECIPE, objective="ncut", prior_weight=12.0)
"""How pictures are cut by what tells border from middle, which knows little: Eq. 9 keeps halves apart."""

LATER_RECIPE = replace(PRIOR_RECIPE, prior_weight=24.0)
"""How they are cut by a prior: it counts for more than where masks are wanted, so that priors settle."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph to learn from: its square picture, and its features."""

    picture: Image.Image
    features: PatchFeatures
    reflected: Tensor
    """n×d features of the same patches, seen with a reflected margin round the picture."""


def read(paths: Sequence[Path], backbone: Backbone) -> tuple[list[Photograph], list[str]]:
    """Read photographs and extract their features twice, past those that cannot be read.

    A network tells its own padding from a picture: patches at the border would be known by that, not by what
    they show. With a reflected margin, which is cut off again, the padding is far away.

    Returns:
        The photographs, and one line on each file left out.
    """
    photographs, skipped = [], []
    pad = max(round(backbone.size * PADDING / backbone.patch_size), 1) * backbone.patch_size
    margin = pad // backbone.stride
    for path in tqdm(paths, desc="features", mininterval=5):
        try:
            picture = load_image(path).resize((backbone.size, backbone.size), Image.Resampling.LANCZOS)
        except ImageError as error:
            skipped.append(str(error))
            continue
        pixels = np.pad(np.asarray(picture), ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        features = replace(backbone(picture, cls=False), prior=None)
        wide = backbone(Image.fromarray(pixels), size=backbone.size + 2 * pad, cls=False)
        rows = wide.values.view(*wide.grid, -1)[margin:-margin, margin:-margin].flatten(0, 1)
        photographs.append(Photograph(picture, features, rows))
    return photographs, skipped


def fit(photographs: Sequence[Photograph], rounds: int = ROUNDS) -> Iterator[ForegroundPrior]:
    """Fit a prior, better with each round; the last is the one to keep.

    1. A logistic regression tells patches of the border from those of the middle, on reflected features.
    2. Each photograph is cut by its graph and that (Eq. 9 and `prior_term`), and its mask refined.
    3. A logistic regression tells patches in these masks from the rest: the prior. Cut again with it, and
       so on.

    Args:
        photographs: some hundreds.
        rounds: how often.
    """
    scale = LENGTH / _root_mean_square(photographs)
    first = _border_against_middle(photographs, scale)
    masks = [
        _mask(photograph, _outstanding(first, photograph.reflected), FIRST_RECIPE)
        for photograph in photographs
    ]
    for turn in range(rounds):
        prior = _fit_to(masks, photographs, scale)
        yield prior
        if turn < rounds - 1:
            masks = [
                _mask(photograph, prior(photograph.features.values), LATER_RECIPE)
                for photograph in tqdm(photographs, desc=f"masks {turn + 1}", mininterval=5)
            ]


def _root_mean_square(photographs: Sequence[Photograph]) -> float:
    squares = [_centred(p.features.values).square().sum(1).mean() for p in photographs]
    return float(torch.stack(squares).mean().sqrt())


def _centred(values: Tensor) -> Tensor:
    return values - values.mean(0)


def _border_against_middle(photographs: Sequence[Photograph], scale: float) -> ForegroundPrior:
    """What tells a ring of a fourteenth of the side from a disc of half the side, by every fifth patch."""
    rows, answers = [], []
    for photograph in photographs:
        h, w = photograph.features.grid
        y, x = np.mgrid[:h, :w]
        edge = np.minimum.reduce([y / h, x / w, (h - 1 - y) / h, (w - 1 - x) / w])
        middle = np.hypot((y + 0.5) / h - 0.5, (x + 0.5) / w - 0.5) < 0.25
        for chosen, answer in ((edge < 1 / 14 - 1e-9, 0), (middle, 1)):
            picked = np.flatnonzero(chosen)[::5]
            rows.append(_centred(photograph.reflected)[torch.from_numpy(picked)])
            answers.append(np.full(len(picked), answer))
    model = LogisticRegression(C=0.1, max_iter=300).fit(
        torch.cat(rows).cpu().numpy() * scale, np.concatenate(answers)
    )
    return _as_prior(model, scale, photographs[0].features.backbone)


def _outstanding(prior: ForegroundPrior, values: Tensor) -> Tensor:
    """Which patches score a standard deviation above their picture's mean, softly: (n,) in 0…1."""
    scores = _centred(values) @ prior.weight.to(values.device)
    return torch.sigmoid(2 * ((scores - scores.mean()) / scores.std().clamp(min=1e-6) - 1))


def _mask(photograph: Photograph, prior: Tensor, recipe: Recipe) -> np.ndarray:
    """Cut with a prior, refine, and say which patches are foreground: (n,) bool. One object is kept."""
    features = replace(photograph.features, prior=prior)
    segmentation = cut([features], recipe=recipe)[0]
    sharp = recipe.sharpen(photograph.picture, upsample(segmentation.probability, features, smooth=True))
    h, w = features.grid
    share = Image.fromarray(largest_component(sharp).astype(np.float32)).resize((w, h), Image.Resampling.BOX)
    return np.asarray(share).ravel() > 0.5


def _fit_to(masks: Sequence[np.ndarray], photographs: Sequence[Photograph], scale: float) -> ForegroundPrior:
    """What tells patches in masks from the rest, by every second patch of each photograph."""
    rows = [
        _centred(photograph.features.values)[turn % 2 :: 2] for turn, photograph in enumerate(photographs)
    ]
    answers = np.concatenate([mask[turn % 2 :: 2] for turn, mask in enumerate(masks)])
    if answers.all() or not answers.any():
        raise DeepCutError(
            "the masks show foreground everywhere or nowhere; give more, and other, photographs"
        )
    model = LogisticRegression(C=0.01, max_iter=300).fit(torch.cat(rows).cpu().numpy() * scale, answers)
    return _as_prior(model, scale, photographs[0].features.backbone)


def _as_prior(model: LogisticRegression, scale: float, backbone: str) -> ForegroundPrior:
    weight = torch.from_numpy(model.coef_[0] * scale).float()
    return ForegroundPrior(weight, float(model.intercept_[0]), backbone)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbone", choices=BACKBONES, help="a name that load_backbone knows")
    parser.add_argument("folders", nargs="+", type=Path, help="folders of photographs, or single ones")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--checkpoint", type=Path, help="local weights of a published ViT")
    options = parser.parse_args(arguments)
    try:
        make(options)
    except DeepCutError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def make(options: argparse.Namespace) -> None:
    """Read the photographs, fit, and write the prior after every round.

    Raises:
        DeepCutError: no photograph can be read, they do not suffice, or the file cannot be written.
    """
    paths = find_images(*options.folders)
    backbone = load_backbone(options.backbone, checkpoint=options.checkpoint)
    photographs, skipped = read(paths, backbone)
    for line in skipped:
        print(line, file=sys.stderr)
    if not photographs:
        raise DeepCutError(f"none of the {len(paths)} pictures can be read")
    for turn, prior in enumerate(fit(photographs), 1):
        prior.save(options.out)
        shares = [float((prior(p.features.values) > 0.5).float().mean()) for p in photographs]
        print(f"round {turn}: {np.mean(shares):.3f} of all patches are foreground to the prior")


if __name__ == "__main__":
    sys.exit(main())
