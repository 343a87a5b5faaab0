"""A photograph to foreground and background (§3.3), in one stage or two (§3.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.backbone import PUBLISHED_RECIPE, Recipe
from deepcut_lib.backbones.registry import chosen_by_user
from deepcut_lib.clustering import DeepCut, Loss, stores_affinity
from deepcut_lib.features import PatchFeatures, normalize, spread, upsample
from deepcut_lib.foreground import background_clusters, foreground_box
from deepcut_lib.graphs import Graph, ncut_graph, normalized_cut
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.metrics import Box
from deepcut_lib.refinement import refine_mask

CC_CLUSTERS = 10
"""The most clusters that ``objective="cc"`` looks for unless told: the published code's number."""


Memory: TypeAlias = Literal["auto", "dense", "matrix-free"]

_SAME = 1e-3
"""Spread below which features differ by rounding alone."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` found.

    Attributes:
        labels: h×w clusters over the patch grid, numbered 0…K−1.
        background: (K,) bool, which of them are background.
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
    n_clusters: int | None = None,
    objective: Literal["ncut", "cc"] | Loss = "ncut",
    alpha: float = 3.0,
    epochs: int = 10,
    learning_rate: float | None = None,
    n_init: int | None = None,
    normalized: bool | None = None,
    two_stage: bool = False,
    refine: bool = False,
    size: Size | str = "default",
    stride: int | None = None,
    device: str = "auto",
    memory: Memory = "auto",
    random_state: int = 0,
) -> Segmentation:
    """Segment one picture into foreground and background, without training data (§3.3).

    The arguments that are None follow the backbone's `Recipe`. The published code's behaviour is
    ``n_clusters=2, learning_rate=1e-3, n_init=1, normalized=False``: what the ViTs' recipe says.

    Args:
        image: a path, PIL picture or array.
        backbone: a loaded backbone, or a name for `load_backbone`.
        n_clusters: K; clusters are foreground or background by the border rule (`background_clusters`). With
            ``objective="cc"`` the most clusters, by default 10.
        objective: "ncut" (Eq. 9), "cc" (Eq. 10) or a callable, see `DeepCut`.
        alpha: the k sensitivity of "cc".
        epochs: steps of the optimiser.
        learning_rate: its step size.
        n_init: random starts, of which the one whose foreground has the least N-cut against the rest is kept.
        normalized: centre the features over the picture and give them one length before clustering.
        two_stage: cut foreground from background, then cut each again (§3.4). Parts of the foreground that
            the border rule takes for background become background; unlike in the published code, no part of
            the background can turn into foreground.
        refine: sharpen the mask by the bilateral solver and keep its largest part.
        size: the size that the picture is fitted to, see `fit_image`; by default the backbone's.
        stride: distance of patches in pixels, below the patch side for a finer grid; only with a backbone
            given by name.
        device: where to run, if the backbone is given by name.
        memory: whether affinities are stored, see `DeepCut`.
        random_state: seed of the starts.

    Raises:
        ImageError: the picture cannot be used.
        ValueError: a parameter is out of range, or the picture has fewer patches than clusters.
    """
    if isinstance(backbone, str):
        backbone = _loaded(chosen_by_user(backbone), stride, device)
    elif stride is not None and stride != backbone.stride:
        raise ValueError(f"{backbone.name} was loaded with stride {backbone.stride}; load it with {stride}")
    picture = load_image(image)
    features = backbone(picture, size=size, cls=False)
    return cut(
        [features],
        recipe=backbone.recipe,
        n_clusters=n_clusters,
        objective=objective,
        alpha=alpha,
        epochs=epochs,
        learning_rate=learning_rate,
        n_init=n_init,
        normalized=normalized,
        two_stage=two_stage,
        refine_on=[picture] if refine else None,
        memory=memory,
        random_state=random_state,
    )[0]


def cut(
    features: Sequence[PatchFeatures],
    *,
    recipe: Recipe = PUBLISHED_RECIPE,
    n_clusters: int | None = None,
    objective: Literal["ncut", "cc"] | Loss = "ncut",
    alpha: float = 3.0,
    epochs: int = 10,
    learning_rate: float | None = None,
    n_init: int | None = None,
    normalized: bool | None = None,
    two_stage: bool = False,
    refine_on: Sequence[Image.Image] | None = None,
    memory: Memory = "auto",
    random_state: int = 0,
) -> list[Segmentation]:
    """Segment pictures whose features are at hand; those of one grid are solved together.

    Args:
        features: each picture's, as the backbone gives them.
        recipe: what the arguments that are None follow: the backbone's `recipe`.
        n_clusters, objective, alpha, epochs, learning_rate, n_init, normalized, two_stage, memory,
            random_state: as for `segment`.
        refine_on: the pictures, to sharpen their masks by the bilateral solver; None leaves them coarse.

    Returns:
        One result for each picture, as `segment` would give it.

    Raises:
        ValueError: a parameter is out of range, or a picture has fewer patches than clusters.
    """
    if refine_on is not None and len(refine_on) != len(features):
        raise ValueError(f"{len(refine_on)} pictures for the features of {len(features)}; give one for each")
    if normalized is None:
        normalized = recipe.normalized
    if n_clusters is None:
        n_clusters = CC_CLUSTERS if objective == "cc" else recipe.n_clusters
    values = [normalize(one.values) if normalized else one.values for one in features]
    results: list[Segmentation | None] = [None] * len(features)
    for shape in dict.fromkeys(rows.shape for rows in values):
        members = [i for i, rows in enumerate(values) if rows.shape == shape]
        stacked = torch.stack([values[i] for i in members])
        estimator = DeepCut(
            n_clusters,
            objective,
            alpha=alpha,
            epochs=epochs,
            learning_rate=recipe.learning_rate if learning_rate is None else learning_rate,
            n_init=recipe.n_init if n_init is None else n_init,
            device=str(stacked.device),
            random_state=random_state,
            memory=memory,
        )
        for i, fitted in zip(members, estimator.fit_batch(stacked), strict=True):
            picture = None if refine_on is None else refine_on[i]
            results[i] = _finish(fitted, features[i], values[i], normalized, two_stage, picture, recipe)
    return [result for result in results if result is not None]


def _finish(
    fitted: DeepCut,
    features: PatchFeatures,
    values: Tensor,
    normalized: bool,
    two_stage: bool,
    picture: Image.Image | None,
    recipe: Recipe,
) -> Segmentation:
    """From the clusters of each start to foreground, mask and box."""
    losses = fitted.losses_
    starts = [features.to_map(labels) for labels in fitted.start_labels_]
    labels = starts[0]
    if len(starts) > 1:
        graph = ncut_graph(values, dense=stores_affinity(len(values), fitted.memory))  # one for all starts
        labels = min(starts, key=lambda found: _foreground_cut(graph, found))
    background = background_clusters(labels)
    if two_stage:

        def again(rows: Tensor) -> np.ndarray:
            return fitted.fit(normalize(rows) if normalized else rows).labels_

        labels, background = _cut_again(labels, background, features.values, again, fitted.n_clusters)
    return assemble(labels, background, features, losses, refine_on=picture, least_spread=recipe.least_spread)


def assemble(
    labels: np.ndarray,
    background: np.ndarray,
    features: PatchFeatures,
    losses: np.ndarray,
    *,
    refine_on: Image.Image | None,
    least_spread: float = 0.0,
) -> Segmentation:
    """Masks and box of clusters whose background is known.

    Args:
        labels: h×w clusters, 0…K−1.
        background: (K,) bool.
        features: what was clustered.
        losses: of each epoch; empty where nothing was optimised.
        refine_on: the picture, to sharpen the mask by the bilateral solver; None leaves it coarse.
        least_spread: the recipe's.
    """
    apart = spread(features.values)
    alike = apart < max(least_spread, _SAME)
    foreground = ~background[labels]
    coarse = upsample(foreground, features, smooth=True) > 0.5
    refined = refine_mask(refine_on, coarse) if refine_on is not None and coarse.any() else None
    return Segmentation(
        labels=labels,
        background=background,
        coarse_mask=coarse,
        mask=coarse if refined is None else refined,
        box=foreground_box(foreground if refined is None else refined, features.image_size),
        features=features,
        losses=losses,
        spread=apart,
        message=f"nothing to cut: all patches are alike (spread {apart:.2f})" if alike else "",
    )


def _foreground_cut(graph: Graph, labels: np.ndarray) -> float:
    """N-cut of foreground against background: what tells a clear start from a poor one."""
    foreground = ~background_clusters(labels)[labels]
    return normalized_cut(graph, torch.from_numpy(foreground.ravel())) if foreground.any() else float("inf")


def _cut_again(
    labels: np.ndarray, background: np.ndarray, values: Tensor, cut: Callable[[Tensor], np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut background and foreground once more, each on a graph of its own (§3.4).

    Returns:
        Labels, 0…K−1 for parts of the background and K…2K−1 for parts of the foreground, and which of the 2K
        are background.
    """
    foreground = ~background[labels].ravel()
    parts = np.where(foreground, k, 0)
    for region in (~foreground, foreground):
        if region.sum() >= max(k, 2):  # a smaller region stays as it is
            parts[region] += cut(values[torch.from_numpy(np.flatnonzero(region)).to(values.device)])
    by_border = np.ones(2 * k, bool)
    found = background_clusters(parts.reshape(labels.shape))
    by_border[: len(found)] = found
    by_border[:k] = True
    if foreground.any() and by_border.all():  # the border would take all of it: then none of it
        by_border[k:] = False
    return parts.reshape(labels.shape), by_border


@cache
def _loaded(name: str, stride: int | None, device: str) -> Backbone:
    """A backbone by name, loaded once."""
    return load_backbone(name, stride=stride, device=device)
