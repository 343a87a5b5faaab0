"""Parts of objects that mean the same in every picture (§3.4, §5.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from deepcut_lib.backbones import Backbone, resolve_backbone
from deepcut_lib.clustering import MOST, DeepCut
from deepcut_lib.devices import without_autocast
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.images import ImageLike, Size
from deepcut_lib.parameters import check_whole
from deepcut_lib.recipe import CENTRED_RECIPE, PUBLISHED_RECIPE, Recipe
from deepcut_lib.segmentation import segment

Mode: TypeAlias = Literal["joint", "sequential", "shared start"]
"""How one network's labels reach all pictures, see `segment_parts`."""

MODES: tuple[Mode, ...] = ("joint", "sequential", "shared start")

EPOCHS = 100
"""Steps of the optimiser on foregrounds: the paper's."""

JOINT_STARTS = 4
"""Random starts of mode "joint", of which the one with the least loss is kept."""


_NO_FOREGROUND = "no foreground was found, so there are no parts"


@dataclass(frozen=True, eq=False)
class Parts:
    """One picture's parts.

    Attributes:
        labels: h×w over the patch grid: 0 is background, 1…k are parts, the same in every picture.
        features: the picture's patch features.
        message: why the picture has no parts; empty if it has.
    """

    labels: np.ndarray
    features: PatchFeatures
    message: str = ""

    @property
    def pixels(self) -> np.ndarray:
        """H×W, the parts at the picture's own size."""
        return upsample(self.labels, self.features)

    @property
    def n_parts(self) -> int:
        """How many parts the picture shows."""
        return len(np.unique(self.labels[self.labels > 0]))


def parts_recipe(recipe: Recipe, k: int = 4, mode: Mode = "joint", **overrides: Any) -> Recipe:
    """How foregrounds are cut into parts, where pictures are cut by another recipe.

    Args:
        recipe: the backbone's: what it says of centring holds here, too. Centred over each picture's
            foreground, features say how a part differs from its own object, which pictures share; centred
            over all of them, one network sorts whole pictures by what sets them apart.
        k: how many parts.
        mode: see `segment_parts`.
        **overrides: settings other than the paper's, see `Recipe`.

    Raises:
        ValueError: there is no such mode, or k is out of range.
        TypeError: there is no such setting.
    """
    check_whole("k", k, 1, MOST["n_clusters"])
    if mode not in MODES:
        raise ValueError(f"mode must be {', '.join(map(repr, MODES))}, not {mode!r}")
    # One network may be the best of several starts; networks that share a start must keep to it
    starts = JOINT_STARTS if mode == "joint" else 1
    return Recipe(k, epochs=EPOCHS, n_init=starts, centred=recipe.centred).but(**overrides)


def segment_parts(
    images: Sequence[ImageLike],
    k: int = 4,
    *,
    mode: Mode = "joint",
    backbone: str | Backbone = "auto",
    recipe: Recipe | None = None,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
    **overrides: Any,
) -> list[Parts]:
    """Find the same parts in many pictures: cut out the foreground, then cut it into k parts (§3.4).

    Three modes lead to labels that mean the same everywhere:

    - ``"joint"`` (ours): one network, fitted to the patches of all pictures in mini-batches.
    - ``"sequential"`` (what the paper describes): one network goes on from picture to picture; it labels each
      when it has been fitted to it.
    - ``"shared start"`` (what the published code does): a network for each picture, all from one random
      start.

    Args:
        images: paths, PIL pictures or arrays, of any sizes.
        k: how many parts.
        mode: one of the three.
        backbone: a loaded backbone, or a name for `load_backbone`.
        recipe: how foregrounds are found; by default the backbone's `foreground_recipe`.
        size: the size that pictures are fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of both stages.
        **overrides: settings that replace those of `parts_recipe`, in the second stage, such as ``epochs``
            on each picture's foreground, in mode "joint" over all.

    Returns:
        One result for each picture, in order. A picture with nothing to cut (see `Segmentation.message`), or
        whose foreground is empty or has fewer than k patches where it is cut on its own, has background alone
        and a message that says so.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture, or a parameter is out of range.
        TypeError: there is no such setting.
    """
    parts_recipe(PUBLISHED_RECIPE, k, mode, **overrides).estimator("cpu", random_state)
    if not len(images):
        raise ValueError("there are no pictures to find parts in; give at least one")
    backbone = resolve_backbone(backbone, device=device)
    recipe = recipe or backbone.foreground_recipe
    segmentations = [
        segment(image, backbone=backbone, recipe=recipe, size=size, random_state=random_state)
        for image in images
    ]
    parts = find_parts(
        [segmentation.features for segmentation in segmentations],
        [segmentation.foreground & (segmentation.message == "") for segmentation in segmentations],
        k,
        mode=mode,
        recipe=recipe,
        random_state=random_state,
        **overrides,
    )
    return [
        replace(of_picture, message=segmentation.message)
        if segmentation.message and segmentation.foreground.any()
        else of_picture
        for of_picture, segmentation in zip(parts, segmentations, strict=True)
    ]


def find_parts(
    features: Sequence[PatchFeatures],
    foregrounds: Sequence[np.ndarray],
    k: int = 4,
    *,
    mode: Mode = "joint",
    recipe: Recipe = CENTRED_RECIPE,
    random_state: int = 0,
    **overrides: Any,
) -> list[Parts]:
    """The second stage of `segment_parts`: cut given foregrounds into parts.

    Args:
        features: each picture's features.
        foregrounds: h×w bool for each, over the patch grid.
        k: how many parts; the rest as for `segment_parts`.
        mode: see there.
        recipe: the backbone's, see `parts_recipe`.
        random_state: seed of the start.
        **overrides: settings that replace those of `parts_recipe`.

    Raises:
        ValueError: numbers of features and foregrounds differ, or a foreground is not over its patch grid; a
            parameter is out of range; or no picture's foreground has enough patches for k parts.
        TypeError: there is no such setting.
    """
    if len(features) != len(foregrounds) or not len(features):
        raise ValueError(f"{len(foregrounds)} foregrounds for {len(features)} pictures; give one for each")
    foregrounds = [np.asarray(foreground, bool) for foreground in foregrounds]
    for grid, foreground in zip([of_picture.grid for of_picture in features], foregrounds, strict=True):
        if foreground.shape != grid:
            raise ValueError(f"a foreground of shape {foreground.shape} does not fit the grid {grid}")
    recipe = parts_recipe(recipe, k, mode, **overrides)
    model = recipe.estimator(features[0].values.device, random_state)
    least = 1 if mode == "joint" else max(k, 2)
    usable = [i for i, foreground in enumerate(foregrounds) if foreground.sum() >= least]
    if not usable and any(foreground.any() for foreground in foregrounds):
        raise ValueError(
            f"no foreground has {k} patches, one for each part: give larger pictures, a smaller stride or "
            "fewer parts"
        )
    rows = [foreground_rows(features[i], foregrounds[i], recipe) for i in usable]
    clusters = dict(zip(usable, label_rows(model, rows, mode), strict=True))
    return [
        to_parts(features[i], foregrounds[i], clusters[i])
        if i in clusters
        else Parts(np.zeros(features[i].grid, int), features[i], _why_none(foregrounds[i], k))
        for i in range(len(features))
    ]


def fit_parts(
    features: Sequence[PatchFeatures],
    foregrounds: Sequence[np.ndarray],
    recipe: Recipe,
    random_state: int = 0,
) -> DeepCut:
    """Fit one network to the foregrounds of all pictures, to label others by `apply_parts` (§4).

    Args:
        features: each picture's features.
        foregrounds: h×w bool for each; those that are empty count for nothing.
        recipe: see `parts_recipe`.
        random_state: seed of the starts.

    Raises:
        ValueError: no picture has a foreground, or all together have fewer patches than parts.
    """
    rows = [
        foreground_rows(of_picture, foreground, recipe)
        for of_picture, foreground in zip(features, foregrounds, strict=True)
        if foreground.any()
    ]
    if not rows:
        raise ValueError("no picture has a foreground, so there are no parts to learn")
    return recipe.estimator(features[0].values.device, random_state).fit_jointly(rows)


def apply_parts(model: DeepCut, features: PatchFeatures, foreground: np.ndarray, recipe: Recipe) -> Parts:
    """The parts of another picture by a network that `fit_parts` fitted; they mean what they did there.

    Args:
        model: the fitted network.
        features: the picture's features.
        foreground: its h×w bool foreground; where it is empty, the result says so.
        recipe: the one that the network was fitted with.
    """
    if not foreground.any():
        return Parts(np.zeros(features.grid, int), features, _NO_FOREGROUND)
    return to_parts(features, foreground, model.predict(foreground_rows(features, foreground, recipe)))


def label_rows(model: DeepCut, rows: Sequence[Tensor], mode: Mode) -> list[np.ndarray]:
    """Cluster the foreground patches of several pictures so that labels agree between them.

    Args:
        model: an estimator with the wanted parameters; left fitted.
        rows: n_i×d for each picture.
        mode: see `segment_parts`.

    Returns:
        (n_i,) clusters for each picture, 0…K−1.
    """
    if not rows:
        return []
    if mode == "joint":
        lengths = [len(values) for values in rows]
        return np.split(model.fit_jointly(rows).labels_, np.cumsum(lengths)[:-1])
    labels = []
    given = model.initial_weights
    for values in rows:
        labels.append(model.fit(values).labels_)
        if mode == "sequential":
            model.initial_weights = model.weights_
    model.initial_weights = given
    return labels


def foreground_rows(features: PatchFeatures, foreground: np.ndarray, recipe: Recipe) -> Tensor:
    """The foreground's patches, n_f×d, prepared by the recipe: centred among themselves if it says so."""
    rows = features.values[torch.from_numpy(np.flatnonzero(foreground)).to(features.values.device)]
    return recipe.prepare(rows)


def to_parts(features: PatchFeatures, foreground: np.ndarray, clusters: np.ndarray) -> Parts:
    """Lay clusters of the foreground's patches out on the grid, part 1 for cluster 0."""
    labels = np.zeros(features.grid, int)
    labels[foreground] = 1 + clusters
    return Parts(labels, features)


class Agreement(NamedTuple):
    """How far labels mean the same in different pictures.

    Attributes:
        as_named: share of matched patches that have the same label.
        renamed: the same after the best renaming of one picture's labels: what a method could reach that
            finds the same parts but names them at random.
        matches: how many pairs of patches were compared.
    """

    as_named: float
    renamed: float
    matches: int


@without_autocast()
def label_agreement(parts: Sequence[Parts], judges: Sequence[PatchFeatures] | None = None) -> Agreement:
    """Compare the labels of patches that look alike in different pictures.

    For each two pictures, foreground patches match that are each other's nearest by cosine. One
    part everywhere agrees fully: read it beside the number of parts.

    Args:
        parts: each picture's parts.
        judges: other features of the same pictures to match by, of any grid, so that no backbone judges its
            own labels; by default the features that the parts were found in.

    Raises:
        ValueError: fewer than two pictures have parts.
    """
    views = [
        _seen_by(of_picture, of_picture.features if judges is None else judges[i])
        for i, of_picture in enumerate(parts)
    ]
    views = [view for view in views if len(view[1])]
    if len(views) < 2:
        raise ValueError("agreement needs parts in at least two pictures")
    same = renamed = matches = 0
    k = max(int(of_picture.labels.max()) for of_picture in parts)
    for (first, first_labels), (second, second_labels) in combinations(views, 2):
        near = first @ second.T
        there, back = near.argmax(1), near.argmax(0)
        mutual = (back[there] == torch.arange(len(first), device=near.device)).cpu().numpy()
        a, b = first_labels[mutual], second_labels[there.cpu().numpy()[mutual]]
        counts = np.zeros((k, k), int)
        np.add.at(counts, (a - 1, b - 1), 1)
        same += int(np.trace(counts))
        renamed += int(counts[linear_sum_assignment(-counts)].sum())
        matches += len(a)
    return Agreement(same / matches, renamed / matches, matches)


def chance_level(parts: Sequence[Parts]) -> float:
    """How often two foreground patches drawn from all pictures have the same label: Σ (share of a part)²."""
    labels = np.concatenate([of_picture.labels[of_picture.labels > 0] for of_picture in parts])
    return float(((np.bincount(labels) / len(labels)) ** 2).sum())


def _seen_by(parts: Parts, judge: PatchFeatures) -> tuple[Tensor, np.ndarray]:
    """The foreground's patches on the judge's grid: unit vectors and labels."""
    rows, columns = (
        ((np.arange(cells) + 0.5) / cells * own).astype(int)
        for cells, own in zip(judge.grid, parts.labels.shape, strict=True)
    )
    labels = parts.labels[np.ix_(rows, columns)]
    inside = labels > 0
    values = judge.values - judge.values.mean(0)
    seen = values[torch.from_numpy(np.flatnonzero(inside)).to(values.device)]
    return F.normalize(seen, dim=1), labels[inside]


def _why_none(foreground: np.ndarray, k: int) -> str:
    if not foreground.any():
        return _NO_FOREGROUND
    return f"the foreground has {int(foreground.sum())} patches, too few for {k} parts"
