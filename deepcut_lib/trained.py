"""Train once, apply elsewhere (§4): networks fitted to a folder label new pictures without training."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from PIL import Image
from torch import Tensor

from deepcut_lib.backbones import Backbone, resolve_backbone
from deepcut_lib.clustering import MOST, DeepCut, graph_form
from deepcut_lib.features import PatchFeatures
from deepcut_lib.files import write_whole
from deepcut_lib.foreground import background_clusters
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.network import NAMES
from deepcut_lib.parameters import check_whole
from deepcut_lib.parts import EPOCHS, Parts, apply_parts, fit_parts, parts_recipe
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import Segmentation, assemble, find_background, foreground_probability
from deepcut_lib.tensor_files import tensors_of

FORMAT = "deepcut-trained-3"


@dataclass(frozen=True, eq=False)
class TrainedDeepCut:
    """Networks that were fitted to a set of pictures.

    Attributes:
        backbone: name of the backbone whose features they take.
        recipe: how its features are prepared, and how the first network was fitted.
        size: the size that pictures are fitted to: a side, (height, width), None for their own, or
            "default" for the backbone's.
        background: (K,) bool, which clusters are background in every picture: cluster 0 with a prior, else
            judged by the border in most training pictures; None where each picture is judged on its own, by
            the rule "union".
        foreground_model: the fitted network that cuts foreground from background.
        part_model: the one that cuts the foreground into parts, or None.
        n_pictures: how many pictures they were fitted to.
        made_from: what stands for these pictures and all settings, if whoever fitted them has noted it.
    """

    backbone: str
    recipe: Recipe
    size: Size | str
    background: np.ndarray | None
    foreground_model: DeepCut
    part_model: DeepCut | None
    n_pictures: int
    made_from: str = ""

    def segment(
        self, image: ImageLike, *, backbone: Backbone | None = None, refine: bool = False
    ) -> Segmentation:
        """Foreground and background of a new picture, without training.

        Args:
            image: a path, PIL picture or array.
            backbone: the backbone of this name, loaded; by default it is loaded by its name.
            refine: sharpen the mask by the bilateral solver.

        Raises:
            ImageError: the picture cannot be used.
            ValueError: another backbone than the one these networks were fitted with.
        """
        backbone = resolve_backbone(self.backbone) if backbone is None else self.checked(backbone)
        picture = load_image(image)
        features = backbone(picture, size=self.size, cls=False)
        return self.segment_features(features, refine_on=picture if refine else None)

    def segment_features(
        self, features: PatchFeatures, *, refine_on: Image.Image | None = None
    ) -> Segmentation:
        """The same for a picture whose features are at hand.

        Args:
            features: the picture's.
            refine_on: the picture, for a sharp mask.
        """
        values = self.recipe.prepare(features.values)
        assignment = self.foreground_model.predict_assignments(values)
        labels = features.to_map(assignment.argmax(axis=1))
        background = self.background
        if background is None:
            graph = ncut_graph(values, **graph_form(len(values), self.recipe.memory))
            background = find_background(labels, self.recipe, graph)
        return assemble(
            labels,
            background,
            features,
            np.empty(0, np.float32),
            self.recipe,
            probability=foreground_probability(assignment, background, features),
            refine_on=refine_on,
        )

    def parts(self, image: ImageLike, *, backbone: Backbone | None = None) -> Parts:
        """The parts of a new picture's foreground, without training; they mean what they did in training.

        Raises:
            ImageError: the picture cannot be used.
            ValueError: no network for parts was fitted, or the backbone is another one.
        """
        return self.parts_of(self.segment(image, backbone=backbone))

    def parts_of(self, segmentation: Segmentation) -> Parts:
        """The same for a picture that was segmented already.

        Raises:
            ValueError: no network for parts was fitted.
        """
        if self.part_model is None:
            raise ValueError("these networks were fitted without parts; call train_once with k")
        features = segmentation.features
        if segmentation.message:
            return Parts(np.zeros(features.grid, int), features, segmentation.message)
        return apply_parts(self.part_model, features, segmentation.foreground, self.recipe)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one safetensors file.

        Raises:
            DeepCutError: it could not be written.
        """
        metadata = {"format": FORMAT, "notes": self._notes}
        write_whole(Path(path), safetensors.torch.save(self._tensors, metadata))

    @property
    def fingerprint(self) -> str:
        """A digest of all that decides what these networks give, as they are after `save` and `load` too."""
        digest = hashlib.sha256(self._notes.encode())
        for name, tensor in sorted(self._tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def _tensors(self) -> dict[str, Tensor]:
        models = {"foreground": self.foreground_model, "parts": self.part_model}
        return {
            f"{stage}/{name}": tensor
            for stage, model in models.items()
            if model is not None
            for name, tensor in model.weights_.items()
        }

    @property
    def _notes(self) -> str:
        notes = {
            "backbone": self.backbone,
            "recipe": asdict(self.recipe),
            "size": self.size,
            "background": None if self.background is None else self.background.tolist(),
            "n_pictures": self.n_pictures,
            "made_from": self.made_from,
        }
        return json.dumps(notes)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "TrainedDeepCut":
        """Read a file that `save` wrote.

        Raises:
            CheckpointError: it is missing, damaged, or another kind of file.
        """
        kind = "a file of TrainedDeepCut.save; train and save again"
        with tensors_of(path, FORMAT, kind) as (metadata, tensors):
            notes = json.loads(metadata["notes"])
            recipe = Recipe(**notes["recipe"])
            judged = notes["background"]
            size = notes["size"]
            return cls(
                backbone=str(notes["backbone"]),
                recipe=recipe,
                size=tuple(size) if isinstance(size, list) else size,
                background=None if judged is None else _of_length(judged, recipe.n_clusters),
                foreground_model=_restored(recipe, tensors, "foreground"),
                part_model=_restored_parts(recipe, tensors),
                n_pictures=int(notes["n_pictures"]),
                made_from=str(notes["made_from"]),
            )

    def checked(self, backbone: Backbone) -> Backbone:
        """A backbone, if it is the one that these networks were fitted with.

        Raises:
            ValueError: it is another.
        """
        if backbone.name != self.backbone:
            raise ValueError(f"these networks were fitted with {self.backbone}, not with {backbone.name}")
        return backbone


def train_once(
    images: Sequence[ImageLike],
    *,
    k: int | None = None,
    backbone: str | Backbone = "auto",
    recipe: Recipe | None = None,
    part_epochs: int = EPOCHS,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
    **overrides: Any,
) -> TrainedDeepCut:
    """Fit one network, or two with parts, to a set of pictures, to label others without training (§4).

    Args:
        images: paths, PIL pictures or arrays; other pictures should show the same kind of things.
        k: how many parts the foreground is to be cut into; None for foreground and background alone.
        backbone: a loaded backbone, or a name for `load_backbone`.
        recipe: how the first network cuts; by default the backbone's `foreground_recipe`. Its epochs are
            rounds over all patches.
        part_epochs: rounds of the second network.
        size: the size that pictures are fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.
        **overrides: settings that replace the recipe's.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture, a parameter is out of range, or parts are wanted where no picture
            has a foreground.
        TypeError: there is no such setting.
    """
    if not len(images):
        raise ValueError("there are no pictures to train on; give at least one")
    backbone = resolve_backbone(backbone, device=device)
    recipe = (recipe or backbone.foreground_recipe).but(**overrides)
    recipe.estimator("cpu", random_state)
    _second_recipe(recipe, k, part_epochs)
    return train_on_features(
        [backbone(image, size=size, cls=False) for image in images],
        backbone,
        k=k,
        recipe=recipe,
        part_epochs=part_epochs,
        size=size,
        random_state=random_state,
    )


def train_on_features(
    features: Sequence[PatchFeatures],
    backbone: Backbone,
    *,
    k: int | None = None,
    recipe: Recipe | None = None,
    part_epochs: int = EPOCHS,
    size: Size | str = "default",
    random_state: int = 0,
    **overrides: Any,
) -> TrainedDeepCut:
    """`train_once` where the pictures' features are at hand; arguments and errors are the same."""
    if not len(features):
        raise ValueError("there are no pictures to train on; give at least one")
    recipe = (recipe or backbone.foreground_recipe).but(**overrides)
    second = _second_recipe(recipe, k, part_epochs)
    prepared = [recipe.prepare(of_picture.values) for of_picture in features]
    priors = recipe.priors(features)
    first = recipe.estimator(features[0].values.device, random_state).fit_jointly(prepared, priors)
    ends = np.cumsum([len(values) for values in prepared])[:-1]
    maps = [
        of_picture.to_map(labels)
        for of_picture, labels in zip(features, np.split(first.labels_, ends), strict=True)
    ]
    background: np.ndarray | None = None
    if recipe.prior_weight:
        background = np.arange(first.n_clusters) == 0
    elif recipe.rule == "border":
        background = _vote(maps, first.n_clusters)
    trained = TrainedDeepCut(backbone.name, recipe, size, background, first, None, len(features))
    if second is None:
        return trained
    foregrounds = [trained.segment_features(of_picture).foreground for of_picture in features]
    return replace(trained, part_model=fit_parts(features, foregrounds, second, random_state))


def _of_length(flags: list[bool], count: int) -> np.ndarray:
    if len(flags) != count:
        raise ValueError(f"{len(flags)} flags for {count} clusters")
    return np.array(flags, bool)


def _second_recipe(recipe: Recipe, k: int | None, epochs: int) -> Recipe | None:
    check_whole("part_epochs", epochs, 1, MOST["epochs"])
    return None if k is None else parts_recipe(recipe, k, epochs=epochs)


def _restored(recipe: Recipe, tensors: dict[str, Tensor], stage: str) -> DeepCut:
    """A fitted network of a file; `predict` will run where its features are put."""
    return recipe.estimator().restore({name: tensors[f"{stage}/{name}"] for name in NAMES})


def _restored_parts(recipe: Recipe, tensors: dict[str, Tensor]) -> DeepCut | None:
    if f"parts/{NAMES[0]}" not in tensors:
        return None
    return _restored(parts_recipe(recipe, len(tensors["parts/mlp2_bias"])), tensors, "parts")


def _vote(maps: Sequence[np.ndarray], n_clusters: int) -> np.ndarray:
    """Which clusters the border rule takes for background in most of the pictures that show them: (K,)."""
    votes, seen = np.zeros(n_clusters), np.zeros(n_clusters)
    for labels in maps:
        judged = background_clusters(labels)
        present = np.unique(labels)
        votes[present] += judged[present]
        seen[present] += 1
    return votes >= np.maximum(seen, 1) / 2
