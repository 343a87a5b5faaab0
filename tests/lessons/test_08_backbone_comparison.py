"""Lesson 8: its definitions against the library's, its figures, its explorer, and what its checks say."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backend_bases import MouseEvent
from PIL import Image
from scipy.stats import pearsonr, permutation_test, rankdata, spearmanr
from torch import Tensor, nn
from torch.nn import functional

from deepcut_lib import load_backbone, losses
from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.backbone import Extracted
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.images import load_image
from deepcut_lib.lessons.backbone_comparison import checks
from deepcut_lib.lessons.backbone_comparison.explorer import explore_backbones, prepared
from deepcut_lib.lessons.backbone_comparison.figures import (
    BackboneOutcome,
    Curve,
    clusters_figure,
    dose_figure,
    outcomes_figure,
    shares_figure,
    trainings_figure,
    two_backbones,
)
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.figures import patch_at
from deepcut_lib.masks import read_mask
from deepcut_lib.metrics import box_of, mask_iou
from deepcut_lib.recipe import CENTRED_RECIPE
from deepcut_lib.segmentation import Segmentation, segment
from tests.conftest import DATA
from tests.lessons.definitions import definitions, pixels, same_picture

SIDE = 10
INFINITE = float("inf")


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    return torch.randn(12, 5, generator=generator) + 0.5


@pytest.fixture(scope="module")
def lesson() -> SimpleNamespace:
    return SimpleNamespace(**definitions("08_backbone_comparison"))


# The notebook's functions


def test_negative_shares_are_the_librarys(lesson: SimpleNamespace, features: Tensor) -> None:
    expected = float(Graph(features).negative_share())
    assert 0.1 < expected < 0.5
    assert lesson.negative_share(features) == pytest.approx(expected)
    assert lesson.negative_share_by_loops(features) == pytest.approx(expected)
    for alpha in (0.5, 1.5, 4.0):
        shifted = float(cc_graph(features, alpha).negative_share())
        assert lesson.negative_share(features, alpha) == pytest.approx(shifted)


def test_losses_of_partitions_are_the_librarys(lesson: SimpleNamespace, features: Tensor) -> None:
    graph = cc_graph(features[:5], 2.0)
    groups = [0, 1, 0, 2, 1]
    expected = losses.cc_loss(graph, functional.one_hot(torch.tensor(groups)).float())
    torch.testing.assert_close(lesson.cc_loss(graph.affinity, groups), expected)
    assert lesson.cc_by_loops(graph.affinity, groups) == pytest.approx(float(expected), rel=1e-5)


def test_partitions_are_all_and_each_once(lesson: SimpleNamespace) -> None:
    for n, bell in enumerate((1, 1, 2, 5, 15, 52)):
        found = lesson.partitions(n)
        assert len(found) == len({tuple(one) for one in found}) == bell


def test_without_repulsion_one_cluster_is_best(lesson: SimpleNamespace, features: Tensor) -> None:
    W = features[:5].abs() @ features[:5].abs().T
    best = min(lesson.partitions(5), key=lambda groups: lesson.cc_by_loops(W, groups))
    assert best == [0] * 5


def test_features_are_prepared_as_the_explorer_does(lesson: SimpleNamespace, features: Tensor) -> None:
    whole = PatchFeatures(features, (3, 4), None, (30, 40), "random")
    for centred in (False, True):
        torch.testing.assert_close(lesson.prepare(features, centred), prepared(whole, centred=centred).values)
    torch.testing.assert_close(lesson.prepare(features, True), normalize(features))
    share = Graph(prepared(whole, centred=False).values).negative_share()
    assert share == Graph(features).negative_share()  # lengths change no sign


def test_levels_are_one_block_of_the_default_backbone(lesson: SimpleNamespace) -> None:
    level = lesson.level(1)
    whole = load_backbone("effnet_lite0")
    batch = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    values = level.extract(batch)
    assert (level.name, values.shape) == ("block 1", (1, 16, 24))
    assert not torch.allclose(values, lesson.level(0).extract(batch)[..., :1])
    torch.testing.assert_close(level._mean, whole._mean)
    torch.testing.assert_close(level._std, whole._std)
    few, many = lesson.parameters(lesson.level(0)), lesson.parameters(whole)
    assert 0 < few < lesson.parameters(level) < many < sum(p.numel() for p in whole.extractor.parameters())


def test_rank_correlations_are_scipys(lesson: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=30)
    x, y = fixed + rng.normal(size=30), fixed + 0.3 * rng.normal(size=30)
    assert lesson.rho(x, y) == spearmanr(x, y).statistic
    left = [
        rankdata(one) - np.polyval(np.polyfit(rankdata(fixed), rankdata(one), 1), rankdata(fixed))
        for one in (x, y)
    ]
    assert lesson.partial_rho(x, y, fixed) == pytest.approx(pearsonr(*left).statistic)
    assert abs(lesson.partial_rho(x, y, fixed)) < 0.7 * lesson.rho(x, y)
    assert np.isfinite(lesson.partial_rho(x, y, x))


def test_chance_is_that_of_a_permutation_test(lesson: SimpleNamespace) -> None:
    assert lesson.chance(np.arange(3.0), np.arange(3.0)) == pytest.approx(2 / 6)
    assert lesson.chance(np.arange(5.0), np.arange(5.0)[::-1]) == pytest.approx(2 / 120)
    x, y = np.array([1, 5, 2, 8, 3.0]), np.array([2, 4, 1, 3, 5.0])
    exact = permutation_test(
        (x,), lambda one: spearmanr(one, y).statistic, permutation_type="pairings", n_resamples=10**4
    )
    assert lesson.chance(x, y) == pytest.approx(exact.pvalue)


def test_means_are_over_the_chosen_pictures(lesson: SimpleNamespace) -> None:
    outcomes = [outcome("one", False), outcome("two", False, 0.1)]
    share, ncut, cc = lesson.means(outcomes, "negative", "mask")
    assert (*share, *ncut, *cc) == pytest.approx((0.2, 0.2, 0.4, 0.4, 0.4, 0.3))
    first = lesson.means(outcomes, "shifted", "box", np.array([0, 0]))
    assert np.concatenate(first) == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.2, 0.3])


def test_a_thinned_ncut_is_that_of_the_affinities_left(lesson: SimpleNamespace, features: Tensor) -> None:
    S = torch.rand(12, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    graph = ncut_graph(features)
    plain = lesson.thinned(1e9)(graph, S)
    torch.testing.assert_close(plain, losses.ncut_loss(graph, S))
    W = (features @ features.T - (features @ features.T).max() / 3).clamp(min=0)
    ratio = torch.trace(S.T @ W @ S) / torch.trace(S.T @ torch.diag(W.sum(1)) @ S)
    gram = S.T @ S
    apart = torch.linalg.norm(gram / torch.linalg.norm(gram) - torch.eye(3) / 3**0.5)
    torch.testing.assert_close(lesson.thinned(3)(graph, S), apart - ratio)


# Figures


def outcome(name: str, centred: bool, shift: float = 0.0) -> BackboneOutcome:
    row = np.linspace(0.2, 0.6, 4)
    return BackboneOutcome(name, centred, row / 2, row, row * 10, row, row + shift, row, row - shift)


def test_outcomes_are_drawn_at_their_means() -> None:
    outcomes = [outcome(name, centred, 0.1) for name in ("one", "two") for centred in (False, True)]
    figure = outcomes_figure(outcomes, measure="mask", floor=0.3)
    shares, plain, centred = figure.axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["one", "two"]
    for axes in (plain, centred):
        drawn = {round(float(x), 6) for line in axes.lines for x in line.get_xdata()}
        assert drawn == {0.4, 0.3}


def test_each_share_is_drawn_against_both_losses_and_their_difference() -> None:
    outcomes = [outcome("one", False, 0.1), outcome("two", False), outcome("three", False, 0.2)]
    theirs = {"theirs": (0.336, 0.594, 0.598)}
    figure = shares_figure(outcomes, lambda name: name, theirs)
    pixels(figure)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["CC", "N-cut", "CC minus N-cut"] * 2
    assert "+0.00" in titles[0]  # a share that is the same for all tells nothing
    for axes, star in zip(figure.axes, (0.598, 0.594, 0.004) * 2, strict=True):
        drawn = [(round(float(x), 3), round(float(y), 3)) for x, y in ends(axes, "*")]
        assert drawn == [(0.336, round(star, 3))]
    boxes = {round(float(y), 3) for _, y in ends(figure.axes[0], "o")}
    assert boxes == {0.5}  # the first backbone's, in the first group's marker
    (gap,) = {round(float(y), 3) for _, y in ends(figure.axes[5], "o")}
    assert gap == 0.1
    masks = shares_figure(outcomes, lambda name: name, theirs, measure="mask", figure=figure)
    assert not any(ends(axes, "*") for axes in masks.axes)  # Table 4 has no masks
    assert {round(float(y), 3) for _, y in ends(masks.axes[0], "o")} == {0.3}


def ends(axes: Axes, marker: str) -> list[tuple[Any, Any]]:
    return [
        (line.get_xdata()[0], line.get_ydata()[0])  # type: ignore[index]
        for line in axes.lines
        if line.get_marker() == marker
    ]


def test_trainings_say_what_goes_in_and_what_is_compared() -> None:
    picture = Image.new("RGB", (320, 240), (20, 180, 40))
    figure = trainings_figure(picture, [Image.new("RGB", (90, 60)), Image.new("RGB", (60, 90))])
    pixels(figure)
    columns = {axes.get_label(): axes for axes in figure.axes}
    assert list(columns) == ["DINO", "MoCo v3", "MAE"]
    assert [len(axes.child_axes) for axes in columns.values()] == [2, 4, 2]
    for axes, words in zip(columns.values(), ("distribution", "own picture", "pixels"), strict=True):
        assert any(words in text.get_text() for text in axes.texts)
    hidden, whole = (np.asarray(inset.images[0].get_array()) for inset in columns["MAE"].child_axes)
    assert (hidden != whole).any(-1).mean() == 0.75
    assert (whole == (20, 180, 40)).all()


def test_dose_curves_name_their_alphas() -> None:
    curve = Curve("not centred", (30, 10, 3), (0.02, 0.04, 0.5), (0.0, 0.1, 0.6), 0.5)
    figure = dose_figure({"mask": [curve], "box": [curve]}, floors={"box": 0.4})
    pixels(figure)
    mask, box = figure.axes
    assert [text.get_text() for text in mask.texts] == ["30", "10", "3"]
    assert [text.xyann[1] > 0 for text in mask.texts] == [True, False, True]  # the crowded one below
    assert len(box.lines) == len(mask.lines) + 1  # the floor


@pytest.fixture(scope="module")
def found() -> Segmentation:
    backbone = load_backbone("pixels", device="cpu")
    return segment(DATA / "images/bird_01.jpg", backbone=backbone, recipe=backbone.recipe, size=SIDE * 16)


def test_clusters_are_coloured_from_the_largest(found: Segmentation) -> None:
    renamed = Segmentation(**{**vars(found), "labels": 7 - found.labels, "background": np.ones(8, bool)})
    picture = load_image(DATA / "images/bird_01.jpg")
    first, second = (clusters_figure({"one": {"picture": picture, "cut": one}}) for one in (found, renamed))
    assert same_picture(first, second)
    assert first.axes[1].get_xlabel() == f"{found.n_clusters} clusters"


def test_scores_and_shares_stand_above_each_half(found: Segmentation) -> None:
    picture = load_image(DATA / "images/bird_01.jpg")
    truth = np.asarray(Image.open(DATA / "masks/bird_01.png")) > 127
    box = box_of(read_mask(DATA / "masks/bird_01.png"))
    figure = two_backbones(picture, [found, found], (0.5, 0.5), truth=truth, true_box=box, alpha=3.0)
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("pixels") == 2
    assert sum(f"mask IoU {mask_iou(found.mask, truth):.2f}" in text for text in texts) == 2
    shifted = float(cc_graph(found.features.values, 3.0).negative_share())
    assert sum(f"after Eq. 7 {shifted:.0%}" in text for text in texts) == 2
    bare = [text.get_text() for text in two_backbones(picture, [found, found], (0.5, 0.5)).texts]
    assert bare.count("no mask to compare with") == 2
    assert not any("Eq. 7" in text for text in bare)


# Explorer


@pytest.fixture(scope="module")
def two() -> dict[str, Backbone]:
    return {name: load_backbone(name, device="cpu") for name in ("pixels", "tiny_vit")}


@pytest.fixture(scope="module")
def explorer(two: dict[str, Backbone]) -> Explorer:
    return explore_backbones(two, DATA, side=SIDE)


def expected(
    two: dict[str, Backbone],
    picture: str,
    place: tuple[float, float],
    *,
    alpha: float | None = None,
    **cut: Any,
) -> Any:
    path = DATA / "images" / f"{picture}.jpg"
    mask = DATA / "masks" / f"{picture}.png"
    options: dict[str, Any] = {"learning_rate": 5e-3, "n_init": 4, "centred": True, **cut}
    if alpha is not None:
        options["alpha"] = alpha
    results = [
        segment(path, backbone=one, recipe=one.recipe, size=SIDE * one.patch_size, **options)
        for one in two.values()
    ]
    ready = [
        Segmentation(**{**vars(one), "features": prepared(one.features, centred=options["centred"])})
        for one in results
    ]
    known = mask.exists()
    return two_backbones(
        load_image(path),
        ready,
        place,
        truth=np.asarray(Image.open(mask)) > 127 if known else None,
        true_box=box_of(read_mask(mask)) if known else None,
        alpha=alpha,
    )


def test_the_explorer_shows_the_functions_figure(explorer: Explorer, two: dict[str, Backbone]) -> None:
    assert (CENTRED_RECIPE.learning_rate, CENTRED_RECIPE.n_init) == (5e-3, 4)
    explorer.set(picture="bird_01", objective="ncut", n_clusters=3, down=50, across=50)
    assert same_picture(explorer.figure, expected(two, "bird_01", (0.5, 0.5), n_clusters=3))
    explorer.controls["n_clusters"].value = 4
    assert same_picture(explorer.figure, expected(two, "bird_01", (0.5, 0.5), n_clusters=4))
    explorer.set(picture="photo_cat", objective="cc", alpha=2.0, down=20)
    assert same_picture(explorer.figure, expected(two, "photo_cat", (0.2, 0.5), alpha=2.0, objective="cc"))
    explorer.controls["centred"].value = False
    plain = segment(
        DATA / "images/photo_cat.jpg", backbone=two["pixels"], recipe=CENTRED_RECIPE, size=SIDE * 16
    )
    share = float(Graph(prepared(plain.features, centred=False).values).negative_share())
    assert any(f"negative affinities: {share:.0%}" in text.get_text() for text in explorer.figure.texts)
    explorer.controls["centred"].value = True


def test_the_loss_decides_which_of_k_and_alpha_counts(explorer: Explorer) -> None:
    explorer.set(picture="bird_01", objective="ncut", down=50, across=50)
    assert explorer.controls["alpha"].disabled and not explorer.controls["n_clusters"].disabled
    explorer.controls["objective"].value = "cc"
    assert explorer.controls["n_clusters"].disabled and not explorer.controls["alpha"].disabled
    explorer.controls["objective"].value = "ncut"


def test_a_click_in_either_half_moves_the_patch_in_both(explorer: Explorer) -> None:
    explorer.set(picture="bird_01", objective="ncut", down=50, across=50)
    size = load_image(DATA / "images/bird_01.jpg").size
    grid = PatchFeatures(torch.zeros(SIDE**2, 1), (SIDE, SIDE), None, size[::-1], "grid")

    def click(panel: int, down: float, across: float) -> tuple[int, int]:
        axes = explorer.figure.axes[panel]
        axes.apply_aspect()
        at = axes.transData.transform((across * size[0], down * size[1]))
        canvas = explorer.figure.canvas
        canvas.callbacks.process(
            "button_press_event", MouseEvent("button_press_event", canvas, *at, button=1)
        )
        values = explorer.values
        return patch_at(grid, (values["down"] / 100, values["across"] / 100))

    for panel, down, across in ((0, 0.07, 0.93), (3, 0.62, 0.31), (6, 0.99, 0.0)):
        assert click(panel, down, across) == patch_at(grid, (down, across))
    before = explorer.values
    bar = explorer.figure.axes[8]
    assert dict(explorer._click(bar, 0.0, 0.5)) == {}  # type: ignore[misc]
    assert explorer.values == before


def test_a_place_outside_is_named(explorer: Explorer) -> None:
    explorer.set(down=120)
    assert "outside the picture" in explorer.message
    explorer.set(down=50)
    assert explorer.message == ""


# Checks


def says(check: Callable[[Any], Any], answer: Any, words: str) -> None:
    verdict = check(answer)
    assert not verdict
    assert words in verdict.message, verdict


def test_first_repulsion() -> None:
    right = (1 / 0.6, 2.5, 5.0, 10.0)
    for answer in (right, np.array(right), [1.67, 2.5, 5, 10]):
        assert checks.check_first_repulsion(answer)
    says(checks.check_first_repulsion, (0.6, 0.4, 0.2, 0.1), "cosines")
    says(checks.check_first_repulsion, (1.67, 2.5, 5, 2.5), "D is no B")
    says(checks.check_first_repulsion, (1.67, 2.5, 5, 5), "squared")
    says(checks.check_first_repulsion, (1.67, 2.5), "shape")
    says(checks.check_first_repulsion, ..., "missing")


def tiles(F: Tensor, alpha: float, rows: int) -> Any:
    shift = F.square().sum(1).max() / alpha
    return sum(int((tile @ F.T < shift).sum()) for tile in F.split(rows)) / len(F) ** 2


def shift_of(F: Tensor, alpha: float) -> Any:
    return F.square().sum(1).max() / alpha


def test_share_in_tiles() -> None:
    assert checks.check_share_in_tiles(tiles)
    assert checks.check_share_in_tiles(lambda *given: torch.tensor(tiles(*given)))
    wrong: dict[str, Callable[[Tensor, float, int], Any]] = {
        "numbers for n": lambda F, alpha, rows: (shift_of(F, alpha) > F @ F.T).float().mean(),
        "last tile": lambda F, alpha, rows: torch.stack(
            [(tile @ F.T < shift_of(F, alpha)).float().mean() for tile in F.split(rows)]
        ).mean(),
        "not negative": lambda F, alpha, rows: (
            sum(int((tile @ F.T <= shift_of(F, alpha)).sum()) for tile in F.split(rows)) / len(F) ** 2
        ),
        "counts the diagonal": lambda F, alpha, rows: (
            tiles(F, alpha, rows) * len(F) ** 2 / max(len(F) ** 2 - len(F), 1)
        ),
        "Eq. 7 is missing": lambda F, alpha, rows: tiles(F, INFINITE, rows),
        "ZeroDivisionError": lambda F, alpha, rows: 1 / 0,
    }
    for words, function in wrong.items():
        says(checks.check_share_in_tiles, function, words)


def ranks(values: np.ndarray) -> np.ndarray:
    smaller, equal = (values[:, None] > values).sum(1), (values[:, None] == values).sum(1)
    return smaller + (equal + 1) / 2


def by_ranks(x: np.ndarray, y: np.ndarray) -> float:
    r, s = (ranks(one) - (len(one) + 1) / 2 for one in (x, y))
    spread = np.sqrt((r**2).sum() * (s**2).sum())
    return float((r * s).sum() / spread) if spread > 0 else 0.0


def test_spearman() -> None:
    assert checks.check_spearman(by_ranks)
    assert checks.check_spearman(lambda x, y: torch.tensor(by_ranks(x, y)))

    def pearson(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.corrcoef(x, y)[0, 1])

    wrong: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
        "the values themselves": pearson,
        "*where*": lambda x, y: pearson(x.argsort(), y.argsort()),
        "share a rank": lambda x, y: pearson(x.argsort().argsort(), y.argsort().argsort()),
        "constant": lambda x, y: by_ranks(x, y) if np.ptp(x) else float("nan"),
        "expected": lambda x, y: -by_ranks(x, y),
    }
    for words, function in wrong.items():
        says(checks.check_spearman, function, words)
    assert spearmanr((33.6, 20.0, 5.4), (0.4, -19.2, -16.0)).statistic == pytest.approx(0.5)


def bisect(F: Tensor, share: float) -> float:
    if float(Graph(F).negative_share()) >= share:
        return INFINITE
    low, high = 1e-3, 1e4
    while high > 1.005 * low:
        middle = (low * high) ** 0.5
        reached = float(cc_graph(F, middle).negative_share()) >= share
        low, high = (middle, high) if reached else (low, middle)
    return low


def test_alpha_for_share() -> None:
    assert checks.check_alpha_for_share(bisect)
    assert checks.check_alpha_for_share(lambda F, share: torch.tensor(bisect(F, share)))

    def by_quantile(F: Tensor, share: float) -> float:
        shift = torch.quantile((F @ F.T).flatten(), share)
        return float(F.square().sum(1).max() / shift) if shift > 0 else INFINITE

    assert checks.check_alpha_for_share(by_quantile)
    wrong: dict[str, Callable[[Tensor, float], Any]] = {
        "a smaller α": lambda F, share: bisect(F, share) * 1.1,
        "a larger α": lambda F, share: bisect(F, share) * 0.9,
        "float('inf')": lambda F, share: min(bisect(F, share), 1e6),
        "some α above 0": lambda F, share: INFINITE,
        "as a number": lambda F, share: F,
        "NaN": lambda F, share: float("nan"),
        "missing": lambda F, share: ...,
    }
    for words, function in wrong.items():
        says(checks.check_alpha_for_share, function, words)


class ColourAndPlace(nn.Module):
    """What exercise 8.5 asks for, with a place for each of the mistakes that its check knows."""

    patch_size = stride = 16
    transposed = swapped = always_cls = mixed = False

    def forward(self, batch: Tensor, *, cls: bool) -> Any:
        colours = functional.avg_pool2d(batch, 16)
        if self.mixed:
            colours = colours - colours.mean(0)
        h, w = colours.shape[2:]
        down, across = ((2 * torch.arange(cells) + 1) / cells - 1 for cells in (h, w))
        places = torch.stack(torch.meshgrid(down, across, indexing="ij"))
        if self.swapped:
            places = places.flip(0)
        values = torch.cat([colours, places.expand(len(batch), -1, -1, -1)], dim=1)
        if self.transposed:
            values = values.mT
        values = values.flatten(2).mT
        return Extracted(values, values.mean(1) if cls or self.always_cls else None)


def variant(**changes: Any) -> type[nn.Module]:
    return type("Variant", (ColourAndPlace,), changes)


def test_colour_and_place() -> None:
    assert checks.check_colour_and_place(ColourAndPlace)
    says(checks.check_colour_and_place, ColourAndPlace(), "class itself")
    says(checks.check_colour_and_place, variant(stride=8), "stride")
    says(checks.check_colour_and_place, variant(transposed=True), "column by column")
    says(checks.check_colour_and_place, variant(swapped=True), "Down comes before across")
    says(checks.check_colour_and_place, variant(always_cls=True), "nobody asked")
    says(checks.check_colour_and_place, variant(mixed=True), "colour")
    says(checks.check_colour_and_place, variant(forward=lambda self, batch, *, cls: batch), "Extracted")
    says(checks.check_colour_and_place, nn.Identity, "patch_size")
    says(checks.check_colour_and_place, variant(patch_size=np.zeros(3)), "both are 16")

    def only(shape: int, then: Any) -> type[nn.Module]:
        """Right for batches of one length, and `then` for all others."""

        def forward(self: ColourAndPlace, batch: Tensor, *, cls: bool) -> Any:
            right = ColourAndPlace.forward(self, batch, cls=cls)
            return right if len(batch) == shape else then

        return variant(forward=forward)

    says(checks.check_colour_and_place, only(2, "text"), "Extracted")
    says(checks.check_colour_and_place, only(2, Extracted(torch.zeros(3), None)), "second picture alone")
    says(checks.check_colour_and_place, only(3, Extracted(None, None)), "values")  # type: ignore[arg-type]


ODD: list[Any] = [
    None,
    ...,
    "text",
    b"",
    True,
    1j,
    [],
    {},
    [[1], [1, 2]],
    [None] * 4,
    np.array([]),
    np.full(4, np.nan),
    torch.zeros(2, 2),
    torch.full((4,), float("inf")),
    float("nan"),
    object(),
    int,
    nn.Linear,
    Extracted(torch.zeros(1), None),
]


@pytest.mark.parametrize(
    "check",
    [
        checks.check_first_repulsion,
        checks.check_share_in_tiles,
        checks.check_spearman,
        checks.check_alpha_for_share,
        checks.check_colour_and_place,
    ],
)
def test_whatever_is_given_ends_in_a_verdict(check: Callable[[Any], Any]) -> None:
    def fails(*_given: Any) -> Any:
        raise RuntimeError("so it is")

    for odd in ODD:

        def gives(*_given: Any, odd: Any = odd) -> Any:
            return odd

        for answer in (odd, gives, variant(forward=lambda self, batch, *, cls, odd=odd: odd)):
            verdict = check(answer)
            assert not verdict and len(verdict.message) > 20, answer
    assert not check(fails)
    assert not check(variant(forward=lambda self, batch, *, cls: 1 / 0))
