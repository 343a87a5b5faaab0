"""Table 3: parts that mean the same in every picture, scored by key points."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import amir_parts, dff, extract_with_attention, has_cls_attention, saliency_of
from deepcut_lib.datasets import SOURCES, DataSet, KeyPoint, Sample
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.request import Inputs, Request
from deepcut_lib.evaluation.tasks.task import Job, finished
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.images import load_image
from deepcut_lib.metrics import labels_at
from deepcut_lib.parts import apply_parts, fit_parts, parts_recipe
from deepcut_lib.segmentation import cut
from deepcut_lib.threads import ahead

PARTS = 4
"""Parts of the foreground; background is a label of its own."""

FIT_ON = 200
"""Pictures, drawn by the seed, that methods are fitted to; all are then labelled one by one, so that memory
does not grow with the set."""

SHORTER_SIDE = 256
MULTIPLE = 16


@dataclass(frozen=True, eq=False)
class Bird:
    """A picture, ready for finding parts.

    Attributes:
        features: of its patches.
        saliency: h×w in 0…1, or None where no method asks for it.
        points: its key points, on the fitted picture.
    """

    features: PatchFeatures
    saliency: np.ndarray | None
    points: list[KeyPoint]


Label = Callable[[Bird], np.ndarray]
"""From a picture to its h×w labels, alike in all pictures."""


@dataclass(frozen=True)
class PartMethod:
    """A row of the table.

    Attributes:
        title: what the table calls it.
        fit: (birds, backbone, seed) → what labels any bird.
        attention: whether it needs CLS attention.
    """

    title: str
    fit: Callable[[Sequence[Bird], Backbone, int], Label]
    attention: bool = False


def fit_picture(picture: Image.Image, points: Sequence[KeyPoint]) -> tuple[Image.Image, list[KeyPoint]]:
    """Bring the shorter side to 256 pixels, trim both to multiples of 16, and take the key points along."""
    scale = SHORTER_SIDE / min(picture.size)
    width, height = (max(round(side * scale), SHORTER_SIDE) for side in picture.size)
    left, top = (side % MULTIPLE // 2 for side in (width, height))
    box = (left, top, left + width // MULTIPLE * MULTIPLE, top + height // MULTIPLE * MULTIPLE)
    fitted = picture.resize((width, height), Image.Resampling.LANCZOS).crop(box)
    across, down = width / picture.width, height / picture.height
    return fitted, [KeyPoint(part, x * across - left, y * down - top) for part, x, y in points]


def _fit_ncut(birds: Sequence[Bird], backbone: Backbone, seed: int) -> Label:
    recipe = backbone.recipe

    def foreground(bird: Bird) -> np.ndarray:
        # no two seeds share a start
        return cut([bird.features], recipe=recipe, random_state=seed * recipe.n_init)[0].foreground

    foregrounds = [foreground(bird) for bird in birds]
    features = [bird.features for bird in birds]
    model = fit_parts(features, foregrounds, parts_recipe(recipe, PARTS), seed)

    def label(bird: Bird) -> np.ndarray:
        return apply_parts(model, bird.features, foreground(bird), recipe).labels

    return label


def _fit_amir(birds: Sequence[Bird], backbone: Backbone, seed: int) -> Label:
    saliency = [bird.saliency for bird in birds if bird.saliency is not None]
    model = amir_parts([bird.features for bird in birds], saliency, PARTS, random_state=seed)
    return lambda bird: model.predict(bird.features)


def _fit_dff(birds: Sequence[Bird], backbone: Backbone, seed: int) -> Label:
    # one factor more than parts, for the background
    model = dff([bird.features for bird in birds], PARTS + 1, random_state=seed)
    return lambda bird: model.predict(bird.features)


METHODS = {
    "ncut": PartMethod("DeepCut, N-cut, one network for all", _fit_ncut),
    "amir": PartMethod("Amir et al.", _fit_amir, attention=True),
    "dff": PartMethod("DFF", _fit_dff),
}
"""Everything that finds parts, by name; the table lists them in this order."""


class PartsTask:
    """Methods are fitted to some pictures of a set, and then label all."""

    titles: ClassVar = {name: method.title for name, method in METHODS.items()}
    unit = "picture"
    pooled = True
    by_backbone = False

    def columns(self, sets: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
        return {name: SOURCES[name].title for name in sets}

    def column(self, row: Row, set_name: str, backbone: str) -> str:
        return set_name

    def inputs_line(self, inputs: Inputs) -> str:
        return (
            f"shorter side {SHORTER_SIDE} pixels; methods are fitted to at most {FIT_ON}, then label all; "
            "background is a label of its own"
        )

    def obstacle(self, method: str, backbone: Backbone, request: Request) -> str | None:
        if METHODS[method].attention and not has_cls_attention(backbone):
            return f"{backbone.name} has no CLS attention, which is its saliency"
        return None

    def amount(self, pictures: int, seeds: int) -> int:
        """The pictures, once for each seed."""
        return pictures * seeds

    def run(self, job: Job, records: Records, progress: tqdm) -> dict[str, str]:
        """Do what a results file lacks: fit each method to some pictures, then label all, one at a time."""
        dataset, backbone = job.dataset, job.backbone
        done = finished(records)
        failures: dict[str, str] = {}
        attention = any(METHODS[name].attention for name in job.methods)

        def look(sample: Sample) -> Bird | None:
            try:
                picture, points = fit_picture(load_image(sample.image), sample.points)
            except Exception as error:  # whatever a reader raises for one picture
                failures[sample.name] = f"{sample.name}: {error or type(error).__name__}"
                return None
            if attention:
                features, maps = extract_with_attention(backbone, [picture], size=None)
                return Bird(features[0], saliency_of(maps[0]), points)
            return Bird(backbone(picture, size=None, cls=False), None, points)

        for seed in range(job.seeds):
            wanted = [name for name in job.methods if not set(dataset.names) <= done.get((name, seed), set())]
            models: dict[str, Label] = {}
            if wanted:
                order = np.random.default_rng(seed).permutation(len(dataset))[:FIT_ON]
                birds = [bird for i in order if (bird := look(dataset[int(i)])) is not None]
                if birds:
                    models = {name: METHODS[name].fit(birds, backbone, seed) for name in wanted}
            for image, bird, seconds in ahead(_looked_at(dataset, look, needed=bool(models))):
                if bird is not None:
                    records.append(
                        _row(method, seed, image, bird, label, seconds)
                        for method, label in models.items()
                        if image not in done.get((method, seed), set())
                    )
                progress.update()
        return failures


def _looked_at(
    dataset: DataSet, look: Callable[[Sample], Bird | None], *, needed: bool
) -> Iterator[tuple[str, Bird | None, float]]:
    """Each picture's name, the bird or None, and the seconds it took; no look is taken if none is needed."""
    for index, name in enumerate(dataset.names):
        started = time.perf_counter()
        bird = look(dataset[index]) if needed else None
        yield name, bird, time.perf_counter() - started


def _row(method: str, seed: int, image: str, bird: Bird, label: Label, seconds: float) -> Row:
    started = time.perf_counter()
    labels = upsample(label(bird), bird.features)
    at_points = labels_at(labels, np.array([(x, y) for _, x, y in bird.points]))
    return {
        "method": method,
        "seed": seed,
        "image": image,
        "parts": [point.part for point in bird.points],
        "labels": at_points.tolist(),
        "seconds": round(seconds + time.perf_counter() - started, 5),
    }
