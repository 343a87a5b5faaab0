"""One network carried from frame to frame, and what it knows of the frames before (§3.4's sequential way).

The network that cut one frame is where the next one's optimisation starts, so that clusters keep their
numbers. What a patch was taken for is handed on to the patches of the next frame that look like it, and where
nothing moves a pixel changes sides slowly.
"""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from deepcut_lib.clustering import DeepCut, graph_form
from deepcut_lib.devices import without_autocast
from deepcut_lib.features import PatchFeatures, spread, upsample
from deepcut_lib.files import write_whole
from deepcut_lib.foreground import foreground_box
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.metrics import still_pixels
from deepcut_lib.parts import Parts, foreground_rows, parts_recipe, to_parts
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import Segmentation, assemble, find_background, foreground_probability
from deepcut_lib.tensor_files import tensors_of

FORMAT = "deepcut-carried-1"

EPOCHS = 8
"""Steps on each frame after a scene's first, which takes as many as the recipe says."""

PART_EPOCHS = 10
"""The same for parts."""

LEARNING_RATE = 5e-3
"""The largest step of a carried network: larger ones forget what it was."""

PRIOR_WEIGHT = 40.0
"""The least μ of a carried network with a prior: a clip's object is often smaller than the sides that N-cut
wants, and a frame's error would be carried on."""

KEPT = 0.5
"""The share of a patch's assignment that comes from patches of the frame before."""

NEAREST = 8
"""So many of them, the most alike, have a say."""

WITHIN = 6
"""As long as they lie at most so many patches away in each direction."""

TEMPERATURE = 0.05
"""Of the softmax over their cosines."""

GAIN = 0.2
"""The share of a new frame's word on a pixel that has not changed."""

DOUBT = 0.25
"""A pixel that has not changed keeps its side of a refined mask while p is within this of ½."""

HYSTERESIS = 0.25
"""The vote that turns a cluster from foreground to background or back, in −1…1."""

MEMORY = 0.9
"""The share of the votes so far in a cluster's vote."""

CUT_COSINE, CUT_COLOURS = 0.9, 0.8
"""A scene ends where mean features have a smaller cosine, and colours overlap less, than this. In seven clips
of one scene, frames in turn reach 0.77 and 0.89 at least; frames of different clips 0.87 and 0.71 at most."""

_BATCH = 1024
"""Patches that look for their like at a time."""


@dataclass(eq=False)
class _Past:
    """The last frame that could be cut, and what is carried on from it.

    Attributes:
        weights: of the network.
        part_weights: of the one for parts, once there is one.
        values: n×d prepared features.
        grid: h, w.
        assignment: n×K.
        parts: n×k assignments to parts, zeros on background, or None.
        background: (K,) bool.
        votes: (K,) in −1…1, above 0 for background.
        mean: (d,) mean of the features as the backbone gave them.
        colours: histogram, see `colours_of`.
        picture: RGB.
        probability: H×W.
        mask: H×W bool.
    """

    weights: dict[str, Tensor]
    part_weights: dict[str, Tensor] | None
    values: Tensor
    grid: tuple[int, int]
    assignment: Tensor
    parts: Tensor | None
    background: np.ndarray
    votes: np.ndarray
    mean: Tensor
    colours: np.ndarray
    picture: Image.Image
    probability: np.ndarray
    mask: np.ndarray

    def on(self, device: torch.device) -> "_Past":
        """The same on another device."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        return replace(self, **{name: t.to(device) for name, t in tensors.items() if t is not None})


_TENSORS = ("values", "assignment", "parts", "mean")
_ARRAYS = ("background", "votes", "colours", "probability", "mask")


@dataclass(frozen=True, eq=False)
class Tracked:
    """What `CarriedDeepCut.follow` makes of a frame.

    Attributes:
        segmentation: as of a single picture; clusters and parts mean what they did in the frames before.
        parts: of the foreground, if they were asked for.
        restarted: whether a new scene begins here, so that labels mean something new.
    """

    segmentation: Segmentation
    parts: Parts | None
    restarted: bool


def video_recipe(recipe: Recipe) -> Recipe:
    """How frames are cut, where pictures are cut by another recipe."""
    return recipe.but(
        learning_rate=min(recipe.learning_rate, LEARNING_RATE),
        prior_weight=max(recipe.prior_weight, PRIOR_WEIGHT) if recipe.prior_weight else None,
    )


class CarriedDeepCut:
    """A network that goes on from frame to frame.

    Args:
        recipe: how frames are cut, see `video_recipe`.
        parts: into how many parts the foreground is cut, or None.
        refine: sharpen masks by the bilateral solver.
        fitted: a network that was fitted to the whole clip; it is not changed, but its labels are smoothed
            over time as those of a carried one.
        random_state: seed of the starts.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        parts: int | None = None,
        refine: bool = False,
        fitted: DeepCut | None = None,
        random_state: int = 0,
    ) -> None:
        self.recipe = recipe
        self.parts = parts
        self.refine = refine
        self.fitted = fitted
        self.random_state = random_state
        self._past: _Past | None = None

    @without_autocast()
    def follow(self, features: PatchFeatures, picture: Image.Image) -> Tracked:
        """Cut the next frame.

        A frame with nothing to cut, such as a black one, is all background and changes nothing of what is
        carried.

        Args:
            features: the frame's.
            picture: the frame.

        Raises:
            ValueError: the frame has fewer patches than clusters, or the recipe weighs a prior that the
                features do not carry.
        """
        apart = spread(features.values)
        if apart < self.recipe.least_spread:
            return self._nothing(features)
        mean, colours = features.values.mean(0), colours_of(picture)
        past = None if self._past is None else self._past.on(mean.device)  # a file's is on the CPU
        restarted = past is not None and _is_cut(past, mean, colours)
        past = None if restarted else past
        values = self.recipe.prepare(features.values)
        if past is not None and past.grid != features.grid:  # the network goes on, places do not
            past = replace(past, values=values[:0], assignment=past.assignment[:0], parts=None)
        model = self._fit(values, features, past)
        assignment = torch.from_numpy(model.assignments_).to(values.device)
        near = None if past is None or not len(past.values) else _Near(past.values, values, features.grid)
        if near is not None and past is not None:
            assignment = torch.lerp(assignment, near(past.assignment), KEPT)
        labels = features.to_map(assignment.argmax(1))
        background, votes = self._judge(labels, values, past)
        soft = foreground_probability(assignment.cpu().numpy(), background, features)
        still = None
        if past is not None and past.picture.size == picture.size:
            still = still_pixels(past.picture, picture)
        probability = upsample(soft, features, smooth=True)
        if still is not None and past is not None:
            probability = np.where(
                still, past.probability + GAIN * (probability - past.probability), probability
            )
        mask = coarse = probability > 0.5
        if self.refine and coarse.any():
            mask = self.recipe.sharpen(picture, probability)
            if still is not None and past is not None:
                mask = np.where(still & (np.abs(probability - 0.5) < DOUBT), past.mask, mask)
        segmentation = Segmentation(
            labels=labels,
            background=background,
            probability=soft,
            coarse_mask=coarse,
            mask=mask,
            box=foreground_box(mask, features.image_size),
            features=features,
            losses=model.losses_,
            spread=apart,
        )
        found, part_weights, part_assignment = self._parts(segmentation, past, near)
        self._past = _Past(
            weights=model.weights_,
            part_weights=part_weights,
            values=values,
            grid=features.grid,
            assignment=assignment,
            parts=part_assignment,
            background=background,
            votes=votes,
            mean=mean,
            colours=colours,
            picture=picture,
            probability=probability,
            mask=mask,
        )
        return Tracked(segmentation, found, restarted)

    def save(self, path: str | PathLike[str], made_from: str = "") -> None:
        """Write what is carried to a safetensors file, so that `load` can go on after the same frame.

        Args:
            path: of the file.
            made_from: what stands for all frames so far and all settings.

        Raises:
            DeepCutError: it could not be written.
        """
        tensors: dict[str, Tensor] = {}
        past = self._past
        if past is not None:
            tensors = {
                **{f"network/{name}": tensor for name, tensor in past.weights.items()},
                **{f"parts/{name}": tensor for name, tensor in (past.part_weights or {}).items()},
                **{name: getattr(past, name) for name in _TENSORS if getattr(past, name) is not None},
                **{name: torch.from_numpy(getattr(past, name)) for name in _ARRAYS},
                "picture": torch.from_numpy(np.array(past.picture)),
                "grid": torch.tensor(past.grid),
            }
        tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        metadata = {"format": FORMAT, "made_from": made_from}
        write_whole(Path(path), safetensors.torch.save(tensors, metadata))

    def load(self, path: str | PathLike[str]) -> str:
        """Take up what `save` has written; returns what it was made from.

        Raises:
            CheckpointError: it is missing, damaged, or another kind of file.
        """
        kind = "a file of CarriedDeepCut.save; delete it and begin anew"
        with tensors_of(path, FORMAT, kind) as (metadata, tensors):
            self._past = _past_of(tensors) if tensors else None
            return metadata["made_from"]

    def _nothing(self, features: PatchFeatures) -> Tracked:
        labels = np.zeros(features.grid, int)
        segmentation = assemble(
            labels, np.array([True]), features, np.empty(0, np.float32), self.recipe, refine_on=None
        )
        parts = None if self.parts is None else Parts(labels, features, segmentation.message)
        return Tracked(segmentation, parts, restarted=False)

    def _fit(self, values: Tensor, features: PatchFeatures, past: _Past | None) -> DeepCut:
        """The network after this frame, with its assignments."""
        if self.fitted is not None:
            model = self.recipe.estimator(values.device, self.random_state).restore(self.fitted.weights_)
            model.assignments_ = model.predict_assignments(values)
            model.losses_ = np.empty(0, np.float32)
            return model
        model = self.recipe.estimator(values.device, self.random_state)
        if past is not None:
            model.set_params(epochs=EPOCHS, n_init=1, initial_weights=past.weights)
        priors = self.recipe.priors([features])
        return model.fit(values, prior=None if priors is None else priors[0])

    def _judge(self, labels: np.ndarray, values: Tensor, past: _Past | None) -> tuple[np.ndarray, np.ndarray]:
        """Which clusters are background, by this frame and the votes of those before; and the votes."""
        graph = ncut_graph(values, **graph_form(len(values), self.recipe.memory))
        judged = np.ones(self.recipe.n_clusters, bool)
        here = find_background(labels, self.recipe, graph)
        judged[: len(here)] = here
        says = np.where(judged, 1.0, -1.0)
        if self.recipe.prior_weight:  # it settles that once for all
            return judged, says
        if past is None:
            return judged, HYSTERESIS * says
        present = np.isin(np.arange(len(judged)), labels)
        votes = np.where(present, MEMORY * past.votes + (1 - MEMORY) * says, past.votes)
        background = np.where(
            votes >= HYSTERESIS, True, np.where(votes <= -HYSTERESIS, False, past.background)
        )
        return background, votes

    def _parts(
        self, segmentation: Segmentation, past: _Past | None, near: "_Near | None"
    ) -> tuple[Parts | None, dict[str, Tensor] | None, Tensor | None]:
        """The foreground's parts, by a second network that is carried likewise."""
        known = None if past is None else past.part_weights
        if self.parts is None:
            return None, None, None
        features, foreground = segmentation.features, segmentation.foreground
        if foreground.sum() < max(self.parts, 2):
            message = f"the foreground has {int(foreground.sum())} patches, too few for {self.parts} parts"
            return Parts(np.zeros(features.grid, int), features, message), known, None
        recipe = parts_recipe(self.recipe, self.parts, "sequential")
        model = recipe.estimator(features.values.device, self.random_state)
        if known is not None:
            model.set_params(epochs=PART_EPOCHS, initial_weights=known)
        model.fit(foreground_rows(features, foreground, recipe))
        rows = torch.from_numpy(np.flatnonzero(foreground)).to(features.values.device)
        assignment = features.values.new_zeros(len(features.values), self.parts)
        assignment[rows] = torch.from_numpy(model.assignments_).to(assignment.device)
        if near is not None and past is not None and past.parts is not None:
            # Of patches that were background nothing is known: their rows are zeros, and count for nothing
            assignment[rows] = torch.lerp(assignment, near(past.parts), KEPT)[rows]
        labels = assignment[rows].argmax(1).cpu().numpy()
        return to_parts(features, foreground, labels), model.weights_, assignment


class _Near:
    """Which patches of the frame before look like each patch of this one, and how much each counts."""

    def __init__(self, before: Tensor, now: Tensor, grid: tuple[int, int]) -> None:
        then, here = F.normalize(before, dim=1), F.normalize(now, dim=1)
        places = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).to(now.device)
        cosines, indices = [], []
        for part, where in zip(here.split(_BATCH), places.split(_BATCH), strict=True):
            far = (where[:, None] - places[None]).abs().amax(2) > WITHIN
            best = (part @ then.T).masked_fill(far, -2).topk(min(NEAREST, len(then)), dim=1)
            cosines.append(best.values)
            indices.append(best.indices)
        self._weights = torch.softmax(torch.cat(cosines) / TEMPERATURE, dim=1)
        self._indices = torch.cat(indices)

    def __call__(self, rows: Tensor) -> Tensor:
        """Hand on what was known of the patches before: n×c → n×c."""
        return (self._weights[..., None] * rows[self._indices]).sum(1)


def _past_of(tensors: dict[str, Tensor]) -> _Past:
    """What `CarriedDeepCut.save` has written."""
    weights, part_weights = (
        {name.removeprefix(stage): tensor for name, tensor in tensors.items() if name.startswith(stage)}
        for stage in ("network/", "parts/")
    )
    height, width = tensors["grid"].tolist()
    return _Past(
        weights=weights,
        part_weights=part_weights or None,
        grid=(height, width),
        picture=Image.fromarray(tensors["picture"].numpy()),
        **{name: tensors.get(name) for name in _TENSORS},  # type: ignore[arg-type]
        **{name: tensors[name].numpy() for name in _ARRAYS},  # type: ignore[arg-type]
    )


def colours_of(picture: Image.Image) -> np.ndarray:
    """Which colours a picture has: a histogram of 8×8×8 cells that sums to one, (512,)."""
    small = np.asarray(picture.resize((64, 64), Image.Resampling.BOX)).astype(int) // 32
    cells = (small[..., 0] * 8 + small[..., 1]) * 8 + small[..., 2]
    return np.bincount(cells.ravel(), minlength=512) / cells.size


def _is_cut(past: _Past, mean: Tensor, colours: np.ndarray) -> bool:
    overlap = float(np.minimum(past.colours, colours).sum())
    return overlap < CUT_COLOURS and float(F.cosine_similarity(past.mean, mean, dim=0)) < CUT_COSINE
