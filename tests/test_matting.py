"""Alpha mattes: what trimaps keep, what is recovered of pictures put together from known layers."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from deepcut_lib import Segmentation, load_backbone, matte, segment
from deepcut_lib.errors import DeepCutError
from deepcut_lib.matting import (
    METHODS,
    UNKNOWN,
    Matte,
    PyMattingMissingError,
    blend,
    colours_of,
    matte_of,
    solve_alpha,
    trimap_of,
)

HERE = METHODS if importlib.util.find_spec("pymatting") else ("solver",)


@pytest.fixture(scope="module")
def layers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """α, F and B of an exact composite, 96×128: a red disc before green, its edge some twelve pixels wide."""
    y, x = np.mgrid[:96, :128]
    alpha = np.clip((28 - np.hypot(y - 46, x - 70)) / 12 + 0.5, 0, 1)
    rng = np.random.default_rng(0)
    foreground, background = (
        np.clip(np.array(colour) + rng.normal(0, 0.01, (96, 128, 3)), 0, 1)
        for colour in ((0.8, 0.15, 0.1), (0.2, 0.55, 0.3))
    )
    return alpha, foreground, background


@pytest.fixture(scope="module")
def composite(layers: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Image.Image:
    return Image.fromarray(np.rint(255 * blend(*layers)).astype(np.uint8))


@pytest.fixture(scope="module")
def trimap(layers: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    alpha = layers[0]
    return np.where(alpha == 1, 255, np.where(alpha == 0, 0, UNKNOWN)).astype(np.uint8)


@pytest.fixture
def found(photograph: np.ndarray) -> Segmentation:
    return segment(photograph, backbone="pixels", size=128, refine=True)


class TestTrimap:
    """Sure, surely not, and unknown."""

    def test_what_is_sure_lies_on_the_masks_side(self, found: Segmentation) -> None:
        trimap = trimap_of(found)
        assert trimap.dtype == np.uint8
        assert set(np.unique(trimap)) == {0, UNKNOWN, 255}
        assert found.mask[trimap == 255].all()
        assert not found.mask[trimap == 0].any()

    def test_all_round_the_edge_is_unknown(self, found: Segmentation) -> None:
        edge = ndimage.binary_dilation(found.mask) & ~ndimage.binary_erosion(found.mask, border_value=1)
        assert (trimap_of(found)[edge] == UNKNOWN).all()

    def test_where_s_wavers_it_is_unknown(self, found: Segmentation) -> None:
        wavering = found.probability.copy()
        wavering[:3, :3] = 0.45  # a corner far from the edge
        unsure = trimap_of(Segmentation(**{**vars(found), "probability": wavering}))
        assert trimap_of(found)[0, 0] == 0
        assert unsure[0, 0] == UNKNOWN

    @pytest.mark.parametrize("value", [False, True])
    def test_without_an_edge_nothing_is_unknown(self, found: Segmentation, value: bool) -> None:
        whole = Segmentation(**{**vars(found), "mask": np.full_like(found.mask, value)})
        assert (trimap_of(whole) == 255 * value).all()

    def test_a_thin_thing_keeps_its_middle(self, found: Segmentation) -> None:
        thin = np.zeros_like(found.mask)
        thin[46, 60:80] = True
        for mask in (thin, ~thin):
            trimap = trimap_of(Segmentation(**{**vars(found), "mask": mask}))
            assert {0, 255} <= set(np.unique(trimap))


class TestAlpha:
    """α between what is known."""

    @pytest.mark.parametrize("method", HERE)
    def test_an_exact_composites_alpha_is_recovered(
        self, layers: tuple[np.ndarray, ...], composite: Image.Image, trimap: np.ndarray, method: Any
    ) -> None:
        alpha = solve_alpha(composite, trimap, method=method)
        assert alpha.dtype == np.float32
        wrong = np.abs(alpha - layers[0])
        assert wrong[trimap != UNKNOWN].max() == 0
        binary = np.abs((layers[0] > 0.5) - layers[0])
        bound = {"solver": 0.12, "closed-form": 0.03, "knn": 0.06}[method]
        assert wrong[trimap == UNKNOWN].mean() < bound < binary[trimap == UNKNOWN].mean()

    @pytest.mark.parametrize("method", HERE)
    @pytest.mark.parametrize("value", [0, UNKNOWN, 255])
    def test_of_one_kind_alone_nothing_can_be_found(
        self, composite: Image.Image, value: int, method: Any
    ) -> None:
        alpha = solve_alpha(composite, np.full((96, 128), value, np.uint8), method=method)
        assert (alpha == {0: 0, UNKNOWN: 0.5, 255: 1}[value]).all()

    def test_large_pictures_are_shrunk_for_it(
        self, composite: Image.Image, trimap: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = solve_alpha(composite, trimap)
        monkeypatch.setattr("deepcut_lib.matting.MATTE_SIDE", 64)
        shrunk = solve_alpha(composite, trimap)
        assert shrunk.shape == whole.shape
        assert 0 < np.abs(shrunk - whole).mean() < 0.02

    def test_sizes_must_agree(self, composite: Image.Image, trimap: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"\(96, 128\).*trimap \(128, 96\)"):
            solve_alpha(composite, trimap.T)


class TestColours:
    """F and B."""

    def test_they_reproduce_the_picture(self, layers: tuple[np.ndarray, ...], composite: Image.Image) -> None:
        foreground, background = colours_of(composite, layers[0])
        missed = np.abs(255 * blend(layers[0], foreground, background) - np.asarray(composite))
        assert missed.max() < 1.5
        assert min(foreground.min(), background.min()) >= 0
        assert max(foreground.max(), background.max()) <= 1

    def test_a_mixed_pixel_is_taken_apart(
        self, layers: tuple[np.ndarray, ...], composite: Image.Image
    ) -> None:
        alpha = layers[0]
        mixed = (alpha > 0.2) & (alpha < 0.8)
        for layer, true in zip(colours_of(composite, alpha), layers[1:], strict=True):
            as_it_is = np.abs(np.asarray(composite)[mixed] / 255 - true[mixed]).mean()
            assert np.abs(layer[mixed] - true[mixed]).mean() < 0.2 * as_it_is

    def test_any_alpha_fits_any_picture_closely(self, photograph: np.ndarray) -> None:
        alpha = np.random.default_rng(0).random((96, 128))
        picture = Image.fromarray(photograph)
        missed = np.abs(255 * blend(alpha, *colours_of(picture, alpha)) - photograph)
        assert missed.mean() < 0.1
        assert missed.max() < 10


class TestMatte:
    """From a picture to its foreground with alpha."""

    @pytest.mark.parametrize("method", HERE)
    def test_of_a_photograph(self, photograph: np.ndarray, disc: np.ndarray, method: Any) -> None:
        made = matte(photograph, backbone="pixels", size=128, method=method)
        assert made.alpha.shape == (96, 128)
        assert made.foreground.shape == made.background.shape == (96, 128, 3)
        assert ((made.alpha > 0.5) != disc).mean() < 0.02
        again = matte(photograph, backbone="pixels", size=128, method=method)
        assert np.array_equal(made.alpha, again.alpha)

    def test_saved_it_is_a_picture_with_opacity(
        self, photograph: np.ndarray, found: Segmentation, tmp_path: Path
    ) -> None:
        made = matte_of(Image.fromarray(photograph), found)
        made.save(tmp_path / "disc.png")
        with Image.open(tmp_path / "disc.png") as saved:
            assert saved.mode == "RGBA"
            layers = np.asarray(saved)
        assert np.abs(layers[..., 3] / 255 - made.alpha).max() < 0.003
        assert not layers[layers[..., 3] == 0].any()
        with pytest.raises(DeepCutError, match="could not be written"):
            made.save(tmp_path / "disc.png" / "inside.png")

    def test_before_its_own_background_it_is_the_picture(
        self, photograph: np.ndarray, found: Segmentation
    ) -> None:
        made = matte_of(Image.fromarray(photograph), found)
        behind = np.rint(255 * made.background).astype(np.uint8)
        assert np.abs(np.asarray(made.over(behind), int) - photograph).max() <= 2

    def test_before_another_background(self, photograph: np.ndarray, found: Segmentation) -> None:
        made = matte_of(Image.fromarray(photograph), found)
        blue = np.asarray(made.over(np.full((10, 10, 3), (0, 0, 255), np.uint8)))
        assert (blue[made.alpha == 0] == (0, 0, 255)).all()
        sure = made.alpha == 1
        assert np.abs(blue[sure].astype(int) - photograph[sure]).max() <= 1

    @pytest.mark.parametrize("method", HERE)
    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 2), (16, 16, 4), (20, 30)])
    def test_pictures_of_all_kinds(self, shape: tuple[int, ...], method: Any) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        made = matte(pixels, backbone="pixels", size=64, method=method)
        assert made.alpha.shape == shape[:2]
        assert np.isfinite(made.alpha).all()
        assert made.picture().size == (shape[1], shape[0])

    @pytest.mark.parametrize("method", HERE)
    def test_a_picture_of_nothing(self, method: Any) -> None:
        made = matte(np.full((40, 60), 90, np.uint8), backbone="pixels", size=64, method=method)
        assert made.segmentation.message
        assert np.isfinite(made.alpha).all()

    def test_all_or_nothing(self, photograph: np.ndarray, found: Segmentation) -> None:
        for value in (False, True):
            whole = Segmentation(**{**vars(found), "mask": np.full_like(found.mask, value)})
            made = matte_of(Image.fromarray(photograph), whole)
            assert (made.alpha == value).all()
            layer = made.foreground if value else made.background
            assert np.abs(255 * layer - photograph).max() < 0.01

    def test_settings_reach_the_segmentation(self, photograph: np.ndarray) -> None:
        backbone = load_backbone("pixels")
        made = matte(photograph, backbone=backbone, size=128, n_clusters=4, random_state=3)
        alone = segment(photograph, backbone=backbone, size=128, n_clusters=4, random_state=3, refine=True)
        assert isinstance(made, Matte)
        assert np.array_equal(made.segmentation.labels, alone.labels)
        assert np.array_equal(made.segmentation.mask, alone.mask)


def test_another_method_is_refused(photograph: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one of solver, closed-form, knn, not 'magic'"):
        matte(photograph, backbone="pixels", method="magic")  # type: ignore[arg-type]


def test_the_number_of_threads_stays_as_it_was(
    photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first import of the real one takes as many threads as there are cores."""
    (tmp_path / "pymatting.py").write_text(
        "import torch\ntorch.set_num_threads(3)\n"
        "def estimate_alpha_knn(picture, trimap, **options): return trimap\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "pymatting", None)  # so that the real one, or none, is there again
    monkeypatch.delitem(sys.modules, "pymatting")
    before = torch.get_num_threads()
    matte(photograph, backbone="pixels", size=128, method="knn")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("method", ["closed-form", "knn"])
def test_without_pymatting_the_remedy_is_named(
    photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(PyMattingMissingError, match=r"pip install -e '\.\[matting\]'"):
        matte(photograph, backbone="pixels", method=method)
    assert matte(photograph, backbone="pixels", size=128).alpha.any()
