"""Train once, apply elsewhere (§4): networks fitted to a folder label new pictures without training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.backbone import Recipe
from deepcut_lib.clustering import MOST, DeepCut, check_whole, stores_affinity
from deepcut_lib.errors import CheckpointError
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.files import write_whole
from deepcut_lib.foreground import background_clusters
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.network import NAMES, Networks, check_weights
from deepcut_lib.parts import JOINT_STARTS, Parts, foreground_rows, to_parts
from deepcut_lib.segmentation import Segmentation, assemble

FORMAT = "deepcut-trained-1"


@dataclass(frozen=True, eq=False)
class TrainedDeepCut:
    """Networks that were fitted to a set of pictures.

    Attributes:
        backbone: name of the backbone whose features they take.
        normalized: whether features are centred over each picture and given one length.
        size: the size that pictures are fitted to: a side, (height, width), None for their own, or
            "default" for the backbone's.
        background: (K,) bool, which clusters are background: judged by the border in most training pictures.
        foreground_weights: the network that cuts foreground from background.
        part_weights: the network that cuts the foreground into parts, or None.
        n_pictures: how many pictures they were fitted to.
    """

    backbone: str
    normalized: bool
    size: Size | str
    background: np.ndarray
    foreground_weights: dict[str, Tensor]
    part_weights: dict[str, Tensor] | None
    n_pictures: int

    def segment(
        self, image: ImageLike, *, backbone: Backbone | None = None, refine: bool = False
    ) -> Segmentation:
        """Foreground and background of a new picture, without training.

        Args:
            image: a path, PIL picture or array.
            backbone: the backbone of this name, loaded; by default it is loaded each time.
            refine: sharpen the mask by the bilateral solver.

        Raises:
            ImageError: the picture cannot be used.
            ValueError: another backbone than the one these networks were fitted with.
        """
        picture = load_image(image)
        backbone = self._loaded(backbone)
        features = backbone(picture, size=self.size, cls=False)
        return self.segment_features(
            features,
            refine_on=picture if refine else None,
            least_spread=backbone.recipe.least_spread,
        )

    def segment_features(
        self,
        features: PatchFeatures,
        *,
        refine_on: Image.Image | None = None,
        least_spread: float = 0.0,
    ) -> Segmentation:
        """The same for a picture whose features are at hand.

        Args:
            features: the picture's.
            refine_on: the picture, for a sharp mask.
            least_spread: of the backbone's recipe, below which the result says that there is nothing to cut.
        """
        return assemble(
            self.labels(features),
            self.background,
            features,
            np.empty(0, np.float32),
            refine_on=refine_on,
            least_spread=least_spread,
        )

    def parts(self, image: ImageLike, *, backbone: Backbone | None = None) -> Parts:
        """The parts of a new picture's foreground, without training; they mean what they did in training.

        Raises:
            ImageError: the picture cannot be used.
            ValueError: no network for parts was fitted, or the backbone is another one.
        """
        if self.part_weights is None:
            raise ValueError("these networks were fitted without parts; call train_once with k")
        found = self.segment(image, backbone=backbone)
        features, foreground = found.features, found.foreground
        if found.message or not foreground.any():
            why = found.message or "no foreground was found, so there are no parts"
            return Parts(np.zeros(features.grid, int), features, why)
        rows = foreground_rows(features, foreground, normalized=self.normalized)
        return to_parts(features, foreground, _apply(self.part_weights, rows))

    def labels(self, features: PatchFeatures) -> np.ndarray:
        """The first network's clusters: h×w."""
        rows = normalize(features.values) if self.normalized else features.values
        return features.to_map(_apply(self.foreground_weights, rows))

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one safetensors file.

        Raises:
            DeepCutError: it could not be written.
        """
        tensors = {f"foreground/{name}": tensor for name, tensor in self.foreground_weights.items()}
        tensors |= {f"parts/{name}": tensor for name, tensor in (self.part_weights or {}).items()}
        notes = {
            "format": FORMAT,
            "backbone": self.backbone,
            "normalized": json.dumps(self.normalized),
            "size": json.dumps(self.size),
            "background": json.dumps(self.background.tolist()),
            "n_pictures": json.dumps(self.n_pictures),
        }
        write_whole(Path(path), safetensors.torch.save(tensors, notes))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "TrainedDeepCut":
        """Read a file that `save` wrote.

        Raises:
            CheckpointError: it is missing, damaged, or another kind of file.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; check the path")
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                notes = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            if notes.get("format") != FORMAT:
                raise KeyError("format")
            stages = {
                stage: _checked({name: tensors[f"{stage}/{name}"] for name in NAMES})
                for stage in ("foreground", "parts")
                if f"{stage}/{NAMES[0]}" in tensors
            }
            background = np.array(json.loads(notes["background"]), bool)
            if background.shape != stages["foreground"]["mlp2_bias"].shape:
                raise ValueError("background")
            size = json.loads(notes["size"])
            return cls(
                backbone=notes["backbone"],
                normalized=json.loads(notes["normalized"]),
                size=tuple(size) if isinstance(size, list) else size,
                background=background,
                foreground_weights=stages["foreground"],
                part_weights=stages.get("parts"),
                n_pictures=json.loads(notes["n_pictures"]),
            )
        except (safetensors.SafetensorError, KeyError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"{path}: damaged, or not written by TrainedDeepCut.save; train and save again"
            ) from error

    def _loaded(self, backbone: Backbone | None) -> Backbone:
        if backbone is None:
            return load_backbone(self.backbone)
        if backbone.name != self.backbone:
            raise ValueError(f"these networks were fitted with {self.backbone}, not with {backbone.name}")
        return backbone


def train_once(
    images: Sequence[ImageLike],
    *,
    k: int | None = None,
    backbone: str | Backbone = "auto",
    n_clusters: int | None = None,
    epochs: int = 10,
    part_epochs: int = 100,
    learning_rate: float | None = None,
    normalized: bool | None = None,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
) -> TrainedDeepCut:
    """Fit one network, or two with parts, to a set of pictures, to label others without training (§4).

    Args:
        images: paths, PIL pictures or arrays; other pictures should show the same kind of things.
        k: how many parts the foreground is to be cut into; None for foreground and background alone.
        backbone: a loaded backbone, or a name for `load_backbone`.
        n_clusters: K of the first network; by default the backbone's recipe's.
        epochs: rounds of the first network over all patches.
        part_epochs: rounds of the second.
        learning_rate: step size of the first; by default the recipe's.
        normalized: centre features over each picture and give them one length; by default as in the recipe.
        size: the size that pictures are fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.

    Raises:
        ImageError: a picture cannot be used; the message names it.
        ValueError: there is no picture, a parameter is out of range, or parts are wanted where no picture
            has a foreground.
    """
    if not len(images):
        raise ValueError("there are no pictures to train on; give at least one")
    if isinstance(backbone, str):
        backbone = load_backbone(backbone, device=device)
    _models(backbone.recipe, k, n_clusters, epochs, part_epochs, learning_rate, "cpu", random_state)
    features = [backbone(image, size=size, cls=False) for image in images]
    return train_on_features(
        features,
        backbone,
        k=k,
        n_clusters=n_clusters,
        epochs=epochs,
        part_epochs=part_epochs,
        learning_rate=learning_rate,
        normalized=normalized,
        size=size,
        random_state=random_state,
    )


def train_on_features(
    features: Sequence[PatchFeatures],
    backbone: Backbone,
    *,
    k: int | None = None,
    n_clusters: int | None = None,
    epochs: int = 10,
    part_epochs: int = 100,
    learning_rate: float | None = None,
    normalized: bool | None = None,
    size: Size | str = "default",
    random_state: int = 0,
) -> TrainedDeepCut:
    """`train_once` where the pictures' features are at hand; arguments and errors are the same."""
    recipe = backbone.recipe
    normalized = recipe.normalized if normalized is None else normalized
    if not len(features):
        raise ValueError("there are no pictures to train on; give at least one")
    device = str(features[0].values.device)
    first, second = _models(recipe, k, n_clusters, epochs, part_epochs, learning_rate, device, random_state)
    rows = [normalize(one.values) if normalized else one.values for one in features]
    first.fit_jointly(rows)
    ends = np.cumsum([len(values) for values in rows])[:-1]
    maps = [one.to_map(part) for one, part in zip(features, np.split(first.labels_, ends), strict=True)]
    background = _vote(maps, first.n_clusters)
    if second is not None:
        foregrounds = [~background[labels] for labels in maps]
        inside = [
            foreground_rows(one, foreground, normalized=normalized)
            for one, foreground in zip(features, foregrounds, strict=True)
            if foreground.any()
        ]
        if not inside:
            raise ValueError("no picture has a foreground, so there are no parts to learn")
        second.fit_jointly(inside)
    return TrainedDeepCut(
        backbone=backbone.name,
        normalized=normalized,
        size=size,
        background=background,
        foreground_weights=first.weights_,
        part_weights=None if second is None else second.weights_,
        n_pictures=len(features),
    )


def _models(
    recipe: Recipe,
    k: int | None,
    n_clusters: int | None,
    epochs: int,
    part_epochs: int,
    learning_rate: float | None,
    device: str,
    random_state: int,
) -> tuple[DeepCut, DeepCut | None]:
    """The estimators of foreground and of parts, their parameters checked."""
    first = DeepCut(
        recipe.n_clusters if n_clusters is None else n_clusters,
        epochs=epochs,
        learning_rate=recipe.learning_rate if learning_rate is None else learning_rate,
        n_init=recipe.n_init,
        device=device,
        random_state=random_state,
    )
    first.check_parameters()
    check_whole("part_epochs", part_epochs, 1, MOST["epochs"])
    if k is None:
        return first, None
    check_whole("k", k, 1, MOST["n_clusters"])
    second = DeepCut(k, epochs=part_epochs, n_init=JOINT_STARTS, device=device, random_state=random_state)
    return first, second


def _checked(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's weights, whose sizes must fit each other."""
    return check_weights(weights, weights["gcn_weight"].shape[-1], weights["mlp2_bias"].numel())


def _vote(maps: Sequence[np.ndarray], n_clusters: int) -> np.ndarray:
    """Which clusters the border rule takes for background in most of the pictures that show them: (K,)."""
    votes, seen = np.zeros(n_clusters), np.zeros(n_clusters)
    for labels in maps:
        judged = background_clusters(labels)
        present = np.unique(labels)
        votes[present] += judged[present]
        seen[present] += 1
    return votes >= np.maximum(seen, 1) / 2


def _apply(weights: dict[str, Tensor], rows: Tensor) -> np.ndarray:
    """A network's clusters of one picture's patches, n×d → (n,)."""
    graph = ncut_graph(rows, dense=stores_affinity(len(rows)))
    network = Networks([weights], batch=1, dropout=0.0).to(rows.device)
    with torch.no_grad(), torch.autocast(rows.device.type, enabled=False):
        return network(graph.propagate(rows).unsqueeze(0))[0, 0].argmax(-1).cpu().numpy()
