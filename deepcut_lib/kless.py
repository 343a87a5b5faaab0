"""Clustering without k (§7): sets of pictures by their CLS tokens, and one picture's patches.

Correlation clustering (Eq. 10) is told how alike two things must be to belong together, by alpha, instead of
how many clusters there are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deepcut_lib.backbones import Backbone, resolve_backbone
from deepcut_lib.clustering import MOST, DeepCut, by_size
from deepcut_lib.devices import without_autocast
from deepcut_lib.features import PatchFeatures, float32, upsample
from deepcut_lib.graphs import Graph, cc_graph, modularity_affinity, ncut_graph
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.local_search import contract, improve, off_diagonal
from deepcut_lib.metrics import ClusterScores, cluster_scores
from deepcut_lib.parameters import check_positive, check_whole
from deepcut_lib.recipe import CC_CLUSTERS, PUBLISHED_RECIPE, Recipe

PICTURE_SIZE = 224
"""Side in pixels that whole pictures are fitted to: what nearly all backbones were trained with."""

SCALE = 30.0
"""Length that vectors of whole pictures get before they are centred: the scale of the network's input."""

ALPHA_CENTRED = 12.0
"""Alpha for centred vectors. Found on half of the pictures of a fashion set, where 11 to 14 were alike."""

ALPHA_RAW = 3.0
"""Alpha for CLS tokens as they are: the paper's."""

Alpha: TypeAlias = float | Literal["data"] | None
"""A k sensitivity; "data" for none, see `cluster_by_modularity`; None for the default."""

EPOCHS = 100
"""Steps of the optimiser."""

SAMPLE = 4000
"""Of more pictures so many are searched for clusters; each of the others then joins one of them."""

CHUNK = 4096
"""Pictures that join at a time."""

STARTS = 8
"""Random starts for pictures, of which the one with the least loss is kept."""


@dataclass(frozen=True, eq=False)
class ImageClusters:
    """What `cluster_images` found.

    Attributes:
        labels: (N,) cluster of each picture, 0…n_clusters−1, the largest first.
        vectors: N×d, what the backbone said of each picture.
        alpha: the k sensitivity used; None where the data took its place.
        model: the fitted network; its own numbers of clusters have gaps. None if there is none.
        pull: N×n_clusters, each picture's mean affinity to each cluster, itself left out.
    """

    labels: np.ndarray
    vectors: Tensor
    alpha: float | None
    model: DeepCut | None
    pull: np.ndarray

    @property
    def n_clusters(self) -> int:
        """How many clusters were found."""
        return int(self.labels.max()) + 1

    def members(self, cluster: int) -> np.ndarray:
        """Indices of a cluster's pictures."""
        return np.flatnonzero(self.labels == cluster)

    @property
    def sureness(self) -> np.ndarray:
        """(N,) how sure each picture's place is, 1 at most; 1 where there is no other cluster.

        How much more it is drawn to its own cluster than to the next one, as a share of what is usual there,
        the median of its cluster: 0 is between two clusters, and below 0 it is drawn more to the other.
        """
        if self.n_clusters == 1:
            return np.ones(len(self.labels))
        rows = np.arange(len(self.labels))
        others = self.pull.copy()
        others[rows, self.labels] = -np.inf
        margins = self.pull[rows, self.labels] - others.max(1)
        usual = np.array([np.median(margins[self.members(k)]) for k in range(self.n_clusters)])[self.labels]
        return np.clip(np.where(usual > 0, margins / np.where(usual > 0, usual, 1), 0.0), -1, 1)

    def scores(self, truth: Sequence[object] | np.ndarray) -> ClusterScores:
        """Clusters found, purity, NMI and ARI against the true class of each picture, (N,)."""
        return cluster_scores(truth, self.labels)


def cluster_images(
    images: Sequence[ImageLike],
    *,
    backbone: str | Backbone = "auto",
    alpha: Alpha = None,
    max_clusters: int = CC_CLUSTERS,
    centred: bool | None = None,
    size: Size = PICTURE_SIZE,
    device: str = "auto",
    random_state: int = 0,
    **overrides: Any,
) -> ImageClusters:
    """Sort pictures into clusters whose number nobody names (§7).

    Args:
        images: paths, PIL pictures or arrays, of any sizes.
        backbone: a loaded backbone, or a name for `load_backbone`; its CLS tokens are clustered, or pooled
            features where there is no such token.
        alpha: the k sensitivity, at least 1: the larger, the fewer clusters. By default `ALPHA_CENTRED` or,
            for vectors as they are, `ALPHA_RAW`. "data": none, and no network: `cluster_by_modularity`.
        max_clusters: the most clusters that can be found.
        centred: see `centre_vectors`; by default what the backbone's recipe says of its patches.
        size: the size that pictures are fitted to.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.
        **overrides: settings that replace those of `pictures_recipe`, such as ``epochs`` or ``n_init``.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture, or a parameter is out of range.
        TypeError: there is no such setting.
    """
    if not len(images):
        raise ValueError("there are no pictures to cluster; give at least one")
    if alpha == "data":
        _check_no_network(max_clusters, overrides)
    else:
        pictures_recipe(True, alpha, max_clusters, **overrides).estimator("cpu", random_state)
    backbone = resolve_backbone(backbone, device=device)
    vectors = torch.stack([picture_vector(image, backbone, size=size) for image in images])
    return cluster_vectors(
        vectors,
        alpha=alpha,
        max_clusters=max_clusters,
        centred=backbone.recipe.centred if centred is None else centred,
        device=str(backbone.device),
        random_state=random_state,
        **overrides,
    )


def pictures_recipe(
    centred: bool, alpha: float | None = None, max_clusters: int = CC_CLUSTERS, **overrides: Any
) -> Recipe:
    """How vectors of whole pictures are clustered.

    Args:
        centred: whether they are prepared by `centre_vectors`; decides the default of alpha.
        alpha: as for `cluster_images`, like the rest.
        max_clusters: the most clusters that can be found.
        **overrides: other settings, see `Recipe`.

    Raises:
        ValueError: alpha or the number of clusters is out of range.
        TypeError: there is no such setting.
    """
    usual = ALPHA_CENTRED if centred else ALPHA_RAW
    recipe = Recipe(epochs=EPOCHS, n_init=STARTS, centred=centred)
    return _without_k(recipe, usual if alpha is None else alpha, max_clusters).but(**overrides)


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


def prepare_vectors(vectors: Tensor, *, centred: bool) -> Tensor:
    """Vectors of whole pictures as they are clustered, N×d: by `centre_vectors`, or as they are."""
    return centre_vectors(vectors) if centred else vectors


@without_autocast()
def cluster_vectors(
    vectors: Tensor | np.ndarray,
    *,
    alpha: Alpha = None,
    max_clusters: int = CC_CLUSTERS,
    centred: bool = True,
    device: str | None = None,
    random_state: int = 0,
    local_search: bool = False,
    **overrides: Any,
) -> ImageClusters:
    """Sort vectors into clusters by correlation clustering (Eq. 7 and 10).

    The loss takes time and memory linear in N. The network's messages take N² products, once, made a few
    rows at a time: time is quadratic, memory linear.

    Args:
        vectors: N×d, one for each picture, a tensor or an array.
        alpha: as for `cluster_images`, like the rest.
        max_clusters: the most clusters that can be found.
        centred: prepare them by `centre_vectors`. False takes them as they are.
        device: where to run; by default where the vectors are.
        random_state: seed of the starts.
        local_search: let `improve` lower the loss of what the network found, for up to some thousands of
            vectors. The loss falls to nearly the least there is; the clusters are not the better for it (see
            lesson 7), so it is not the default. It may exceed `max_clusters`.
        **overrides: settings that replace those of `pictures_recipe`.

    Returns:
        The clusters; one picture is one cluster, and so are pictures that are all the same. Duplicates share
        a cluster.

    Raises:
        ValueError: the vectors are no finite N×d matrix, or a parameter is out of range.
        TypeError: there is no such setting.
    """
    vectors = float32(vectors)
    if alpha == "data":
        _check_no_network(max_clusters, {**overrides, "local_search": True} if local_search else overrides)
        vectors = vectors if device is None else vectors.to(device)
        return cluster_by_modularity(vectors, centred=centred, random_state=random_state)
    recipe = pictures_recipe(centred, alpha, max_clusters, **overrides)
    model = recipe.estimator(vectors.device if device is None else device, random_state)
    vectors = _rows(vectors)
    if len(vectors) == 1 or (vectors == vectors[0]).all():  # nothing to tell apart
        return _one_cluster(vectors, recipe.alpha)
    prepared = prepare_vectors(vectors, centred=centred)
    graph = cc_graph(prepared, recipe.alpha)
    found = model.fit(prepared).labels_
    labels = by_size(improve(graph.affinity, found) if local_search else found)
    return ImageClusters(labels, vectors, recipe.alpha, model, _constant_pull(graph, labels))


@without_autocast()
def cluster_by_modularity(
    vectors: Tensor | np.ndarray, *, centred: bool = True, resolution: float = 1.0, random_state: int = 0
) -> ImageClusters:
    """Sort vectors into clusters without k and without alpha: by modularity, and without a network.

    Cosines of the prepared vectors, cut off at zero (Eq. 6), make the graph; of each pair's affinity the
    expected one is subtracted (`modularity_affinity`), where Eq. 7 subtracts a constant. Greedy contraction
    and local search look for the clustering with the most inside. Beyond `SAMPLE` pictures, that many are
    drawn and clustered, and each other one joins the cluster that it is drawn to most: time and memory are
    linear in N.

    Args:
        vectors: N×d, one for each picture, a tensor or an array.
        centred: as for `cluster_vectors`.
        resolution: how often the expected affinity is subtracted: more finds more clusters. 1 is modularity.
        random_state: seed of that draw; nothing else is random.

    Raises:
        ValueError: the vectors are no finite N×d matrix, or the resolution is not positive.
    """
    check_positive("resolution", resolution)
    vectors = _rows(float32(vectors))
    if len(vectors) == 1 or (vectors == vectors[0]).all():
        return _one_cluster(vectors, None)
    cosines = F.normalize(prepare_vectors(vectors, centred=centred), dim=1)
    sample = torch.arange(len(cosines))
    if len(cosines) > SAMPLE:
        generator = torch.Generator().manual_seed(random_state)
        sample = torch.randperm(len(cosines), generator=generator)[:SAMPLE].sort().values
    graph = ncut_graph(cosines[sample.to(cosines.device)])
    weights = off_diagonal(modularity_affinity(graph, resolution))
    found = by_size(improve(weights, contract(weights)))
    pull = _expected_pull(cosines, graph, found, sample, resolution)
    labels = pull.argmax(1)
    labels[sample.numpy()] = found  # as the search left them
    order = np.argsort(-np.bincount(labels, minlength=pull.shape[1]), kind="stable")
    return ImageClusters(order.argsort()[labels], vectors, None, None, pull[:, order])


STEP = 2**0.5
"""Clusters are compared with those of an alpha, or a resolution, so much larger and smaller."""

LEAST_PART = 3
"""A cluster is said to fall apart where so many pictures of it leave the rest."""


@dataclass(frozen=True)
class Suggestions:
    """What a person might change in some clusters.

    Attributes:
        merges: clusters that become one where a little less is subtracted from affinities.
        splits: clusters that fall apart where a little more is, with the sizes of their parts, falling.
    """

    merges: list[tuple[int, ...]]
    splits: dict[int, tuple[int, ...]]


def suggest(
    clusters: ImageClusters, cluster: Callable[[float], ImageClusters], *, least: int = LEAST_PART
) -> Suggestions:
    """What merges and what falls apart one step of alpha (or of the resolution) further up and down.

    Args:
        clusters: as they are.
        cluster: the same vectors clustered with the expected or constant part of Eq. 7 times a factor.
        least: pictures that make a part worth naming.
    """
    coarse, fine = cluster(1 / STEP).labels, cluster(STEP).labels
    homes: dict[int, list[int]] = {}
    splits = {}
    for number in range(clusters.n_clusters):
        members = clusters.members(number)
        homes.setdefault(int(np.bincount(coarse[members]).argmax()), []).append(number)
        parts = np.sort(np.bincount(fine[members]))[::-1]
        parts = parts[parts >= least]
        if len(parts) > 1:
            splits[number] = tuple(parts.tolist())
    return Suggestions([tuple(together) for together in homes.values() if len(together) > 1], splits)


def _check_no_network(max_clusters: int, overrides: dict[str, Any]) -> None:
    """Settings of the network mean nothing where there is none, and are not to be passed over."""
    given = [*(["max_clusters"] if max_clusters != CC_CLUSTERS else []), *overrides]
    if given:
        raise ValueError(f"{', '.join(given)}: alpha='data' works without a network; leave this out")


def _rows(vectors: Tensor) -> Tensor:
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"vectors must be N×d with at least one row, not {tuple(vectors.shape)}")
    return vectors


def _one_cluster(vectors: Tensor, alpha: float | None) -> ImageClusters:
    return ImageClusters(np.zeros(len(vectors), int), vectors, alpha, None, np.zeros((len(vectors), 1)))


def _constant_pull(graph: Graph, labels: np.ndarray) -> np.ndarray:
    """N×k, the mean of W (Eq. 7) to each cluster; linear in N."""
    assert graph.shift is not None
    members = F.one_hot(torch.from_numpy(labels)).to(graph.features)
    own = graph.features.square().sum(1, keepdim=True) - graph.shift
    return _means(graph.matmul(members) - members * own, members)


def _expected_pull(
    cosines: Tensor, graph: Graph, labels: np.ndarray, sample: Tensor, resolution: float
) -> np.ndarray:
    """N×k, the mean of what modularity keeps of affinities to each cluster of a sample."""
    members = F.one_hot(torch.from_numpy(labels)).to(graph.features)
    total = graph.degrees.sum().clamp(min=torch.finfo(graph.degrees.dtype).tiny)
    share = resolution * (graph.degrees @ members) / total
    sums = []
    for chunk in cosines.split(CHUNK):
        affinity = (chunk @ graph.features.T).clamp_(min=0)
        sums.append(affinity @ members - affinity.sum(1, keepdim=True) * share)
    pulls, belongs = torch.cat(sums), cosines.new_zeros(len(cosines), members.shape[1])
    place = sample.to(cosines.device)
    belongs[place] = members
    pulls[place] -= members * (1 - resolution * graph.degrees.square() / total).unsqueeze(-1)
    return _means(pulls, belongs)


def _means(sums: Tensor, members: Tensor) -> np.ndarray:
    """Sums over clusters divided by how many others there are in each."""
    return (sums / (members.sum(0) - members).clamp(min=1)).double().cpu().numpy()


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
    recipe: Recipe | None = None,
    alpha: float = 3.0,
    max_clusters: int = CC_CLUSTERS,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
    **overrides: Any,
) -> KlessSegmentation:
    """Cut one picture into as many regions as its patches ask for (§7, Figure 6).

    Args:
        image: a path, PIL picture or array.
        backbone: a loaded backbone, or a name for `load_backbone`.
        recipe: how its features are prepared, and with which step size and how many starts, of which the one
            with the least loss is kept; by default the backbone's own.
        alpha: the k sensitivity, at least 1: the larger, the fewer regions.
        max_clusters: the most regions that can be found.
        size: the size that the picture is fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.
        **overrides: settings that replace the recipe's; of epochs there are `EPOCHS` unless told here.

    Raises:
        ImageError: the picture cannot be used.
        ValueError: a parameter is out of range, or the picture has a single patch.
        TypeError: there is no such setting.
    """
    settings = {"epochs": EPOCHS, **overrides}
    _without_k(PUBLISHED_RECIPE, alpha, max_clusters).but(**settings).estimator("cpu", random_state)
    backbone = resolve_backbone(backbone, device=device)
    recipe = _without_k(recipe or backbone.recipe, alpha, max_clusters).but(**settings)
    features = backbone(load_image(image), size=size, cls=False)
    model = recipe.estimator(features.values.device, random_state).fit(recipe.prepare(features.values))
    return KlessSegmentation(features.to_map(by_size(model.labels_)), features, alpha, model.losses_)


def _without_k(recipe: Recipe, alpha: float, max_clusters: int) -> Recipe:
    """The recipe with correlation clustering as its objective."""
    _check_alpha(alpha)
    check_whole("max_clusters", max_clusters, 1, MOST["n_clusters"])
    return recipe.but(objective="cc", alpha=alpha, n_clusters=max_clusters)


def _check_alpha(alpha: float) -> None:
    if not isinstance(alpha, Real) or not 1 <= alpha < math.inf:
        raise ValueError(
            f"alpha must be at least 1 and finite, not {alpha!r}: below 1 every affinity is negative "
            "(Eq. 7), and no two things belong together"
        )
