"""The long run: read and extract ahead, cut, score, and append a row for each picture, method and seed."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.datasets import DataSet, Sample
from deepcut_lib.evaluation.methods import METHODS, Fitting, Found, Setup, View, look
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.scores import box_scores, centre_square, mask_scores
from deepcut_lib.images import Size, load_image
from deepcut_lib.masks import LIGHT, read_grey_mask
from deepcut_lib.metrics import box_of

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """One data set to be done with one backbone.

    Attributes:
        dataset: its pictures.
        contents: what each was when the run began, see `content_of`; rows say it.
        backbone: the backbone.
        setup: what the methods share.
        methods: names in `METHODS`.
        seeds: how many seeds, from 0; methods that do not depend on it are run with 0 only.
        localize: score boxes against the set's boxes, instead of masks (and their boxes) against its masks.
        own_inputs: fit pictures as each method's publication does, instead of alike for all.
        square: score the largest square in the middle only.
        size: side of the squares that pictures are squashed to.
        batch: pictures that are worked on together.
    """

    dataset: DataSet
    contents: Mapping[str, str]
    backbone: Backbone
    setup: Setup
    methods: tuple[str, ...]
    seeds: int
    localize: bool
    own_inputs: bool
    square: bool = False
    size: Size | str = "default"
    batch: int = 8

    @property
    def runs(self) -> list[tuple[str, int]]:
        """All (method, seed)."""
        return [
            (name, seed) for name in self.methods for seed in range(self.seeds if METHODS[name].seeded else 1)
        ]

    def fitting(self, name: str) -> Fitting:
        """How pictures are fitted for a method."""
        if not self.own_inputs:
            return "square"
        return METHODS[name].boxes_in if self.localize else METHODS[name].masks_in


@dataclass
class Loaded:
    """A few pictures of a set, read, with their truth, and what the methods need of them.

    Attributes:
        names: of those that could be read.
        pictures: RGB.
        truths: true masks H×W (grey values), or true boxes.
        failures: messages by picture.
        wanted: the (method, seed) that lack a row of any of them.
        views: for each fitting and the need for attention.
        seconds: a picture's share of what each kind of view took.
    """

    names: list[str] = field(default_factory=list)
    pictures: list[Image.Image] = field(default_factory=list)
    truths: list[np.ndarray | Sequence[tuple[int, int, int, int]]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    wanted: list[tuple[str, int]] = field(default_factory=list)
    views: dict[tuple[Fitting, bool], list[View]] = field(default_factory=dict)
    seconds: dict[tuple[Fitting, bool], float] = field(default_factory=dict)


def finished(records: Records) -> dict[tuple[str, int], set[str]]:
    """The pictures that have a row, by method and seed."""
    done: dict[tuple[str, int], set[str]] = {}
    for row in records.rows():
        done.setdefault((row["method"], row["seed"]), set()).add(sys.intern(row["image"]))
    return done


def run(job: Job, records: Records, progress: tqdm) -> dict[str, str]:
    """Do what a results file lacks of a job.

    Pictures are always worked on in the same groups, so that a run that was interrupted gives the same
    numbers, to the last bit, as one that was not. The next group is read and its features are extracted
    while this one is cut and scored.

    Args:
        job: what is to be done.
        records: where rows are appended.
        progress: advanced by each picture.

    Returns:
        Messages of what could not be done, by picture.

    Raises:
        DeepCutError: the results file cannot be written.
    """
    done = finished(records)
    failures: dict[str, str] = {}
    groups = (job.dataset[start : start + job.batch] for start in range(0, len(job.dataset), job.batch))
    for group in ahead(_load(job, pictures, done) for pictures in groups):
        failures |= group.failures
        for name, seed in group.wanted:
            have = done.setdefault((name, seed), set())
            rows, failed = _score(job, group, name, seed)
            failures |= failed
            records.append(row for row in rows if row["image"] not in have)
            have |= {row["image"] for row in rows}
        progress.update(len(group.names) + len(group.failures))
    return failures


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each made in another thread while the one before it is used."""
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(_next, source)
        while item := coming.result():
            coming = thread.submit(_next, source)
            yield item[0]


def _next(source: Iterator[Item]) -> tuple[Item] | None:
    for item in source:
        return (item,)
    return None


def _load(job: Job, samples: DataSet, done: dict[tuple[str, int], set[str]]) -> Loaded:
    group = Loaded()
    missing = [one for one in job.runs if not set(samples.names) <= done.get(one, set())]
    if not missing:
        group.names = list(samples.names)
        return group
    for name, index in zip(samples.names, range(len(samples)), strict=True):
        try:
            sample = samples[index]
            picture = load_image(sample.image)
            truth = sample.boxes if job.localize else _true_mask(sample, picture)
        except Exception as error:  # whatever a reader raises for one picture
            group.failures[name] = f"{name}: {error or type(error).__name__}"
            continue
        group.names.append(name)
        group.pictures.append(picture)
        group.truths.append(truth)
    group.wanted = [one for one in missing if not set(group.names) <= done.get(one, set())]
    for method, _ in group.wanted:
        key = (job.fitting(method), METHODS[method].attention)
        if key not in group.views:
            started = time.perf_counter()
            group.views[key] = look(job.backbone, group.pictures, key[0], attention=key[1], size=job.size)
            group.seconds[key] = (time.perf_counter() - started) / len(group.pictures)
    return group


def _true_mask(sample: Sample, picture: Image.Image) -> np.ndarray:
    if sample.mask is None:
        raise ValueError(f"{sample.image}: has no mask")
    return read_grey_mask(sample.mask, picture)


def _score(job: Job, group: Loaded, name: str, seed: int) -> tuple[list[Row], dict[str, str]]:
    """One method's rows for a group, and messages of what it could not do."""
    method = METHODS[name]
    key = (job.fitting(name), method.attention)
    views = group.views[key]
    failures: dict[str, str] = {}
    started = time.perf_counter()
    found: list[Found | None]
    try:
        found = list(method.run(views, job.setup, seed))
    except ValueError:  # which picture it was shows one by one
        found = []
        for image, view in zip(group.names, views, strict=True):
            try:
                found += method.run([view], job.setup, seed)
            except ValueError as error:
                failures[f"{image} ({name})"] = f"{image}: {method.title}: {error}"
                found.append(None)
    seconds = group.seconds[key] * (not method.opencv) + (time.perf_counter() - started) / len(views)
    rows = []
    for image, picture, truth, one in zip(group.names, group.pictures, group.truths, found, strict=True):
        if one is None:
            continue
        on = one.on(picture.height, picture.width)
        scores = (
            box_scores(on.box, truth) if not isinstance(truth, np.ndarray) else _mask_scores(on, truth, job)
        )
        rows.append(
            {
                "method": name,
                "seed": seed,
                "image": image,
                "content": job.contents[image],
                **scores,
                **on.further,
                "seconds": round(seconds, 5),
            }
        )
    return rows, failures


def _mask_scores(found: Found, truth: np.ndarray, job: Job) -> dict[str, float | list[float]]:
    true_box = box_of(truth >= LIGHT)
    scores: dict[str, float | list[float]] = {**box_scores(found.box, [true_box] if true_box else [])}
    if found.mask is None:
        return scores
    crop = centre_square if job.square else np.asarray
    return {**scores, **mask_scores(crop(found.mask), crop(truth))}
