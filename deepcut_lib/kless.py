"""Clustering without k (§7): sets of pictures by their CLS tokens, and one picture's patches.

Correlation clustering (Eq. 10) is told how alike two things must be to belong together, by alpha, instead of
how many clusters there are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.clustering import MOST, DeepCut, by_size, check_whole
from deepcut_lib.features import PatchFeatures, float32, normalize, upsample
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.metrics import ClusterScores, cluster_scores
from deepcut_lib.segmentation import CC_CLUSTERS

PICTURE_SIZE = 224
"""Side in pixels that whole pictures are fitted to: what nearly all backbones were trained with."""

SCALE = 30.0
"""Length that vectors of whole pictures get before they are centred: the scale of the network's input."""

ALPHA_NORMALIZED = 12.0
"""Alpha for centred vectors. Found on half of the pictures of a fashion set, where 11 to 14 were alike."""

ALPHA_RAW = 3.0
"""Alpha for CLS tokens as they are: the paper's."""


@dataclass(frozen=True, eq=False)
class ImageClusters:
    """What `cluster_images` found.

    Attributes:
        labels: (N,) cluster of each picture, 0…n_clusters−1, the largest first.
        vectors: N×d, what the backbone said of each picture.
        alpha: the k sensitivity used.
        model: the fitted network; its own numbers of clusters have gaps.
    """

    labels: np.ndarray
    vectors: Tensor
    alpha: float
    model: DeepCut | None

    @property
    def n_clusters(self) -> int:
        """How many clusters were found."""
        return int(self.labels.max()) + 1

    def members(self, cluster: int) -> np.ndarray:
        """Indices of a cluster's pictures."""
        return np.flatnonzero(self.labels == cluster)

    def scores(self, truth: Sequence[object] | np.ndarray) -> ClusterScores:
        """Clusters found, purity, NMI and ARI against the true class of each picture, (N,)."""
        return cluster_scores(truth, self.labels)


def cluster_images(
    images: Sequence[ImageLike],
    *,
    backbone: str | Backbone = "auto",
    alpha: float | None = None,
    max_clusters: int = CC_CLUSTERS,
    epochs: int = 100,
    learning_rate: float = 1e-3,
    n_init: int = 8,
    normalized: bool | None = None,
    size: Size = PICTURE_SIZE,
    device: str = "auto",
    random_state: int = 0,
) -> ImageClusters:
    """Sort pictures into clusters whose number nobody names (§7).

    Args:
        images: paths, PIL pictures or arrays, of any sizes.
        backbone: a loaded backbone, or a name for `load_backbone`; its CLS tokens are clustered, or pooled
            features where there is no such token.
        alpha: the k sensitivity, at least 1: the larger, the fewer clusters. By default `ALPHA_NORMALIZED`
            or, for vectors as they are, `ALPHA_RAW`.
        max_clusters: the most clusters that can be found.
        epochs: steps of the optimiser.
        learning_rate: its step size.
        n_init: random starts, of which the one with the least loss is kept.
        normalized: see `cluster_vectors`; by default what the backbone's recipe says of its patches.
        size: the size that pictures are fitted to.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture, or a parameter is out of range.
    """
    if not len(images):
        raise ValueError("there are no pictures to cluster; give at least one")
    if alpha is not None:
        _check_alpha(alpha)
    _model(ALPHA_RAW, max_clusters, epochs, learning_rate, n_init, "cpu", random_state)
    if isinstance(backbone, str):
        backbone = load_backbone(backbone, device=device)
    vectors = torch.stack([picture_vector(image, backbone, size=size) for image in images])
    return cluster_vectors(
        vectors,
        alpha=alpha,
        max_clusters=max_clusters,
        epochs=epochs,
        learning_rate=learning_rate,
        n_init=n_init,
        normalized=backbone.recipe.normalized if normalized is None else normalized,
        device=str(backbone.device),
        random_state=random_state,
    )


def picture_vector(image: ImageLike, backbone: Backbone, *, size: Size = PICTURE_SIZE) -> Tensor:
    """One vector for a whole picture: the CLS token, or pooled features; (d,)."""
    vector = backbone(image, size=size, cls=True).cls
    if vector is None:
        raise ValueError(f"{backbone.name} has no vector for whole pictures; choose another backbone")
    return vector


def centre_vectors(vectors: Tensor) -> Tensor:
    """Vectors of whole pictures with one length, then without their mean: N×d.

    Pooled features are all much alike: without this nothing tells pictures apart.
    """
    scaled = SCALE * F.normalize(vectors.float(), dim=1)
    return scaled - scaled.mean(0)


def cluster_vectors(
    vectors: Tensor | np.ndarray,
    *,
    alpha: float | None = None,
    max_clusters: int = CC_CLUSTERS,
    epochs: int = 100,
    learning_rate: float = 1e-3,
    n_init: int = 8,
    normalized: bool = True,
    device: str | None = None,
    random_state: int = 0,
) -> ImageClusters:
    """Sort vectors into clusters by correlation clustering (Eq. 7 and 10).

    The loss takes time and memory linear in N. The network's messages take N² products, once, made a few
    rows at a time: time is quadratic, memory linear.

    Args:
        vectors: N×d, one for each picture, a tensor or an array.
        alpha: as for `cluster_images`, like the rest.
        max_clusters: the most clusters that can be found.
        epochs: steps of the optimiser.
        learning_rate: its step size.
        n_init: random starts.
        normalized: prepare them by `centre_vectors`. False takes them as they are.
        device: where to run; by default where the vectors are.
        random_state: seed of the starts.

    Returns:
        The clusters; one picture is one cluster, and so are pictures that are all the same. Duplicates share
        a cluster.

    Raises:
        ValueError: the vectors are no finite N×d matrix, or a parameter is out of range.
    """
    vectors = float32(vectors)
    if alpha is None:
        alpha = ALPHA_NORMALIZED if normalized else ALPHA_RAW
    where = str(vectors.device) if device is None else device
    model = _model(alpha, max_clusters, epochs, learning_rate, n_init, where, random_state)
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"vectors must be N×d with at least one row, not {tuple(vectors.shape)}")
    if len(vectors) == 1 or (vectors == vectors[0]).all():  # nothing to tell apart
        return ImageClusters(np.zeros(len(vectors), int), vectors, alpha, None)
    model.fit(centre_vectors(vectors) if normalized else vectors)
    return ImageClusters(by_size(model.labels_), vectors, alpha, model)


@dataclass(frozen=True, eq=False)
class KlessSegmentation:
    """What `segment_kless` found.

    Attributes:
        labels: h×w clusters over the patch grid, 0…n_clusters−1, the largest first.
        features: the patch features that were clustered.
        alpha: the k sensitivity used.
        losses: the loss of each epoch.
    """

    labels: np.ndarray
    features: PatchFeatures
    alpha: float
    losses: np.ndarray

    @property
    def n_clusters(self) -> int:
        """How many clusters were found."""
        return int(self.labels.max()) + 1

    @property
    def pixels(self) -> np.ndarray:
        """H×W, the clusters at the picture's own size."""
        return upsample(self.labels, self.features)


def segment_kless(
    image: ImageLike,
    *,
    backbone: str | Backbone = "auto",
    alpha: float = 3.0,
    max_clusters: int = CC_CLUSTERS,
    epochs: int = 100,
    learning_rate: float | None = None,
    n_init: int | None = None,
    normalized: bool | None = None,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
) -> KlessSegmentation:
    """Cut one picture into as many regions as its patches ask for (§7, Figure 6).

    Arguments that are None follow the backbone's recipe.

    Args:
        image: a path, PIL picture or array.
        backbone: a loaded backbone, or a name for `load_backbone`.
        alpha: the k sensitivity, at least 1: the larger, the fewer regions.
        max_clusters: the most regions that can be found.
        epochs: steps of the optimiser.
        learning_rate: its step size.
        n_init: random starts, of which the one with the least loss is kept.
        normalized: centre the features over the picture and give them one length before clustering.
        size: the size that the picture is fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.

    Raises:
        ImageError: the picture cannot be used.
        ValueError: a parameter is out of range, or the picture has a single patch.
    """
    _check_alpha(alpha)
    if isinstance(backbone, str):
        backbone = load_backbone(backbone, device=device)
    recipe = backbone.recipe
    features = backbone(load_image(image), size=size, cls=False)
    values = features.values
    model = _model(
        alpha,
        max_clusters,
        epochs,
        recipe.learning_rate if learning_rate is None else learning_rate,
        recipe.n_init if n_init is None else n_init,
        str(values.device),
        random_state,
    ).fit(normalize(values) if (recipe.normalized if normalized is None else normalized) else values)
    return KlessSegmentation(features.to_map(by_size(model.labels_)), features, alpha, model.losses_)


def _model(
    alpha: float,
    max_clusters: int,
    epochs: int,
    learning_rate: float,
    n_init: int,
    device: str,
    random_state: int,
) -> DeepCut:
    """The estimator, its parameters checked."""
    _check_alpha(alpha)
    check_whole("max_clusters", max_clusters, 1, MOST["n_clusters"])
    model = DeepCut(
        max_clusters,
        "cc",
        alpha=alpha,
        epochs=epochs,
        learning_rate=learning_rate,
        n_init=n_init,
        device=device,
        random_state=random_state,
    )
    model.check_parameters()
    return model


def _check_alpha(alpha: float) -> None:
    if not isinstance(alpha, Real) or not 1 <= alpha < math.inf:
        raise ValueError(
            f"alpha must be at least 1 and finite, not {alpha!r}: below 1 every affinity is negative "
            "(Eq. 7), and no two things belong together"
        )
