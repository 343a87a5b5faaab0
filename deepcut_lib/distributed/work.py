"""What is done to pictures: each kind of work gives one row of results for each of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa
from PIL import Image

from deepcut_lib import __version__
from deepcut_lib.backbones import Backbone
from deepcut_lib.images import Size, encoded
from deepcut_lib.kless import PICTURE_SIZE
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import Segmentation, cut
from deepcut_lib.trained import TrainedDeepCut

Row = dict[str, Any]
"""A row of the table of results, by column."""


def _element(kind: pa.DataType) -> pa.Field:
    """What a list holds, under the name that Parquet gives it: a schema is read as it was written."""
    return pa.field("element", kind)


_CUT = {
    "box": pa.list_(_element(pa.int32()), 4),
    "n_clusters": pa.int32(),
    "foreground_share": pa.float64(),
    "spread": pa.float64(),
    "message": pa.string(),
}
_DRAWN = {"mask": pa.binary(), "labels": pa.binary()}


class Work(Protocol):
    """One kind of work; it is sent to every worker, with the backbone's weights.

    Attributes:
        backbone: what sees the pictures.
        columns: the types of its results.
    """

    @property
    def backbone(self) -> Backbone: ...

    @property
    def columns(self) -> dict[str, pa.DataType]: ...

    @property
    def size(self) -> Size | str:
        """The size that pictures are fitted to; pictures of None are batched by their own."""
        ...

    def settings(self) -> Row:
        """All that results depend on besides the picture, of what JSON can hold."""
        ...

    def rows(self, pictures: Sequence[Image.Image]) -> list[Row]:
        """The results of each picture, as of each alone.

        Raises:
            ValueError: one of them cannot be used; which one is shown by each alone.
        """
        ...

    def on(self, device: str) -> Self:
        """The same work on another device."""
        ...


class _Movable:
    backbone: Backbone

    def on(self, device: str) -> Self:
        return replace(self, backbone=self.backbone.to(device))  # type: ignore[type-var]


@dataclass(frozen=True)
class Segmenting(_Movable):
    """Each picture on its own, as by `segment`: foreground, and the box round its largest part.

    Attributes:
        backbone: a loaded one.
        recipe: how its features are cut; by default the backbone's `foreground_recipe`.
        two_stage: as for `segment`, like the rest.
        refine: sharpen masks.
        size: what pictures are fitted to.
        random_state: seed of the starts.
        masks: whether masks and clusters are kept as PNG; without them what remains is localization.
    """

    backbone: Backbone
    recipe: Recipe | None = None
    two_stage: bool = False
    refine: bool = False
    size: Size | str = "default"
    random_state: int = 0
    masks: bool = True

    @property
    def columns(self) -> dict[str, pa.DataType]:
        return {**_CUT, **(_DRAWN if self.masks else {})}

    @property
    def _recipe(self) -> Recipe:
        return self.recipe or self.backbone.foreground_recipe

    def settings(self) -> Row:
        """See `Work`.

        Raises:
            ValueError: a setting is out of range, or the objective is a function, which no table can name.
        """
        if callable(self._recipe.objective):
            raise ValueError("on a cluster the objective must be one that has a name, not a function")
        self._recipe.estimator("cpu", self.random_state)
        return {
            **_common(self),
            "recipe": asdict(self._recipe),
            "two_stage": self.two_stage,
            "refine": self.refine,
            "random_state": self.random_state,
            "masks": self.masks,
        }

    def rows(self, pictures: Sequence[Image.Image]) -> list[Row]:
        found = cut(
            self.backbone.batch(pictures, size=self.size),
            recipe=self._recipe,
            two_stage=self.two_stage,
            refine_on=pictures if self.refine else None,
            random_state=self.random_state,
        )
        return [_row_of(segmentation, masks=self.masks) for segmentation in found]


@dataclass(frozen=True)
class Labelling(_Movable):
    """Trained networks, as by `TrainedDeepCut.segment`, and its parts if they know any.

    Attributes:
        trained: the networks.
        backbone: the one that they were fitted with, loaded.
        refine: sharpen masks.
    """

    trained: TrainedDeepCut
    backbone: Backbone
    refine: bool = False

    @property
    def columns(self) -> dict[str, pa.DataType]:
        return {**_CUT, **_DRAWN, **({"parts": pa.binary()} if self.trained.part_model else {})}

    @property
    def size(self) -> Size | str:
        return self.trained.size

    def settings(self) -> Row:
        """See `Work`.

        Raises:
            ValueError: the backbone is another one.
        """
        self.trained.checked(self.backbone)
        return {**_common(self), "trained": self.trained.fingerprint, "refine": self.refine}

    def rows(self, pictures: Sequence[Image.Image]) -> list[Row]:
        rows = []
        for picture, features in zip(pictures, self.backbone.batch(pictures, size=self.size), strict=True):
            found = self.trained.segment_features(features, refine_on=picture if self.refine else None)
            row = _row_of(found, masks=True)
            if self.trained.part_model:
                row["parts"] = _numbers(self.trained.parts_of(found).labels)
            rows.append(row)
        return rows


@dataclass(frozen=True)
class Describing(_Movable):
    """One vector for each picture, as by `picture_vector`.

    Attributes:
        backbone: a loaded one.
        size: what pictures are fitted to.
    """

    backbone: Backbone
    size: Size | str = PICTURE_SIZE

    columns: ClassVar[dict[str, pa.DataType]] = {"vector": pa.list_(_element(pa.float32()))}

    def settings(self) -> Row:
        return _common(self)

    def rows(self, pictures: Sequence[Image.Image]) -> list[Row]:
        vectors = [features.cls for features in self.backbone.batch(pictures, size=self.size, cls=True)]
        if any(vector is None for vector in vectors):
            raise ValueError(
                f"{self.backbone.name} has no vector for whole pictures; choose another backbone"
            )
        return [{"vector": vector.cpu().numpy()} for vector in vectors if vector is not None]


def _common(work: Work) -> Row:
    return {
        "work": type(work).__name__,
        "backbone": work.backbone.name,
        "weights": work.backbone.fingerprint,
        "stride": work.backbone.stride,
        "size": work.size,
        "version": __version__,
    }


def _row_of(found: Segmentation, *, masks: bool) -> Row:
    row = {
        "box": [int(side) for side in found.box],
        "n_clusters": found.n_clusters,
        "foreground_share": float(found.mask.mean()),
        "spread": found.spread,
        "message": found.message,
    }
    if masks:
        row |= {"mask": encoded(Image.fromarray(found.mask), ".png"), "labels": _numbers(found.labels)}
    return row


def _numbers(labels: np.ndarray) -> bytes:
    """h×w numbers of clusters as a grey PNG; there are fewer than 65,536."""
    return encoded(Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16)), ".png")
