"""Clips by the masks of their frames: J and F over time as DAVIS-2016 defines them, and flicker.

All methods get the same features, of one look at each frame, and the same solver.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from PIL import Image
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import tokencut
from deepcut_lib.clustering import DeepCut
from deepcut_lib.datasets import SOURCES, DataSet
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.request import Inputs, Request
from deepcut_lib.evaluation.tasks.task import Job, finished
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.foreground import background_clusters
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import contour_f, flicker, mask_iou, over_time, still_pixels
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import cut
from deepcut_lib.video import CarriedDeepCut, fit_to_frames, video_recipe

KMEANS_CLUSTERS = 8
"""Of k-means over a whole clip: as many as of a picture's where a prior decides."""


@dataclass(frozen=True, eq=False)
class ClipAtHand:
    """A clip with its features: frames, their true masks, H×W bool, and the recipe of single pictures."""

    pictures: list[Image.Image]
    truths: list[np.ndarray]
    features: list[PatchFeatures]
    recipe: Recipe


Run: TypeAlias = Callable[[ClipAtHand, int, bool], list[np.ndarray]]
"""From a clip, the seed, and whether masks are refined, to H×W bool masks."""


def _alone(clip: ClipAtHand, seed: int, refine: bool) -> list[np.ndarray]:
    found = cut(
        clip.features, recipe=clip.recipe, refine_on=clip.pictures if refine else None, random_state=seed
    )
    return [segmentation.mask for segmentation in found]


def _carried(clip: ClipAtHand, seed: int, refine: bool, fitted: DeepCut | None = None) -> list[np.ndarray]:
    recipe = video_recipe(clip.recipe)
    carried = CarriedDeepCut(recipe, refine=refine, fitted=fitted, random_state=seed)
    return [
        carried.follow(features, picture).segmentation.mask
        for features, picture in zip(clip.features, clip.pictures, strict=True)
    ]


def _offline(clip: ClipAtHand, seed: int, refine: bool) -> list[np.ndarray]:
    fitted = fit_to_frames(clip.features, video_recipe(clip.recipe), seed)
    return _carried(clip, seed, refine, fitted)


def _kmeans_joint(clip: ClipAtHand, seed: int, refine: bool) -> list[np.ndarray]:
    """One k-means over the clip's patches; the mean prior of a cluster decides whether it is foreground.

    Without a prior: whether the border rule, frame by frame, takes most of its patches for foreground.
    """
    values = [clip.recipe.prepare(features.values) for features in clip.features]
    model = KMeans(KMEANS_CLUSTERS, n_init=clip.recipe.n_init, random_state=seed)
    with threadpool_limits(1):
        labels = np.split(
            model.fit_predict(torch.cat(values).cpu().numpy()), np.cumsum([len(x) for x in values])[:-1]
        )
    says, size = np.zeros(KMEANS_CLUSTERS), np.zeros(KMEANS_CLUSTERS)
    for features, of_frame in zip(clip.features, labels, strict=True):
        if features.prior is not None and clip.recipe.prior_weight:
            word = features.prior.cpu().numpy()
        else:
            word = (~background_clusters(features.to_map(of_frame)))[of_frame].astype(float)
        says += np.bincount(of_frame, word, KMEANS_CLUSTERS)
        size += np.bincount(of_frame, minlength=KMEANS_CLUSTERS)
    foreground = says > size / 2
    return _masks(clip, [foreground[of_frame] for of_frame in labels], refine)


def _tokencut(clip: ClipAtHand, seed: int, refine: bool) -> list[np.ndarray]:
    prepared = [
        PatchFeatures(**{**vars(features), "values": clip.recipe.prepare(features.values)})
        for features in clip.features
    ]
    return _masks(clip, [tokencut(features).foreground for features in prepared], refine)


def _prior_alone(clip: ClipAtHand, seed: int, refine: bool) -> list[np.ndarray]:
    priors = [features.prior for features in clip.features]
    return _masks(clip, [prior.cpu().numpy() for prior in priors if prior is not None], refine)


def _masks(clip: ClipAtHand, per_patch: Sequence[np.ndarray], refine: bool) -> list[np.ndarray]:
    """Patches' foreground, bool or probable, at the frames' size, as DeepCut's is enlarged and refined."""
    masks = []
    for features, picture, values in zip(clip.features, clip.pictures, per_patch, strict=True):
        soft = upsample(features.to_map(values.ravel()).astype(np.float32), features, smooth=True)
        masks.append(clip.recipe.sharpen(picture, soft) if refine and (soft > 0.5).any() else soft > 0.5)
    return masks


_RUNS: dict[str, tuple[str, Run, bool]] = {
    "carried": ("DeepCut, carried", _carried, True),
    "offline": ("DeepCut, fitted to the clip", _offline, True),
    "alone": ("DeepCut, each frame alone", _alone, True),
    "prior_alone": ("the prior alone", _prior_alone, False),
    "kmeans_joint": (f"k-means over the clip, k={KMEANS_CLUSTERS}", _kmeans_joint, True),
    "tokencut": ("TokenCut, each frame alone", _tokencut, False),
}
"""Title, function, and whether it depends on the seed."""

METHODS: dict[str, tuple[str, Run, bool, bool]] = {
    name + ending: (title + suffix, run, seeded, refine)
    for name, (title, run, seeded) in _RUNS.items()
    for ending, suffix, refine in (("", "", False), ("_solver", ", bilateral solver", True))
}
"""The same with and without the solver, and which it is; the table lists them in this order."""


class ClipsTask:
    """Each clip by itself; a row of results is a clip's."""

    titles: ClassVar[Mapping[str, str]] = {name: title for name, (title, *_) in METHODS.items()}
    unit = "clip"
    pooled = True
    by_backbone = False

    def columns(self, sets: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
        return {name: SOURCES[name].title for name in sets}

    def column(self, row: Row, set_name: str, backbone: str) -> str:
        return set_name

    def inputs_line(self, inputs: Inputs) -> str:
        return (
            "squashed to the backbone's square and seen once, the same features for all methods; J and F "
            "without each clip's first and last frame, mean over clips; flicker: label changes where nothing "
            "moves"
        )

    def obstacle(self, method: str, backbone: Backbone, request: Request) -> str | None:
        if method.startswith("prior_alone") and backbone.prior is None:
            return f"{backbone.name} has no foreground prior"
        return None

    def amount(self, pictures: int, seeds: int) -> int:
        """Clips are counted as they come: how many there are, the number of frames does not say."""
        return 0

    def run(self, job: Job, records: Records, progress: tqdm) -> dict[str, str]:
        """Do what a results file lacks, clip after clip; one with a frame that cannot be read is left out."""
        done = finished(records)
        failures: dict[str, str] = {}
        clips: dict[str, list[int]] = {}
        for index, name in enumerate(job.dataset.names):
            clips.setdefault(name.rpartition("/")[0], []).append(index)
        for name, indices in clips.items():
            wanted = [
                (method, seed)
                for method in job.methods
                for seed in range(job.seeds if METHODS[method][2] else 1)
                if name not in done.get((method, seed), set())
            ]
            if wanted:
                try:
                    clip, seconds = _at_hand(job, job.dataset, indices)
                except Exception as error:  # whatever a reader raises for a frame
                    failures[name] = f"{name}: {error or type(error).__name__}"
                    continue
                still = [still_pixels(*pair) for pair in pairwise(clip.pictures)]
                for method, seed in wanted:
                    records.append([_row(method, seed, name, clip, still, seconds)])
            progress.update()
        return failures


def _at_hand(job: Job, frames: DataSet, indices: Sequence[int]) -> tuple[ClipAtHand, float]:
    """A clip, and the seconds that its features took."""
    backbone, size = job.backbone.seen_once(), job.request.size or "default"
    samples = [frames[index] for index in indices]
    pictures = [load_image(sample.image) for sample in samples]
    truths = [
        read_mask(sample.mask, picture)
        for sample, picture in zip(samples, pictures, strict=True)
        if sample.mask is not None
    ]
    started = time.perf_counter()
    features = [backbone(picture, size=size, cls=False) for picture in pictures]
    seconds = time.perf_counter() - started
    return ClipAtHand(pictures, truths, features, backbone.foreground_recipe), seconds


def _row(
    method: str, seed: int, name: str, clip: ClipAtHand, still: Sequence[np.ndarray], seconds: float
) -> Row:
    _, run, _, refine = METHODS[method]
    started = time.perf_counter()
    masks = run(clip, seed, refine)
    seconds += time.perf_counter() - started
    changes = [flicker(*pair, where) for pair, where in zip(pairwise(masks), still, strict=True)]
    return {
        "method": method,
        "seed": seed,
        "image": name,
        **scores_of_clip(masks, clip.truths),
        "flicker": float(np.mean(changes)) if changes else 0.0,
        "seconds": round(seconds / len(masks), 5),  # a frame
    }


def scores_of_clip(masks: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> dict[str, float]:
    """J and F over a clip, as DAVIS-2016 has them: without its first and last frame.

    J of a frame is the IoU, and 1 where neither mask has any foreground.

    Args:
        masks: H×W bool, frame by frame; three at least.
        truths: the true ones.

    Raises:
        ValueError: numbers of frames or their sizes differ, or there are fewer than three.
    """
    if len(masks) != len(truths) or len(masks) < 3:
        raise ValueError(f"{len(masks)} masks for {len(truths)} true ones; give as many, three at least")
    pairs = list(zip(masks, truths, strict=True))[1:-1]
    regions = over_time([mask_iou(*pair) if pair[0].any() or pair[1].any() else 1.0 for pair in pairs])
    contours = over_time([contour_f(*pair) for pair in pairs])
    return {
        "j": regions.mean,
        "j_recall": regions.recall,
        "j_decay": regions.decay,
        "contour": contours.mean,
        "contour_recall": contours.recall,
        "contour_decay": contours.decay,
    }
