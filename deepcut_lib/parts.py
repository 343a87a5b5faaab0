"""Parts of objects that mean the same in every picture (§3.4, §5.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.clustering import MOST, DeepCut, check_whole
from deepcut_lib.features import PatchFeatures, normalize, upsample
from deepcut_lib.images import ImageLike, Size
from deepcut_lib.segmentation import segment

Mode: TypeAlias = Literal["joint", "sequential", "shared start"]
"""How one network's labels reach all pictures, see `segment_parts`."""

MODES: tuple[Mode, ...] = ("joint", "sequential", "shared start")


JOINT_STARTS = 4
"""Random starts of mode "joint", of which the one with the least loss is kept."""


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


def segment_parts(
    images: Sequence[ImageLike],
    k: int = 4,
    *,
    mode: Mode = "joint",
    backbone: str | Backbone = "auto",
    epochs: int = 100,
    learning_rate: float = 1e-3,
    normalized: bool | None = None,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
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
        epochs: steps of the optimiser on each picture's foreground; in mode "joint" rounds over all.
        learning_rate: its step size, in the second stage.
        normalized: centre features over each picture's foreground and give them one length, in the second
            stage; by default as in the backbone's recipe. What remains is how a part differs from its own
            object, which pictures share; centred over all of them, one network sorts whole pictures by what
            sets them apart.
        size: the size that pictures are fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of both stages.

    Returns:
        One result for each picture, in order. A picture with nothing to cut (see `Segmentation.message`), or
        whose foreground is empty or has fewer than k patches where it is cut on its own, has background alone
        and a message that says so.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture, or a parameter is out of range.
    """
    _model(k, mode, epochs, learning_rate, "cpu", random_state)
    if not len(images):
        raise ValueError("there are no pictures to find parts in; give at least one")
    if isinstance(backbone, str):
        backbone = load_backbone(backbone, device=device)
    found = [segment(image, backbone=backbone, size=size, random_state=random_state) for image in images]
    parts = find_parts(
        [one.features for one in found],
        [one.foreground & (one.message == "") for one in found],
        k,
        mode=mode,
        epochs=epochs,
        learning_rate=learning_rate,
        normalized=backbone.recipe.normalized if normalized is None else normalized,
        random_state=random_state,
    )
    return [
        replace(one, message=cut.message) if cut.message and cut.foreground.any() else one
        for one, cut in zip(parts, found, strict=True)
    ]


def find_parts(
    features: Sequence[PatchFeatures],
    foregrounds: Sequence[np.ndarray],
    k: int = 4,
    *,
    mode: Mode = "joint",
    epochs: int = 100,
    learning_rate: float = 1e-3,
    normalized: bool = True,
    random_state: int = 0,
) -> list[Parts]:
    """The second stage of `segment_parts`: cut given foregrounds into parts.

    Args:
        features: each picture's features.
        foregrounds: h×w bool for each, over the patch grid.
        k: how many parts; the rest as for `segment_parts`.
        mode: see there.
        epochs: steps of the optimiser.
        learning_rate: its step size.
        normalized: centre over each picture's foreground.
        random_state: seed of the start.

    Raises:
        ValueError: numbers of features and foregrounds differ, or a foreground is not over its patch grid; a
            parameter is out of range; or no picture's foreground has enough patches for k parts.
    """
    if len(features) != len(foregrounds) or not len(features):
        raise ValueError(f"{len(foregrounds)} foregrounds for {len(features)} pictures; give one for each")
    foregrounds = [np.asarray(foreground, bool) for foreground in foregrounds]
    for one, foreground in zip(features, foregrounds, strict=True):
        if foreground.shape != one.grid:
            raise ValueError(f"a foreground of shape {foreground.shape} does not fit the grid {one.grid}")
    model = _model(k, mode, epochs, learning_rate, str(features[0].values.device), random_state)
    least = 1 if mode == "joint" else max(k, 2)
    usable = [i for i, foreground in enumerate(foregrounds) if foreground.sum() >= least]
    if not usable and any(foreground.any() for foreground in foregrounds):
        raise ValueError(
            f"no foreground has {k} patches, one for each part: give larger pictures, a smaller stride or "
            "fewer parts"
        )
    rows = [foreground_rows(features[i], foregrounds[i], normalized=normalized) for i in usable]
    found = dict(zip(usable, label_rows(model, rows, mode), strict=True))
    return [
        to_parts(features[i], foregrounds[i], found[i])
        if i in found
        else Parts(np.zeros(features[i].grid, int), features[i], _why_none(foregrounds[i], k))
        for i in range(len(features))
    ]


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


def foreground_rows(features: PatchFeatures, foreground: np.ndarray, *, normalized: bool) -> Tensor:
    """The foreground's patches, n_f×d, centred among themselves if wanted."""
    rows = features.values[torch.from_numpy(np.flatnonzero(foreground)).to(features.values.device)]
    return normalize(rows) if normalized else rows


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
    views = [_seen_by(one, one.features if judges is None else judges[i]) for i, one in enumerate(parts)]
    views = [view for view in views if len(view[1])]
    if len(views) < 2:
        raise ValueError("agreement needs parts in at least two pictures")
    same = renamed = matches = 0
    k = max(int(one.labels.max()) for one in parts)
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
    labels = np.concatenate([one.labels[one.labels > 0] for one in parts])
    return float(((np.bincount(labels) / len(labels)) ** 2).sum())


def _seen_by(one: Parts, judge: PatchFeatures) -> tuple[Tensor, np.ndarray]:
    """The foreground's patches on the judge's grid: unit vectors and labels."""
    rows, columns = (
        ((np.arange(cells) + 0.5) / cells * own).astype(int)
        for cells, own in zip(judge.grid, one.labels.shape, strict=True)
    )
    labels = one.labels[np.ix_(rows, columns)]
    inside = labels > 0
    values = judge.values - judge.values.mean(0)
    seen = values[torch.from_numpy(np.flatnonzero(inside)).to(values.device)]
    return F.normalize(seen, dim=1), labels[inside]


def _why_none(foreground: np.ndarray, k: int) -> str:
    if not foreground.any():
        return "no foreground was found, so there are no parts"
    return f"the foreground has {int(foreground.sum())} patches, too few for {k} parts"


def _model(k: int, mode: Mode, epochs: int, learning_rate: float, device: str, random_state: int) -> DeepCut:
    """The second stage's estimator, its parameters checked."""
    check_whole("k", k, 1, MOST["n_clusters"])
    if mode not in MODES:
        raise ValueError(f"mode must be {', '.join(map(repr, MODES))}, not {mode!r}")
    # One network may be the best of several starts; networks that share a start must keep to it
    starts = JOINT_STARTS if mode == "joint" else 1
    model = DeepCut(
        k,
        epochs=epochs,
        learning_rate=learning_rate,
        n_init=starts,
        device=device,
        random_state=random_state,
    )
    model.check_parameters()
    return model
