"""Parts that mean the same in every picture; one network for many pictures, kept in a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from deepcut_lib import DeepCut
from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.baselines import spectral
from deepcut_lib.errors import CheckpointError, ImageError
from deepcut_lib.features import PatchFeatures
from deepcut_lib.foreground import best_union
from deepcut_lib.graphs import ncut_graph
from deepcut_lib.metrics import mask_iou
from deepcut_lib.parts import (
    MODES,
    Parts,
    find_parts,
    foreground_rows,
    label_agreement,
    segment_parts,
    to_parts,
)
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.recipe import CENTRED_RECIPE, PRIOR_RECIPE
from deepcut_lib.segmentation import segment
from deepcut_lib.trained import TrainedDeepCut, train_on_features, train_once
from tests.conftest import DATA, patch_features

GRID = (12, 12)


def animal(seed: int, colour: float) -> tuple[PatchFeatures, np.ndarray]:
    """A made-up picture: background, and an object with head, body and legs; true parts 0…3.

    What the parts share from picture to picture are three directions; each picture adds one of its own.
    """
    generator = torch.Generator().manual_seed(seed)
    truth = np.zeros(GRID, int)
    top, left = seed % 3, seed % 4
    truth[top + 1 : top + 3, left + 1 : left + 4] = 1
    truth[top + 3 : top + 7, left + 1 : left + 7] = 2
    truth[top + 7 : top + 9, left + 1 : left + 7] = 3
    directions = 3 * torch.eye(4, 20)
    values = directions[torch.from_numpy(truth.ravel())] + 0.3 * torch.randn(144, 20, generator=generator)
    values[:, 19] += colour
    return PatchFeatures(values, GRID, None, (60, 60), "made by hand"), truth


@pytest.fixture
def animals() -> tuple[list[PatchFeatures], list[np.ndarray]]:
    made = [animal(seed, colour) for seed, colour in enumerate((0.0, 2.0, -2.0, 4.0, 1.0))]
    return [features for features, _ in made], [truth for _, truth in made]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("pixels")


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_mean_the_same_in_every_picture(
    animals: tuple[list[PatchFeatures], list[np.ndarray]], seed: int
) -> None:
    features, truths = animals
    found = find_parts(features, [truth > 0 for truth in truths], 3, random_state=seed)
    inside = [truth > 0 for truth in truths]
    assert all(np.array_equal(one.labels > 0, where) for one, where in zip(found, inside, strict=True))
    pooled, true = (
        np.concatenate([x[where] for x, where in zip(maps, inside, strict=True)])
        for maps in ([one.labels for one in found], truths)
    )
    assert adjusted_rand_score(true, pooled) > 0.95
    assert label_agreement(found).as_named > 0.98
    assert found[0].pixels.shape == (60, 60)
    assert found[0].n_parts == 3


def test_one_network_from_picture_to_picture_keeps_its_labels(
    animals: tuple[list[PatchFeatures], list[np.ndarray]],
) -> None:
    features, truths = animals
    found = find_parts(features, [truth > 0 for truth in truths], 3, mode="sequential")
    agreement = label_agreement(found)
    assert agreement.as_named > 0.9
    assert agreement.renamed >= agreement.as_named
    # the first picture is cut as it is alone
    alone = find_parts(features[:1], [truths[0] > 0], 3, mode="shared start")
    assert np.array_equal(found[0].labels, alone[0].labels)


def test_each_mode_gives_parts_and_the_same_each_time(
    animals: tuple[list[PatchFeatures], list[np.ndarray]],
) -> None:
    features, truths = animals
    for mode in MODES:
        runs = [find_parts(features, [t > 0 for t in truths], 3, mode=mode, epochs=20) for _ in range(2)]
        for first, second in zip(*runs, strict=True):
            assert np.array_equal(first.labels, second.labels)
            assert first.labels.max() <= 3


def test_affinities_alone_name_parts_at_random(
    animals: tuple[list[PatchFeatures], list[np.ndarray]],
) -> None:
    features, truths = animals
    found = [
        to_parts(
            one, t > 0, spectral(ncut_graph(foreground_rows(one, t > 0, CENTRED_RECIPE)), 3, random_state=i)
        )
        for i, (one, t) in enumerate(zip(features, truths, strict=True))
    ]
    agreement = label_agreement(found)
    assert agreement.renamed > 0.9
    assert agreement.as_named < agreement.renamed - 0.2


def test_agreement_counted_by_hand() -> None:
    values = torch.eye(4)
    features = PatchFeatures(values, (2, 2), None, (2, 2), "made by hand")
    first = Parts(np.array([[1, 2], [1, 0]]), features)
    second = Parts(np.array([[2, 1], [2, 0]]), features)
    third = Parts(np.array([[1, 2], [2, 0]]), features)
    assert label_agreement([first, first]) == (1.0, 1.0, 3)
    assert label_agreement([first, second]) == (0.0, 1.0, 3)
    assert label_agreement([first, third])[:2] == pytest.approx((2 / 3, 2 / 3))
    finer = replace(features, values=torch.eye(16), grid=(4, 4))
    assert label_agreement([first, first], [finer, finer]) == (1.0, 1.0, 12)
    with pytest.raises(ValueError, match="at least two pictures"):
        label_agreement([first, Parts(np.zeros((2, 2), int), features)])


def test_a_picture_without_foreground_says_so_and_the_others_go_on(
    animals: tuple[list[PatchFeatures], list[np.ndarray]],
) -> None:
    features, truths = animals
    foregrounds = [truth > 0 for truth in truths]
    foregrounds[1] = np.zeros(GRID, bool)
    foregrounds[2] = np.zeros(GRID, bool)
    foregrounds[2][0, :2] = True
    for mode in MODES:
        found = find_parts(features, foregrounds, 3, mode=mode, epochs=5)
        assert "no foreground" in found[1].message
        assert not found[1].labels.any()
        assert not found[0].message
        assert found[0].labels.any()
        assert bool(found[2].message) == (mode != "joint")  # two patches: labelled by the network of all
    nothing = [np.zeros(GRID, bool)] * 5
    assert all("no foreground" in one.message for one in find_parts(features, nothing, 3))


def test_bad_parameters(animals: tuple[list[PatchFeatures], list[np.ndarray]], backbone: Backbone) -> None:
    features, truths = animals
    foregrounds = [truth > 0 for truth in truths]
    with pytest.raises(ValueError, match="k must be at least 1"):
        find_parts(features, foregrounds, 0)
    with pytest.raises(ValueError, match="mode must be 'joint'"):
        find_parts(features, foregrounds, 3, mode="together")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one for each"):
        find_parts(features, foregrounds[:2], 3)
    for mode in MODES:
        with pytest.raises(ValueError, match=r"1000 (patches|clusters)"):
            find_parts(features, foregrounds, 1000, mode=mode)
    with pytest.raises(ValueError, match="no pictures"):
        segment_parts([], backbone=backbone)
    with pytest.raises(ImageError, match=r"gone\.png"):
        segment_parts(["gone.png"], backbone=backbone)


def test_pictures_in_parts_out(backbone: Backbone, photograph: np.ndarray) -> None:
    pictures = [
        photograph,
        photograph[:, ::-1].copy(),
        photograph[8:, 10:].copy(),
        np.full_like(photograph, 90),
    ]
    found = segment_parts(pictures, k=2, backbone=backbone, size=160, epochs=10)
    assert [one.pixels.shape for one in found] == [picture.shape[:2] for picture in pictures]
    assert all(one.labels.shape == (10, 10) for one in found)
    assert found[0].pixels[46, 70] > 0
    assert "no foreground" in found[3].message
    assert segment_parts([photograph], k=2, backbone="pixels", size=160, epochs=5)[0].labels.any()


class TestJointly:
    """`DeepCut.fit_jointly`."""

    def test_mini_batches_find_what_all_pictures_share(
        self, blobs: Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from deepcut_lib import clustering

        monkeypatch.setattr(clustering, "JOINT_PATCHES", 60)
        pictures = [blobs[::3], blobs[1::3], blobs[2::3][:17]]
        model = DeepCut(3, epochs=60, learning_rate=5e-3, n_init=4).fit_jointly(pictures)
        truth = np.concatenate([(np.arange(120) // 40)[i::3] for i in range(3)])[: 40 + 40 + 17]
        assert adjusted_rand_score(truth, model.labels_) == 1
        assert model.losses_.shape == (60,)
        assert model.assignments_.shape == (97, 3)
        ends = np.cumsum([40, 40])
        for picture, labels in zip(pictures, np.split(model.labels_, ends), strict=True):
            assert np.array_equal(model.predict(picture), labels)

    def test_one_picture_is_a_plain_fit(self, blobs: Tensor) -> None:
        plain = DeepCut(3, dropout=0.0, epochs=5).fit(blobs)
        alone = DeepCut(3, dropout=0.0, epochs=5).fit_jointly([blobs])
        assert np.allclose(plain.losses_, alone.losses_, atol=1e-5)
        assert np.allclose(plain.assignments_, alone.assignments_, atol=1e-4)

    def test_correlation_clustering_and_bad_input(self, blobs: Tensor) -> None:
        assert DeepCut(6, "cc", epochs=5).fit_jointly([blobs, blobs[:1]]).labels_.shape == (121,)
        with pytest.raises(ValueError, match="at least one picture"):
            DeepCut().fit_jointly([])
        with pytest.raises(ValueError, match="16 features"):
            DeepCut().fit_jointly([blobs, blobs[:, :5]])
        with pytest.raises(ValueError, match="not a callable"):
            DeepCut(objective=lambda graph, S: S.sum()).fit_jointly([blobs])
        with pytest.raises(ValueError, match="cannot form"):
            DeepCut(200).fit_jointly([blobs])


@pytest.fixture(scope="module")
def pictures() -> list[tuple[np.ndarray, np.ndarray]]:
    """Six pictures of a disc and their masks; place and colours differ a little."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:96, :128]
    made = []
    for i in range(6):
        disc = (y - 40 - 3 * i) ** 2 + (x - 50 - 5 * i) ** 2 < 26**2
        colours = np.where(disc[..., None], (200 - 10 * i, 40, 30), (60, 140, 70 + 10 * i))
        made.append((np.clip(colours + rng.normal(0, 12, colours.shape), 0, 255).astype(np.uint8), disc))
    return made


@pytest.fixture(scope="module")
def trained(pictures: list[tuple[np.ndarray, np.ndarray]], backbone: Backbone) -> TrainedDeepCut:
    return train_once([picture for picture, _ in pictures[:4]], k=2, backbone=backbone, size=256)


class TestTrainedOnce:
    """Networks that label pictures they were not fitted to (§4)."""

    def test_labels_new_pictures(
        self, trained: TrainedDeepCut, pictures: list[tuple[np.ndarray, np.ndarray]], backbone: Backbone
    ) -> None:
        for picture, disc in pictures[4:]:
            found = trained.segment(picture, backbone=backbone)
            assert mask_iou(found.mask, disc) > 0.6
            assert mask_iou(trained.segment(picture, backbone=backbone, refine=True).mask, disc) > 0.8
            parts = trained.parts(picture, backbone=backbone)
            assert np.array_equal(parts.labels > 0, found.foreground)
        blank = trained.parts(np.full((50, 50, 3), 128, np.uint8), backbone=backbone)
        assert blank.labels.shape == (16, 16)

    def test_a_file_brings_it_back(
        self,
        trained: TrainedDeepCut,
        pictures: list[tuple[np.ndarray, np.ndarray]],
        backbone: Backbone,
        tmp_path: Path,
    ) -> None:
        trained.save(tmp_path / "discs.safetensors")
        again = TrainedDeepCut.load(tmp_path / "discs.safetensors")
        for picture, _ in pictures:
            first, second = (one.parts(picture, backbone=backbone).labels for one in (trained, again))
            assert np.array_equal(first, second)
        assert (again.backbone, again.size, again.n_pictures) == ("pixels", 256, 4)
        assert again.background.tolist() == trained.background.tolist()
        assert again.segment(pictures[0][0]).features.backbone == "pixels"

    def test_damaged_files_are_named(self, trained: TrainedDeepCut, tmp_path: Path) -> None:
        file = tmp_path / "cut.safetensors"
        with pytest.raises(CheckpointError, match=r"cut\.safetensors: no such file"):
            TrainedDeepCut.load(file)
        trained.save(file)
        file.write_bytes(file.read_bytes()[:300])
        for content in (file.read_bytes(), b"", b"no tensors here"):
            file.write_bytes(content)
            with pytest.raises(CheckpointError, match=r"cut\.safetensors: damaged"):
                TrainedDeepCut.load(file)

    def test_misuse_is_named(
        self, trained: TrainedDeepCut, backbone: Backbone, photograph: np.ndarray
    ) -> None:
        with pytest.raises(ValueError, match="fitted with pixels, not with random_vit"):
            trained.segment(photograph, backbone=load_backbone("random_vit"))
        with pytest.raises(ValueError, match="without parts"):
            train_once([photograph], backbone=backbone, size=64).parts(photograph)
        with pytest.raises(ValueError, match="no pictures"):
            train_once([], backbone=backbone)
        with pytest.raises(ValueError, match="k must be"):
            train_once([photograph], k=0, backbone=backbone)
        blank = backbone(np.full((64, 64, 3), 128, np.uint8), size=64)
        with pytest.raises(ValueError, match="no picture has a foreground"):
            train_on_features([blank], backbone, k=2)


def reddish() -> ForegroundPrior:
    """What is redder and less green than its picture is foreground."""
    weight = torch.zeros(14)
    weight[0], weight[1] = 8.0, -8.0
    return ForegroundPrior(weight, 0.0, "pixels")


@pytest.fixture(scope="module")
def with_prior(backbone: Backbone) -> Backbone:
    return backbone.with_prior(reddish())


@pytest.fixture(scope="module")
def by_prior(pictures: list[tuple[np.ndarray, np.ndarray]], with_prior: Backbone) -> TrainedDeepCut:
    return train_once([picture for picture, _ in pictures[:4]], k=2, backbone=with_prior, size=256)


@pytest.fixture(scope="module")
def by_union(pictures: list[tuple[np.ndarray, np.ndarray]], backbone: Backbone) -> TrainedDeepCut:
    shown = [picture for picture, _ in pictures[:4]]
    return train_once(shown, k=2, backbone=backbone, size=256, rule="union", n_clusters=4)


class TestTrainedByAnotherRule:
    """The same where a prior or the rule "union" says what is background."""

    @pytest.mark.parametrize("by", ["by_prior", "by_union"])
    def test_a_file_brings_it_back(
        self,
        by: str,
        pictures: list[tuple[np.ndarray, np.ndarray]],
        backbone: Backbone,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        trained: TrainedDeepCut = request.getfixturevalue(by)
        trained.save(tmp_path / "discs.safetensors")
        again = TrainedDeepCut.load(tmp_path / "discs.safetensors")
        assert again.recipe == trained.recipe
        assert np.array_equal(again.background, trained.background)  # type: ignore[arg-type]
        for i, (picture, disc) in enumerate(pictures):
            # the prior has taught the network: to apply it, the backbone needs none
            first, second = (one.segment(picture, backbone=backbone) for one in (trained, again))
            assert np.array_equal(first.labels, second.labels)
            assert np.array_equal(first.background, second.background)
            assert np.array_equal(first.probability, second.probability)
            assert np.array_equal(first.probability > 0.5, first.foreground)
            assert mask_iou(first.mask, disc) > 0.6, i
            parts, same = (one.parts(picture, backbone=backbone) for one in (trained, again))
            assert np.array_equal(parts.labels, same.labels)
            assert np.array_equal(parts.labels > 0, first.foreground)
            assert parts.labels.max() <= 2

    def test_with_a_prior_cluster_0_is_background(
        self,
        by_prior: TrainedDeepCut,
        pictures: list[tuple[np.ndarray, np.ndarray]],
        with_prior: Backbone,
        backbone: Backbone,
    ) -> None:
        assert by_prior.recipe == with_prior.foreground_recipe
        assert by_prior.background is not None
        assert by_prior.background.tolist() == [True, False]
        picture, disc = pictures[5]
        found = by_prior.segment(picture, backbone=with_prior, refine=True)
        assert mask_iou(found.mask, disc) > 0.9
        assert np.array_equal(found.labels, by_prior.segment(picture, backbone=backbone).labels)

    def test_by_the_union_rule_each_picture_is_judged_on_its_own(
        self,
        by_union: TrainedDeepCut,
        pictures: list[tuple[np.ndarray, np.ndarray]],
        backbone: Backbone,
    ) -> None:
        assert by_union.background is None
        for picture, _ in pictures:
            found = by_union.segment(picture, backbone=backbone)
            values = by_union.recipe.prepare(found.features.values)
            assert np.array_equal(found.background, best_union(found.labels, ncut_graph(values))[0])

    def test_a_recipe_with_a_prior_needs_one_to_train(
        self, pictures: list[tuple[np.ndarray, np.ndarray]], backbone: Backbone
    ) -> None:
        with pytest.raises(ValueError, match=r"pixels has none; give the backbone one .*with_prior"):
            train_once([pictures[0][0]], backbone=backbone, size=96, recipe=PRIOR_RECIPE)
        with pytest.raises(ValueError, match="rule must be one of border, union, not 'corner'"):
            train_once([pictures[0][0]], backbone=backbone, size=96, rule="corner")

    def test_a_blank_picture_says_so(self, by_prior: TrainedDeepCut, by_union: TrainedDeepCut) -> None:
        blank = np.full((60, 80, 3), 90, np.uint8)
        backbone = load_backbone("pixels")
        for trained in (by_prior, by_union):
            assert trained.segment(blank, backbone=backbone).message.startswith("nothing to cut")
            assert trained.parts(blank, backbone=backbone).message.startswith("nothing to cut")


def test_a_picture_with_nothing_to_cut_has_no_parts_and_says_so() -> None:
    backbone = load_backbone("tiny_vit")
    noise = 128 + np.random.default_rng(0).integers(-1, 2, (200, 240, 3))
    pictures = [*sorted((DATA / "images").glob("mammal_*.jpg"))[:2], noise.astype(np.uint8)]
    assert segment(pictures[2], backbone=backbone).foreground.any()
    first, second, blank = segment_parts(pictures, 2, backbone=backbone, epochs=3)
    assert not (first.message or second.message)
    assert blank.message.startswith("nothing to cut")
    assert not blank.labels.any()

    trained = train_once(pictures[:2], k=2, backbone=backbone, epochs=3, part_epochs=3)
    assert trained.segment(pictures[2], backbone=backbone).message.startswith("nothing to cut")
    assert trained.parts(pictures[2], backbone=backbone).message.startswith("nothing to cut")
    assert trained.segment(pictures[0], backbone=backbone).message == ""


@pytest.mark.parametrize("damage", ["size", "nan", "background"])
def test_a_file_whose_networks_do_not_fit_is_damaged(damage: str, tmp_path: Path, blobs: Tensor) -> None:
    model = DeepCut(3).fit(blobs)
    weights = model.weights_
    if damage == "size":
        weights["mlp1_weight"] = weights["mlp1_weight"][:, :-1].contiguous()
    if damage == "nan":
        weights["gcn_bias"] = weights["gcn_bias"] * torch.nan
    background = np.array([True, False] if damage == "background" else [True, False, False])
    TrainedDeepCut("pixels", CENTRED_RECIPE, None, background, model, None, 1).save(
        tmp_path / "a.safetensors"
    )
    with pytest.raises(CheckpointError, match="damaged"):
        TrainedDeepCut.load(tmp_path / "a.safetensors")


def test_a_foreground_must_fit_its_grid(blobs: Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(20, 24\) does not fit the grid \(10, 12\)"):
        find_parts([patch_features(blobs, (10, 12))], [np.ones((20, 24), bool)])
