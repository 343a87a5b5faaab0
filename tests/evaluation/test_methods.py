"""How pictures are fitted for each method, and how what it finds comes back to the whole picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deepcut_lib import Segmentation, load_backbone, segment
from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import kmeans, tokencut
from deepcut_lib.baselines.kmeans import KmeansRule
from deepcut_lib.evaluation.methods import METHODS, SOFT, Prediction, Setup, obstacle
from deepcut_lib.evaluation.views import Fitting, look
from deepcut_lib.features import normalize, upsample
from deepcut_lib.foreground import foreground_box
from deepcut_lib.images import load_image
from deepcut_lib.prior import ForegroundPrior
from tests.conftest import DATA


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("pixels")


@pytest.fixture
def picture(photograph: np.ndarray) -> Image.Image:
    return Image.fromarray(photograph).crop((0, 0, 120, 90))


@pytest.mark.parametrize(
    ("fitting", "grid", "size"),
    [
        ("square", (8, 8), (90, 120)),
        ("nearest", (6, 8), (90, 120)),
        ("padded", (6, 8), (96, 128)),
        ("cropped", (5, 7), (80, 112)),
    ],
)
def test_fittings(
    fitting: Fitting, grid: tuple[int, int], size: tuple[int, int], backbone: Backbone, picture: Image.Image
) -> None:
    (view,) = look(backbone, [picture], fitting, attention=False, size=128)
    assert view.features.grid == grid
    assert view.features.image_size == size
    inside = np.asarray(view.picture)[:80, :112]
    assert np.array_equal(inside, np.asarray(picture)[:80, :112])
    if fitting == "padded":
        assert (np.asarray(view.picture)[90:] == (124, 116, 104)).all()


def test_a_picture_smaller_than_a_patch_is_not_cropped_away(backbone: Backbone) -> None:
    (view,) = look(backbone, [Image.new("RGB", (5, 40))], "cropped", attention=False)
    assert view.features.grid == (2, 1)


def test_padding_is_taken_off_and_what_was_cropped_is_background() -> None:
    padded = Prediction((90, 50, 128, 96), np.ones((96, 128), bool)).on_whole(90, 120)
    assert padded.box == (90, 50, 120, 90)
    assert padded.mask is not None
    assert padded.mask.shape == (90, 120)
    assert padded.mask.all()
    cropped = Prediction((0, 0, 112, 80), np.ones((80, 112), np.float32)).on_whole(90, 120)
    assert cropped.box == (0, 0, 112, 80)
    assert cropped.mask is not None
    assert cropped.mask.shape == (90, 120)
    assert cropped.mask.sum() == 80 * 112
    beyond = Prediction((124, 92, 128, 96), None).on_whole(90, 120)  # an object found in the padding
    assert beyond.box == (119, 89, 120, 90)


def with_prior(backbone: Backbone) -> Backbone:
    """A prior that says something of every picture, and nothing that is true."""
    channels = backbone.extract(torch.zeros(1, 3, 64, 64)).shape[-1]
    return backbone.with_prior(ForegroundPrior(torch.linspace(-9, 9, channels), 0.0, backbone.name))


def test_rivals_get_the_prior_that_deepcut_gets(picture: Image.Image) -> None:
    backbone = with_prior(load_backbone("pixels"))
    (view,) = look(backbone, [picture], "square", attention=False, size=160)
    alone = segment(view.picture, backbone=backbone, size=160, refine=True)
    (ours,) = METHODS["prior_ncut_solver"].run([view], Setup(backbone), 0)
    assert np.array_equal(ours.mask, alone.mask)
    (prior,) = METHODS["prior_alone"].run([view], Setup(backbone), 0)
    above = upsample(view.features.to_map(view.features.prior > 0.5), view.features, smooth=True) > 0.5
    assert np.array_equal(prior.mask, above)
    for name in ("kmeans8_prior", "kmeans8_prior_solver"):
        unlike = replace(view, features=replace(view.features, prior=1 - view.features.prior))
        (one,), (other,) = (METHODS[name].run([seen], Setup(backbone), 0) for seen in (view, unlike))
        assert not np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize(
    ("coarse", "k", "rule"),
    [("kmeans8_prior", 8, "union and prior"), ("kmeans4_union", 4, "union"), ("kmeans3", 3, "border")],
)
def test_rivals_get_the_rule_and_the_solver_that_deepcut_gets(
    coarse: str, k: int, rule: KmeansRule, photograph: np.ndarray
) -> None:
    backbone = with_prior(load_backbone("pixels"))
    (view,) = look(backbone, [Image.fromarray(photograph)], "square", attention=False, size=160)
    prepared = replace(view.features, values=backbone.recipe.prepare(view.features.values))
    foreground = kmeans(prepared, k, rule=rule, n_init=4, random_state=2)
    enlarged = upsample(foreground, view.features, smooth=True)
    recipe = backbone.foreground_recipe if "prior" in rule else backbone.recipe
    soft = upsample(foreground.astype(np.float32), view.features, smooth=True)
    solved = recipe.sharpen(view.picture, soft)
    (found,) = METHODS[coarse].run([view], Setup(backbone), 2)
    (refined,) = METHODS[f"{coarse}_solver"].run([view], Setup(backbone), 2)
    assert np.array_equal(found.mask, enlarged > 0.5)
    assert np.array_equal(refined.mask, solved)
    assert refined.box == foreground_box(solved, view.features.image_size)
    assert not np.array_equal(found.mask, refined.mask)


def test_rows_without_a_prior_do_not_change_where_the_backbone_has_one(picture: Image.Image) -> None:
    plain = load_backbone("pixels")
    views = [look(each, [picture], "square", attention=False, size=96) for each in (plain, with_prior(plain))]
    for name, method in METHODS.items():
        if method.prior or method.opencv or method.attention:
            continue
        (without,) = method.run(views[0], Setup(plain), 1)
        (beside,) = method.run(views[1], Setup(with_prior(plain)), 1)
        assert np.array_equal(without.mask, beside.mask), name
        assert without.box == beside.box, name


@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].opencv])
def test_every_method_finds_something_in_every_view(name: str, picture: Image.Image) -> None:
    method = METHODS[name]
    backbone = with_prior(load_backbone("random_vit" if method.attention else "pixels"))
    for fitting in {"square", method.boxes_in, method.masks_in}:
        view = look(backbone, [picture], fitting, attention=method.attention, size=64)[0]
        (prediction,) = method.run([view], Setup(backbone), 0)
        x1, y1, x2, y2 = prediction.box
        assert 0 <= x1 < x2 <= view.picture.width
        assert 0 <= y1 < y2 <= view.picture.height
        assert prediction.mask is not None
        assert prediction.mask.shape == (view.picture.height, view.picture.width)
        if not method.seeded:
            (again,) = method.run([view], Setup(backbone), 1)
            assert again.box == prediction.box


def test_deepcut_is_what_segment_gives(backbone: Backbone, picture: Image.Image) -> None:
    photo = load_image(DATA / "images" / "photo_cat.jpg")  # on which alpha 3, 5 and 6 differ
    pictures = [picture, picture.transpose(Image.Transpose.ROTATE_90), photo]
    views = look(backbone, pictures, "square", attention=False, size=160)
    for name, options in (
        ("ncut", {}),
        ("ncut_solver", {"refine": True}),
        ("ncut_two_stage", {"two_stage": True}),
        ("cc", {"objective": "cc"}),
        ("cc_alpha6", {"objective": "cc", "alpha": 6.0}),
        ("ncut4_union", {"n_clusters": 4, "rule": "union"}),
        ("ncut4_union_solver", {"n_clusters": 4, "rule": "union", "refine": True}),
        ("soft_ncut4_union_solver", {"n_clusters": 4, "rule": "union", "refine": True, **SOFT}),
    ):
        for prediction, view in zip(METHODS[name].run(views, Setup(backbone), 3), views, strict=True):
            alone: Segmentation = segment(
                view.picture,
                backbone=backbone,
                random_state=3 * backbone.recipe.n_init,  # seeds share no start
                size=160,
                **options,
            )
            assert prediction.mask is not None
            assert np.array_equal(prediction.mask, alone.mask)
            assert prediction.box == alone.box


def test_rivals_see_the_features_that_deepcut_sees(backbone: Backbone, picture: Image.Image) -> None:
    (view,) = look(backbone, [picture], "square", attention=False)
    (prediction,) = METHODS["tokencut"].run([view], Setup(backbone), 0)
    centred = type(view.features)(**{**vars(view.features), "values": normalize(view.features.values)})
    assert np.array_equal(prediction.mask, upsample(tokencut(centred).foreground, view.features))


def test_cc_tells_how_many_affinities_are_negative(backbone: Backbone, picture: Image.Image) -> None:
    (view,) = look(backbone, [picture], "square", attention=False, size=64)
    (prediction,) = METHODS["cc"].run([view], Setup(backbone), 0)
    raw = view.features.values
    for values, name in ((raw, "negative"), (normalize(raw), "negative_clustered")):
        wanted = float((values @ values.T < 0).float().mean())
        assert prediction.further[name] == pytest.approx(wanted, abs=0.01)


def test_what_cannot_be_run_says_why(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(backbone)
    assert obstacle(METHODS["ncut"], setup) is None
    assert obstacle(METHODS["prior_ncut"], setup) == "pixels has no foreground prior"
    assert obstacle(METHODS["prior_ncut"], Setup(with_prior(backbone))) is None
    assert obstacle(METHODS["dino_cls"], setup) == "pixels has no CLS attention"
    monkeypatch.setattr("deepcut_lib.evaluation.methods.has_ximgproc", lambda: False)
    assert "opencv-contrib" in str(obstacle(METHODS["selective_search"], setup))
    monkeypatch.setattr("deepcut_lib.evaluation.methods.has_ximgproc", lambda: True)
    assert obstacle(METHODS["selective_search"], setup) is None
    assert "--edge-model" in str(obstacle(METHODS["edge_boxes"], setup))
