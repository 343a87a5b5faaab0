"""A photograph to foreground and background (§3.3), in one stage or two (§3.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepcut_lib.backbones import Backbone, resolve_backbone
from deepcut_lib.clustering import DeepCut, graph_form
from deepcut_lib.features import PatchFeatures, alike, spread, upsample
from deepcut_lib.foreground import background_clusters, best_union, foreground_box
from deepcut_lib.graphs import Graph, ncut_graph, normalized_cut
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.metrics import Box
from deepcut_lib.recipe import PUBLISHED_RECIPE, Recipe

_SAME = 1e-3
"""Spread below which features differ by rounding alone."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` found.

    Attributes:
        labels: h×w clusters over the patch grid, numbered 0…K−1.
        background: (K,) bool, which of them are background.
        probability: h×w, how surely each patch is foreground, 0…1, see `foreground_probability`; zeros and
            ones after a second stage.
        coarse_mask: H×W bool, the foreground's patches at the picture's own size.
        mask: H×W bool, the same, refined if that was asked for.
        box: (x1, y1, x2, y2) round the largest part of the foreground's patches, or of the refined mask; in
            pixels, far edges exclusive.
        features: the patch features that were clustered.
        losses: the loss of each epoch; of two stages, the first's.
        spread: how far the patches' features differ, 0 to 1, see `features.spread`.
        message: says so where a picture has nothing to cut, its spread being below the recipe's
            `least_spread`; empty for all others.
    """

    labels: np.ndarray
    background: np.ndarray
    probability: np.ndarray
    coarse_mask: np.ndarray
    mask: np.ndarray
    box: Box
    features: PatchFeatures
    losses: np.ndarray
    spread: float
    message: str = ""

    @property
    def n_clusters(self) -> int:
        """How many clusters have patches."""
        return len(np.unique(self.labels))

    @property
    def foreground(self) -> np.ndarray:
        """h×w bool: the foreground's patches, before any refinement."""
        return ~self.background[self.labels]


def segment(
    image: ImageLike,
    *,
    backbone: str | Backbone = "auto",
    recipe: Recipe | None = None,
    two_stage: bool = False,
    refine: bool = False,
    size: Size | str = "default",
    stride: int | None = None,
    device: str = "auto",
    random_state: int = 0,
    **overrides: Any,
) -> Segmentation:
    """Segment one picture into foreground and background, without training data (§3.3).

    A backbone with a foreground prior is cut in two, graph and prior deciding together. Without one, the
    recipe's rule tells foreground from background, and of the random starts the one is kept whose foreground
    is the clearest: by the least N-cut against the rest, or by the score of `best_union`.

    Args:
        image: a path, PIL picture or array.
        backbone: a loaded backbone, or a name for `load_backbone`.
        recipe: how the features are cut; by default the backbone's `foreground_recipe`. Its `recipe` leaves
            a prior out, and `PUBLISHED_RECIPE` is the published code's.
        two_stage: cut foreground from background, then cut each again (§3.4). Parts of the foreground that
            the border rule takes for background become background; unlike in the published code, no part of
            the background can turn into foreground.
        refine: sharpen the mask by the bilateral solver, see `refine_soft`.
        size: the size that the picture is fitted to, see `fit_image`; by default the backbone's.
        stride: distance of patches in pixels, below the patch side for a finer grid; only with a backbone
            given by name.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.
        **overrides: settings that replace the recipe's, such as ``n_clusters``, ``objective``, ``alpha``,
            ``epochs``, ``learning_rate``, ``n_init``, ``centred`` or ``memory``, see `Recipe`.

    Raises:
        ImageError: the picture cannot be used.
        ValueError: a setting is out of range, the picture has fewer patches than clusters, or the recipe
            weighs a prior that the backbone does not have.
        TypeError: there is no such setting.
    """
    backbone = resolve_backbone(backbone, stride=stride, device=device)
    recipe = (recipe or backbone.foreground_recipe).but(**overrides)
    picture = load_image(image)
    features = backbone(picture, size=size, cls=False)
    return cut(
        [features],
        recipe=recipe,
        two_stage=two_stage,
        refine_on=[picture] if refine else None,
        random_state=random_state,
    )[0]


def cut(
    features: Sequence[PatchFeatures],
    *,
    recipe: Recipe = PUBLISHED_RECIPE,
    two_stage: bool = False,
    refine_on: Sequence[Image.Image] | None = None,
    random_state: int = 0,
    **overrides: Any,
) -> list[Segmentation]:
    """Segment pictures whose features are at hand; those of one grid are solved together.

    Args:
        features: each picture's, as the backbone gives them.
        recipe: how they are cut: the backbone's `foreground_recipe`, or its `recipe` without a prior.
        two_stage: as for `segment`, like the random state and what replaces the recipe's settings.
        refine_on: the pictures, to sharpen their masks by the bilateral solver; None leaves them coarse.
        random_state: seed of the starts.
        **overrides: settings that replace the recipe's.

    Returns:
        One result for each picture, as `segment` would give it.

    Raises:
        ValueError: a setting is out of range, or a picture has fewer patches than clusters.
    """
    if refine_on is not None and len(refine_on) != len(features):
        raise ValueError(f"{len(refine_on)} pictures for the features of {len(features)}; give one for each")
    recipe = recipe.but(**overrides)
    prepared = [recipe.prepare(of_picture.values) for of_picture in features]
    priors = recipe.priors(features)
    segmentations: list[Segmentation | None] = [None] * len(features)
    for members in alike(prepared):
        stacked = torch.stack([prepared[i] for i in members])
        estimator = recipe.estimator(stacked.device, random_state)
        of_members = None if priors is None else [priors[i] for i in members]
        for i, fitted in zip(members, estimator.fit_batch(stacked, of_members), strict=True):
            picture = None if refine_on is None else refine_on[i]
            segmentations[i] = _finish(
                fitted, features[i], prepared[i], recipe, two_stage, picture, random_state
            )
    return [segmentation for segmentation in segmentations if segmentation is not None]


def _finish(
    fitted: DeepCut,
    features: PatchFeatures,
    values: Tensor,
    recipe: Recipe,
    two_stage: bool,
    picture: Image.Image | None,
    random_state: int,
) -> Segmentation:
    """From the clusters of each start to foreground, mask and box."""
    graph = ncut_graph(values, **graph_form(len(values), fitted.memory))  # made when it is asked
    # With a prior, clusters of all starts mean the same: the one with the least loss
    labels, assignment = features.to_map(fitted.labels_), fitted.assignments_
    starts = [features.to_map(labels) for labels in fitted.start_labels_]
    if not recipe.prior_weight and len(starts) > 1:
        clearest = min(range(len(starts)), key=lambda start: _unclear(starts[start], recipe, graph))
        labels, assignment = starts[clearest], fitted.start_assignments_[clearest]
    background = find_background(labels, recipe, graph)
    probability: np.ndarray | None = None
    if not two_stage:
        probability = foreground_probability(assignment, background, features)
    else:
        again = recipe.without_prior()

        def cut_rows(rows: Tensor) -> np.ndarray:
            return again.estimator(rows.device, random_state).fit(again.prepare(rows)).labels_

        labels, background = _cut_again(labels, background, features.values, cut_rows, again.n_clusters)
    return assemble(
        labels,
        background,
        features,
        fitted.losses_,
        recipe,
        probability=probability,
        refine_on=picture,
    )


def find_background(labels: np.ndarray, recipe: Recipe, graph: Graph) -> np.ndarray:
    """Which clusters are background, by what the recipe says: its prior, or its rule.

    Args:
        labels: h×w clusters, 0…K−1.
        recipe: with a prior, cluster 0 is background and all others are foreground.
        graph: of the h·w patches, for the rule "union".

    Returns:
        (K,) bool.
    """
    if recipe.prior_weight:
        return np.arange(recipe.n_clusters) == 0
    return best_union(labels, graph)[0] if recipe.rule == "union" else background_clusters(labels)


def foreground_probability(
    assignment: np.ndarray, background: np.ndarray, features: PatchFeatures
) -> np.ndarray:
    """How surely each patch is foreground: f / (f + b), the most that S gives a cluster of either kind.

    Above ½ exactly where the largest assignment is to a foreground cluster, which sums over clusters are not:
    two halves of the background would lose against one foreground.

    Args:
        assignment: S, n×K.
        background: (K,) bool; clusters beyond its end are background.
        features: whose patches they are.

    Returns:
        h×w in 0…1.
    """
    foreground = np.zeros(assignment.shape[1], bool)
    foreground[: len(background)] = ~background
    inside, outside = (assignment[:, chosen].max(axis=1, initial=0) for chosen in (foreground, ~foreground))
    probability = inside / np.maximum(inside + outside, np.finfo(np.float32).tiny)
    # Of equal ones the first is a patch's label, and nearly equal ones may be rounded to ½
    likely = foreground[assignment.argmax(axis=1)]
    just_above = np.nextafter(np.float32(0.5), np.float32(1))
    return features.to_map(
        np.where(likely, np.maximum(probability, just_above), np.minimum(probability, np.float32(0.5)))
    )


def assemble(
    labels: np.ndarray,
    background: np.ndarray,
    features: PatchFeatures,
    losses: np.ndarray,
    recipe: Recipe,
    *,
    probability: np.ndarray | None = None,
    refine_on: Image.Image | None,
) -> Segmentation:
    """Masks and box of clusters whose background is known.

    Args:
        labels: h×w clusters, 0…K−1.
        background: (K,) bool.
        features: what was clustered.
        losses: of each epoch; empty where nothing was optimised.
        recipe: how they were found; its solver refines, and its `least_spread` tells pictures of nothing.
        probability: h×w, see `Segmentation`; by default ones on the foreground and zeros elsewhere.
        refine_on: the picture, to sharpen the mask by the bilateral solver; None leaves it coarse.
    """
    apart = spread(features.values)
    alike = apart < max(recipe.least_spread, _SAME)
    foreground = ~background[labels]
    coarse = upsample(foreground, features, smooth=True) > 0.5
    refined = None
    if probability is None:
        probability = foreground.astype(np.float32)
    if refine_on is not None and coarse.any():
        refined = recipe.sharpen(refine_on, upsample(probability, features, smooth=True))
    return Segmentation(
        labels=labels,
        background=background,
        probability=probability,
        coarse_mask=coarse,
        mask=coarse if refined is None else refined,
        box=foreground_box(foreground if refined is None else refined, features.image_size),
        features=features,
        losses=losses,
        spread=apart,
        message=f"nothing to cut: all patches are alike (spread {apart:.2f})" if alike else "",
    )


def _unclear(labels: np.ndarray, recipe: Recipe, graph: Graph) -> float:
    """The lower, the clearer is a start: its foreground's N-cut, or its best union's score."""
    if recipe.rule == "union":
        return best_union(labels, graph)[1]
    foreground = ~background_clusters(labels)[labels]
    return normalized_cut(graph, torch.from_numpy(foreground.ravel())) if foreground.any() else float("inf")


def _cut_again(
    labels: np.ndarray, background: np.ndarray, values: Tensor, cut: Callable[[Tensor], np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut background and foreground once more, each on a graph of its own (§3.4).

    Args:
        labels: h×w clusters of the first stage.
        background: which of them are background.
        values: n×d features as the backbone gives them: each region is prepared on its own, since what its
            patches share is not what the whole picture's share.
        cut: n_r×d → (n_r,) clusters 0…k−1.
        k: clusters of each region.

    Returns:
        Labels, 0…k−1 for parts of the background and k…2k−1 for parts of the foreground, and which of the 2k
        are background.
    """
    foreground = ~background[labels].ravel()
    parts = np.where(foreground, k, 0)
    for region in (~foreground, foreground):
        if region.sum() >= max(k, 2):  # a smaller region stays as it is
            parts[region] += cut(values[torch.from_numpy(np.flatnonzero(region)).to(values.device)])
    # The border rule judges the parts of both regions together, so that a part of the foreground is held
    # against the picture's border and not against its own region's. It speaks of the clusters that occur:
    # up to the largest label; numbers beyond it stay background
    judged = background_clusters(parts.reshape(labels.shape))
    part_is_background = np.ones(2 * k, bool)
    part_is_background[: len(judged)] = judged
    part_is_background[:k] = True  # the first stage has decided: no part of the background comes back
    if foreground.any() and part_is_background.all():  # the border would take all of it: then none of it
        part_is_background[k:] = False
    return parts.reshape(labels.shape), part_is_background
