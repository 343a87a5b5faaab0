"""Single pictures by their masks or boxes: Tables 1, 2 and 4, the horses, and ``data/``.

The long run: read and extract ahead, cut, score, and append a row for each picture, method and seed.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.datasets import SOURCES, DataSet, Sample
from deepcut_lib.evaluation.methods import METHODS, Prediction, Setup, obstacle
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.request import Inputs, Request
from deepcut_lib.evaluation.scores import centre_square, mask_scores
from deepcut_lib.evaluation.tasks.task import Job, finished
from deepcut_lib.evaluation.views import Fitting, View, look
from deepcut_lib.images import load_image
from deepcut_lib.masks import LIGHT, read_grey_mask
from deepcut_lib.metrics import Box, box_of, box_scores
from deepcut_lib.threads import ahead

SQUARE = ("cub",)
"""Sets of which only the largest square in the middle is scored."""

Look = tuple[Fitting, bool]
"""How pictures are fitted, and whether attention is recorded: what is extracted once for all methods."""


@dataclass
class Loaded:
    """A few pictures of a set, read, with their truth, and what the methods need of them.

    Attributes:
        names: of those that could be read.
        pictures: RGB.
        truths: true masks H×W (grey values), or true boxes.
        failures: messages by picture.
        wanted: the (method, seed) that lack a row of any of them.
        views: for each way of looking at them.
        seconds: a picture's share of what each took.
    """

    names: list[str] = field(default_factory=list)
    pictures: list[Image.Image] = field(default_factory=list)
    truths: list[np.ndarray | Sequence[Box]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    wanted: list[tuple[str, int]] = field(default_factory=list)
    views: dict[Look, list[View]] = field(default_factory=dict)
    seconds: dict[Look, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PicturesTask:
    """Each picture by itself.

    Attributes:
        boxes: score boxes against the set's boxes, instead of masks (and their boxes) against its masks.
        by_backbone: whether columns are backbones, not sets.
    """

    boxes: bool = False
    by_backbone: bool = False

    titles: ClassVar = {name: method.title for name, method in METHODS.items()}
    unit = "picture"
    pooled = False

    def columns(self, sets: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
        if self.by_backbone:
            return {name: name for name in backbones}
        return {name: SOURCES[name].title for name in sets}

    def column(self, row: Row, set_name: str, backbone: str) -> str:
        return backbone if self.by_backbone else set_name

    def inputs_line(self, inputs: Inputs) -> str:
        if inputs == "own":
            return "fitted as each method's publication does"
        return "squashed to the backbone's square, the same features for all methods"

    def obstacle(self, method: str, backbone: Backbone, request: Request) -> str | None:
        return obstacle(METHODS[method], Setup(backbone, request.edge_model))

    def amount(self, pictures: int, seeds: int) -> int:
        """The pictures: each is read once, for all methods and seeds."""
        return pictures

    def run(self, job: Job, records: Records, progress: tqdm) -> dict[str, str]:
        """Do what a results file lacks.

        Pictures are always worked on in the same groups, so that a run that was interrupted gives the same
        numbers, to the last bit, as one that was not. The next group is read and its features are extracted
        while this one is cut and scored.
        """
        done = finished(records)
        failures: dict[str, str] = {}
        size = job.request.batch
        groups = (job.dataset[start : start + size] for start in range(0, len(job.dataset), size))
        for group in ahead(self._load(job, samples, done) for samples in groups):
            failures |= group.failures
            for name, seed in group.wanted:
                have = done.setdefault((name, seed), set())
                rows, failed = self._score(job, group, name, seed)
                failures |= failed
                # The group is cut as a whole even where a picture of it has its row: see above
                records.append(row for row in rows if row["image"] not in have)
                have |= {row["image"] for row in rows}
            progress.update(len(group.names) + len(group.failures))
        return failures

    def _look(self, job: Job, name: str) -> Look:
        """How a method looks at pictures."""
        method = METHODS[name]
        own = method.boxes_in if self.boxes else method.masks_in
        return (own if job.inputs == "own" else "square"), method.attention

    def _load(self, job: Job, samples: DataSet, done: dict[tuple[str, int], set[str]]) -> Loaded:
        """Read a group and extract its features; runs in another thread, and only reads `done`."""
        group = Loaded()
        missing = [run for run in _runs(job) if not set(samples.names) <= done.get(run, set())]
        if not missing:
            group.names = list(samples.names)
            return group
        for name, index in zip(samples.names, range(len(samples)), strict=True):
            try:
                sample = samples[index]
                picture = load_image(sample.image)
                truth = (_true_boxes if self.boxes else _true_mask)(sample, picture)
            except Exception as error:  # whatever a reader raises for one picture
                group.failures[name] = f"{name}: {error or type(error).__name__}"
                continue
            group.names.append(name)
            group.pictures.append(picture)
            group.truths.append(truth)
        # once more, now that it is known which pictures cannot be read and will never have a row
        group.wanted = [run for run in missing if not set(group.names) <= done.get(run, set())]
        for method, _ in group.wanted:
            way = self._look(job, method)
            if way not in group.views:
                fitting, attention = way
                started = time.perf_counter()
                group.views[way] = look(
                    job.backbone,
                    group.pictures,
                    fitting,
                    attention=attention,
                    size=job.request.size or "default",
                )
                group.seconds[way] = (time.perf_counter() - started) / len(group.pictures)
        return group

    def _score(self, job: Job, group: Loaded, name: str, seed: int) -> tuple[list[Row], dict[str, str]]:
        """One method's rows for a group, and messages of what it could not do."""
        method = METHODS[name]
        setup = Setup(job.backbone, job.request.edge_model)
        way = self._look(job, name)
        views = group.views[way]
        failures: dict[str, str] = {}
        started = time.perf_counter()
        predictions: list[Prediction | None]
        try:
            predictions = list(method.run(views, setup, seed))
        except ValueError:  # which picture it was shows one by one
            predictions = []
            for image, view in zip(group.names, views, strict=True):
                try:
                    predictions += method.run([view], setup, seed)
                except ValueError as error:
                    failures[f"{image} ({name})"] = f"{image}: {method.title}: {error}"
                    predictions.append(None)
        seconds = group.seconds[way] * (not method.opencv) + (time.perf_counter() - started) / len(views)
        rows = []
        for image, picture, truth, prediction in zip(
            group.names, group.pictures, group.truths, predictions, strict=True
        ):
            if prediction is None:
                continue
            whole = prediction.on_whole(picture.height, picture.width)
            scores = (
                _mask_scores(whole, truth, square=job.set_name in SQUARE)
                if isinstance(truth, np.ndarray)
                else box_scores(whole.box, truth)
            )
            rows.append(
                {
                    "method": name,
                    "seed": seed,
                    "image": image,
                    "content": job.contents[image],
                    **scores,
                    **whole.further,
                    "seconds": round(seconds, 5),
                }
            )
        return rows, failures


def _runs(job: Job) -> list[tuple[str, int]]:
    """All (method, seed); methods that do not depend on the seed are run with 0 only."""
    return [(name, seed) for name in job.methods for seed in range(job.seeds if METHODS[name].seeded else 1)]


def _true_boxes(sample: Sample, picture: Image.Image) -> Sequence[Box]:
    """A set without boxes has masks; all that a mask shows is one object."""
    if sample.boxes or sample.mask is None:
        return sample.boxes
    box = box_of(_true_mask(sample, picture) >= LIGHT)
    return () if box is None else (box,)


def _true_mask(sample: Sample, picture: Image.Image) -> np.ndarray:
    if sample.mask is None:
        raise ValueError(f"{sample.image}: has no mask")
    return read_grey_mask(sample.mask, picture)


def _mask_scores(
    prediction: Prediction, truth: np.ndarray, *, square: bool
) -> dict[str, float | list[float]]:
    """Scores of a mask and of its box, which is held against the box round the true mask."""
    true_box = box_of(truth >= LIGHT)
    scores: dict[str, float | list[float]] = {**box_scores(prediction.box, [true_box] if true_box else [])}
    if prediction.mask is None:
        return scores
    crop = centre_square if square else np.asarray
    return {**scores, **mask_scores(crop(prediction.mask), crop(truth))}
