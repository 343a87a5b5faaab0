"""The methods of the tables: each turns the features of a few pictures into masks and boxes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import (
    cls_foreground,
    deep_spectral,
    dff,
    edge_boxes,
    has_cls_attention,
    has_ximgproc,
    kmeans,
    lost,
    selective_search,
    tokencut,
)
from deepcut_lib.baselines.kmeans import KmeansRule
from deepcut_lib.evaluation.views import Fitting, View
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.foreground import background_clusters, foreground_box
from deepcut_lib.graphs import Graph
from deepcut_lib.metrics import Box
from deepcut_lib.recipe import Recipe
from deepcut_lib.refinement import bilateral_solver
from deepcut_lib.segmentation import cut


@dataclass(frozen=True)
class Setup:
    """What all methods of a run share: the backbone with its recipes, and a file for EdgeBoxes."""

    backbone: Backbone
    edge_model: Path | None = None

    @property
    def recipe(self) -> Recipe:
        """The backbone's, without a prior."""
        return self.backbone.recipe


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method makes of a view.

    Attributes:
        box: round the object.
        mask: bool, or soft in 0…1, unless the method only gives boxes.
        further: what else is worth a column.
    """

    box: Box
    mask: np.ndarray | None
    further: dict[str, float] = field(default_factory=dict)

    def on_whole(self, height: int, width: int) -> "Prediction":
        """The same on the whole picture: padding taken off, what was cropped away put back as background."""
        x1, y1, x2, y2 = self.box
        box = (min(x1, width - 1), min(y1, height - 1), min(x2, width), min(y2, height))
        if self.mask is None or self.mask.shape == (height, width):
            return replace(self, box=box)
        seen = self.mask[:height, :width]
        whole = np.zeros((height, width), seen.dtype)
        whole[: seen.shape[0], : seen.shape[1]] = seen
        return replace(self, box=box, mask=whole)


Run: TypeAlias = Callable[[Sequence[View], Setup, int], list[Prediction]]


@dataclass(frozen=True)
class Method:
    """A row of a table.

    Attributes:
        title: what tables call it.
        run: (views, setup, seed) → what it makes of each view.
        seeded: whether it depends on the seed; if not, one run is enough.
        boxes_in: how its publication fits pictures for localization.
        masks_in: the same for segmentation.
        masks: whether it gives masks, not boxes alone.
        paper_tables: whether it stands in the paper's tables: beside published settings those that we
            chose on the first half of DUTS-TE and on ``data/``, but none that were chosen on the horses.
        prior: whether it needs a foreground prior.
        attention: whether it needs CLS attention.
        opencv: whether it needs OpenCV's contributed modules (and no features).
        edge_model: whether it needs a file of structured edges.
    """

    title: str
    run: Run
    seeded: bool = False
    boxes_in: Fitting = "square"
    masks_in: Fitting = "square"
    masks: bool = True
    paper_tables: bool = True
    prior: bool = False
    attention: bool = False
    opencv: bool = False
    edge_model: bool = False


def obstacle(method: Method, setup: Setup) -> str | None:
    """Why a method cannot be run here, or None if it can."""
    backbone = setup.backbone
    if method.prior and backbone.prior is None:
        return f"{backbone.name} has no foreground prior"
    if method.attention and not has_cls_attention(backbone):
        return f"{backbone.name} has no CLS attention"
    if method.opencv and not has_ximgproc():
        return "OpenCV's contributed modules are not installed (opencv-contrib-python-headless)"
    if method.edge_model and setup.edge_model is None:
        return "it needs --edge-model, OpenCV's model.yml.gz of structured edges"
    return None


def _prepared(view: View, setup: Setup) -> PatchFeatures:
    """The features as DeepCut sees them by the backbone's recipe, so that all start from the same."""
    return replace(view.features, values=setup.recipe.prepare(view.features.values))


def _deepcut(*, refine: bool = False, prior: bool = False, **options: Any) -> Run:
    """DeepCut as `segment` does it, all views at once; with the prior, or by the backbone's plain recipe."""

    def run(views: Sequence[View], setup: Setup, seed: int) -> list[Prediction]:
        recipe = setup.backbone.foreground_recipe if prior else setup.recipe
        segmentations = cut(
            [view.features for view in views],
            recipe=recipe,
            refine_on=[view.picture for view in views] if refine else None,
            random_state=seed * recipe.n_init,  # so that no two seeds share a start
            **options,
        )
        with_shares = options.get("objective") == "cc"
        return [
            Prediction(
                segmentation.box, segmentation.mask, _negative_shares(view, setup) if with_shares else {}
            )
            for segmentation, view in zip(segmentations, views, strict=True)
        ]

    return run


def _negative_shares(view: View, setup: Setup) -> dict[str, float]:
    """The share of affinities that N-cut would throw away: what Table 4 explains CC's numbers by."""
    return {
        "negative": float(Graph(view.features.values).negative_share()),
        "negative_clustered": float(Graph(_prepared(view, setup).values).negative_share()),
    }


def _each(predict: Callable[[View, Setup, int], Prediction]) -> Run:
    """Let a method for one picture serve several."""

    def run(views: Sequence[View], setup: Setup, seed: int) -> list[Prediction]:
        return [predict(view, setup, seed) for view in views]

    return run


class _PatchResult(Protocol):
    """What most published methods give: h×w foreground patches, and a box by a rule of their own."""

    @property
    def foreground(self) -> np.ndarray: ...
    @property
    def box(self) -> Box: ...


def _patchwise(find: Callable[[View, Setup], _PatchResult]) -> Run:
    """A method without random numbers, enlarged as it was published: each pixel copies its nearest patch."""

    def predict(view: View, setup: Setup, seed: int) -> Prediction:
        result = find(view, setup)
        return Prediction(result.box, upsample(result.foreground, view.features))

    return _each(predict)


def _smooth(find: Callable[[View, Setup, int], np.ndarray]) -> Run:
    """A method that gives h×w foreground patches, enlarged and boxed as DeepCut's."""

    def predict(view: View, setup: Setup, seed: int) -> Prediction:
        foreground = find(view, setup, seed) > 0.5
        mask = upsample(foreground, view.features, smooth=True) > 0.5
        return Prediction(foreground_box(foreground, view.features.image_size), mask)

    return _each(predict)


def _refined(run: Run) -> Run:
    """A method's masks by the bilateral solver, with TokenCut's settings."""

    def refine(view: View, setup: Setup, seed: int) -> Prediction:
        (coarse,) = run([view], setup, seed)
        assert coarse.mask is not None
        soft = bilateral_solver(view.picture, coarse.mask, sigma_xy=16, sigma_luma=16, sigma_chroma=8)
        return Prediction(foreground_box(soft > 0.5, view.features.image_size), soft)

    return _each(refine)


_tokencut = _patchwise(lambda view, setup: tokencut(_prepared(view, setup)))


def _deep_spectral(colour_weight: float) -> Run:
    return _patchwise(
        lambda view, setup: deep_spectral(
            _prepared(view, setup), view.picture, colour_weight=colour_weight, count=2
        )
    )


def _cls_foreground(view: View, setup: Setup) -> _PatchResult:
    assert view.attention is not None
    return cls_foreground(view.attention, view.features)


def _solved(find: Callable[[View, Setup, int], np.ndarray], *, prior: bool = False) -> Run:
    """A method that gives h×w probabilities of foreground, refined as DeepCut's with a prior or without."""

    def predict(view: View, setup: Setup, seed: int) -> Prediction:
        recipe = setup.backbone.foreground_recipe if prior else setup.recipe
        soft = upsample(find(view, setup, seed), view.features, smooth=True)
        mask = recipe.sharpen(view.picture, soft)
        return Prediction(foreground_box(mask, view.features.image_size), mask)

    return _each(predict)


def _kmeans_foreground(k: int, rule: KmeansRule = "border") -> Callable[[View, Setup, int], np.ndarray]:
    def find(view: View, setup: Setup, seed: int) -> np.ndarray:
        return kmeans(_prepared(view, setup), k, rule=rule, random_state=seed).astype(np.float32)

    return find


def _kmeans(k: int, rule: KmeansRule = "border") -> Run:
    return _smooth(_kmeans_foreground(k, rule))


def _prior(view: View, setup: Setup, seed: int) -> np.ndarray:
    assert view.features.prior is not None
    return view.features.to_map(view.features.prior)


def _prior_cut(view: View, setup: Setup, seed: int) -> np.ndarray:
    return _prior(view, setup, seed) > 0.5


def _dff(k: int) -> Run:
    def find(view: View, setup: Setup, seed: int) -> np.ndarray:
        labels = dff([_prepared(view, setup)], k, random_state=seed).labels[0]
        return ~background_clusters(labels)[labels]

    return _smooth(find)


def _edge_boxes(view: View, setup: Setup, seed: int) -> Prediction:
    assert setup.edge_model is not None
    return Prediction(edge_boxes(view.picture, setup.edge_model), None)


def _middle(view: View, setup: Setup, seed: int) -> Prediction:
    height, width = view.features.image_size
    box = (width // 4, height // 4, width - width // 4, height - height // 4)
    mask = np.zeros((height, width), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return Prediction(box, mask)


SOFT: dict[str, Any] = {"objective": "soft_ncut", "epochs": 30, "learning_rate": 2e-2}
"""The soft N-cut's settings where no prior goes with it; four starts and centred features as the recipe's."""

METHODS = {
    "ncut": Method("DeepCut, N-cut", _deepcut(), seeded=True),
    "ncut_solver": Method("DeepCut, N-cut, bilateral solver", _deepcut(refine=True), seeded=True),
    "ncut_two_stage": Method("DeepCut, N-cut, two-stage", _deepcut(two_stage=True), seeded=True),
    "cc": Method("DeepCut, CC", _deepcut(objective="cc"), seeded=True),
    # for effnet_lite0's centred features, found on every fourth of the horses and of the pictures in data/
    "cc_alpha6": Method(
        "DeepCut, CC, α = 6 (chosen on a quarter of the pictures)",
        _deepcut(objective="cc", alpha=6.0),
        seeded=True,
        paper_tables=False,
    ),
    "cc_solver": Method("DeepCut, CC, bilateral solver", _deepcut(objective="cc", refine=True), seeded=True),
    "tokencut": Method("TokenCut", _tokencut, boxes_in="padded", masks_in="nearest"),
    "tokencut_solver": Method(
        "TokenCut, bilateral solver", _refined(_tokencut), boxes_in="padded", masks_in="nearest"
    ),
    "deep_spectral": Method("Deep Spectral", _deep_spectral(0.0), boxes_in="cropped", masks_in="cropped"),
    "deep_spectral_colour": Method(
        "Deep Spectral, colour term", _deep_spectral(10.0), boxes_in="cropped", masks_in="cropped"
    ),
    "lost": Method(
        "LOST",
        _patchwise(lambda view, setup: lost(_prepared(view, setup))),
        boxes_in="padded",
        masks_in="padded",
    ),
    "dino_cls": Method(
        "DINO-[CLS]", _patchwise(_cls_foreground), boxes_in="padded", masks_in="padded", attention=True
    ),
    "prior_ncut": Method(
        "DeepCut, soft N-cut and prior",
        _deepcut(prior=True),
        seeded=True,
        prior=True,
    ),
    "prior_ncut_solver": Method(
        "DeepCut, soft N-cut and prior, bilateral solver",
        _deepcut(prior=True, refine=True),
        seeded=True,
        prior=True,
    ),
    "prior_alone": Method("the prior alone", _smooth(_prior_cut), prior=True),
    "prior_alone_solver": Method(
        "the prior alone, bilateral solver", _solved(_prior, prior=True), prior=True
    ),
    "kmeans8_prior": Method(
        "k-means, k=8, union rule and prior",
        _kmeans(8, "union and prior"),
        seeded=True,
        prior=True,
    ),
    "kmeans8_prior_solver": Method(
        "k-means, k=8, union rule and prior, bilateral solver",
        _solved(_kmeans_foreground(8, "union and prior"), prior=True),
        seeded=True,
        prior=True,
    ),
    "soft_ncut4_union": Method(
        "DeepCut, soft N-cut, K=4, union rule",
        _deepcut(n_clusters=4, rule="union", **SOFT),
        seeded=True,
    ),
    "soft_ncut4_union_solver": Method(
        "DeepCut, soft N-cut, K=4, union rule, bilateral solver",
        _deepcut(n_clusters=4, rule="union", refine=True, **SOFT),
        seeded=True,
    ),
    "ncut4_union": Method(
        "DeepCut, N-cut, K=4, union rule",
        _deepcut(n_clusters=4, rule="union"),
        seeded=True,
    ),
    "ncut4_union_solver": Method(
        "DeepCut, N-cut, K=4, union rule, bilateral solver",
        _deepcut(n_clusters=4, rule="union", refine=True),
        seeded=True,
    ),
    "kmeans4_union": Method("k-means, k=4, union rule", _kmeans(4, "union"), seeded=True),
    "kmeans4_union_solver": Method(
        "k-means, k=4, union rule, bilateral solver",
        _solved(_kmeans_foreground(4, "union")),
        seeded=True,
    ),
    "kmeans2": Method("k-means, k=2", _kmeans(2), seeded=True),
    "kmeans3": Method("k-means, k=3", _kmeans(3), seeded=True),
    "kmeans3_solver": Method("k-means, k=3, bilateral solver", _solved(_kmeans_foreground(3)), seeded=True),
    "dff2": Method("DFF, k=2", _dff(2), seeded=True),
    "dff3": Method("DFF, k=3", _dff(3), seeded=True),
    "selective_search": Method(
        "Selective Search",
        _each(lambda view, setup, seed: Prediction(selective_search(view.picture), None)),
        seeded=True,
        masks=False,
        opencv=True,
    ),
    "edge_boxes": Method("EdgeBoxes", _each(_edge_boxes), masks=False, opencv=True, edge_model=True),
    "middle_box": Method("the middle box, half of each side", _each(_middle)),
}
"""Everything that finds the foreground of one picture, by name; tables list them in this order. A rival is
registered by its row here, and nowhere else."""
