"""The bilateral solver against the published one's numbers."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from deepcut_lib.metrics import mask_iou
from deepcut_lib.refinement import (
    SOLVER_SIDE,
    bilateral_solver,
    largest_component,
    refine_mask,
    refine_soft,
)
from tests.conftest import ROOT

REFERENCE = np.load(ROOT / "tests" / "data" / "bilateral_solver.npz")


def test_published_numbers() -> None:
    soft = bilateral_solver(REFERENCE["image"], REFERENCE["coarse_mask"])
    assert soft.dtype == np.float32
    assert np.abs(soft - REFERENCE["soft"]).max() < 1e-2
    refined = refine_mask(Image.fromarray(REFERENCE["image"]), REFERENCE["coarse_mask"])
    assert np.array_equal(refined, REFERENCE["binary"])
    assert mask_iou(REFERENCE["coarse_mask"], REFERENCE["ground_truth"]) < 0.82
    assert mask_iou(refined, REFERENCE["ground_truth"]) >= 0.915


def test_a_flat_mask_stays_flat(photograph: np.ndarray) -> None:
    for value in (0.0, 1.0):
        soft = bilateral_solver(photograph, np.full(photograph.shape[:2], value))
        assert np.allclose(soft, value, atol=1e-3)


def test_edges_move_onto_the_pictures(disc: np.ndarray) -> None:
    coarse = np.kron(disc[8::16, 8::16], np.ones((16, 16), bool))
    smooth = np.where(disc[..., None], (200, 40, 30), (60, 140, 70)).astype(np.uint8)
    assert mask_iou(refine_mask(Image.fromarray(smooth), coarse), disc) > mask_iou(coarse, disc) + 0.05


def test_cells_smaller_than_pixels_change_nothing(photograph: np.ndarray) -> None:
    """Each pixel is a vertex without neighbours, in a grid of more cells than 32 bits count."""
    mask = np.random.default_rng(0).random(photograph.shape[:2])
    soft = bilateral_solver(photograph, mask, sigma_xy=0.4, sigma_luma=0.4, sigma_chroma=0.4)
    assert np.allclose(soft, mask, atol=1e-6)


def test_sizes_must_agree(photograph: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(96, 128\).*\(96, 127\)"):
        bilateral_solver(photograph, np.zeros((96, 127), bool))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sigma_xy", [0, -1, float("nan"), "3", 1e-9, 1e-300]),
        ("sigma_luma", [-1, float("inf")]),
        ("sigma_chroma", [0.0]),
        ("smoothness", [-1]),
        ("confidence", [0, float("inf"), float("nan")]),
        ("iterations", [0, 1.5, True]),
    ],
)
def test_bad_numbers_are_named(photograph: np.ndarray, name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=name[:5]):
            bilateral_solver(photograph, np.ones((96, 128), bool), **{name: value})  # type: ignore[arg-type]


class TestConfidence:
    """Trust in the mask, pixel by pixel."""

    def test_the_same_everywhere_is_one_number(self, photograph: np.ndarray, disc: np.ndarray) -> None:
        for value in (0.3, 0.999):
            by_number = bilateral_solver(photograph, disc, confidence=value)
            by_array = bilateral_solver(photograph, disc, confidence=np.full(disc.shape, value))
            assert np.array_equal(by_number, by_array)

    def test_pixels_without_trust_follow_the_picture(self, photograph: np.ndarray, disc: np.ndarray) -> None:
        wrong = disc.copy()
        wrong[40:52, 64:76] = False  # a hole in the disc
        trust = np.where(disc & ~wrong, 1e-3, 1.0)
        doubted = bilateral_solver(photograph, wrong, smoothness=1, confidence=trust)[40:52, 64:76]
        trusted = bilateral_solver(photograph, wrong, smoothness=1)[40:52, 64:76]
        # but for a few of odd colour that nothing else is like
        assert np.quantile(doubted, 0.05) > 0.9
        assert trusted.mean() < doubted.mean() - 0.3

    @pytest.mark.parametrize("shape", [(96, 127), (96,), (128,), (96, 1), (96, 128, 1), (0,)])
    def test_another_shape_is_refused(self, photograph: np.ndarray, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"the confidence is .*one for each pixel|confidence must be"):
            bilateral_solver(photograph, np.ones((96, 128)), confidence=np.ones(shape))

    @pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
    def test_each_must_be_positive_and_finite(self, photograph: np.ndarray, value: float) -> None:
        trust = np.ones((96, 128))
        trust[50, 60] = value
        with pytest.raises(ValueError, match="confidence must be positive and finite"):
            bilateral_solver(photograph, np.ones((96, 128)), confidence=trust)


class TestSoft:
    """Masks of probabilities."""

    def blurred(self, mask: np.ndarray, width: float = 8) -> np.ndarray:
        return ndimage.gaussian_filter(mask.astype(np.float32), width)

    @pytest.mark.parametrize("enlarged", [1, 5])
    def test_the_edge_is_found_within_two_pixels(self, disc: np.ndarray, enlarged: int) -> None:
        noise = np.random.default_rng(0).normal(0, 3, (96, 128, 3))
        colours = np.where(disc[..., None], (200, 40, 30), (60, 140, 70)) + noise
        picture = Image.fromarray(colours.astype(np.uint8)).resize((128 * enlarged, 96 * enlarged))
        assert enlarged == 1 or max(picture.size) > SOLVER_SIDE
        truth = np.kron(disc, np.ones((enlarged, enlarged), bool))
        rough = self.blurred(np.roll(truth, (2 * enlarged, -3 * enlarged), (0, 1)), 8 * enlarged)
        found = refine_soft(picture, rough)
        assert found.shape == truth.shape
        assert found.dtype == bool
        from_edge = np.maximum(ndimage.distance_transform_edt(truth), ndimage.distance_transform_edt(~truth))
        assert from_edge[(rough > 0.5) != truth].max() > 4 * enlarged
        two = 2 * max(max(picture.size) / SOLVER_SIDE, 1)  # pixels of the picture that the solver sees
        assert from_edge[found != truth].max(initial=0) <= two

    def test_a_hard_mask_is_a_soft_one_that_is_sure(self, photograph: np.ndarray, disc: np.ndarray) -> None:
        picture = Image.fromarray(photograph)
        found = refine_soft(picture, disc)
        assert found.dtype == bool
        assert mask_iou(found, disc) > 0.95
        assert np.array_equal(found, refine_soft(picture, disc.astype(np.float64)))

    @pytest.mark.parametrize("kind", [bool, np.float32])
    @pytest.mark.parametrize("shape", [(96, 128), (1, 1), (1, 40), (40, 1), (2, 700), (350, 420)])
    def test_all_or_nothing_stays_so(self, kind: type, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        picture = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        assert not refine_soft(picture, np.zeros(shape, kind)).any()
        assert refine_soft(picture, np.ones(shape, kind)).all()

    def test_a_row_of_pixels(self) -> None:
        row = np.zeros((1, 60, 3), np.uint8)
        row[:, 20:] = 255
        soft = np.linspace(0, 1, 60, dtype=np.float32)[None]  # ½ lies at 30, the picture's edge at 20
        assert np.flatnonzero(refine_soft(Image.fromarray(row), soft)).tolist() == list(range(20, 60))
        column = refine_soft(Image.fromarray(row.transpose(1, 0, 2)), soft.T)
        assert np.flatnonzero(column).tolist() == list(range(20, 60))

    @pytest.mark.parametrize(("low", "high"), [(0.0, 0.52), (0.48, 1.0), (0.49, 0.505)])
    def test_what_is_weakly_said_counts_as_what_is_surely_said(
        self, photograph: np.ndarray, disc: np.ndarray, low: float, high: float
    ) -> None:
        picture, rough = Image.fromarray(photograph), self.blurred(disc)
        away = rough / rough.max() - 0.5  # −½ … ½
        weak = 0.5 + np.where(away > 0, 2 * away * (high - 0.5), 2 * away * (0.5 - low))
        assert mask_iou(refine_soft(picture, weak.astype(np.float32)), disc) > 0.9
        # on a picture without edges, too, where the numbers alone decide
        noise = np.random.default_rng(0).normal(128, 12, photograph.shape)
        flat = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
        found = refine_soft(flat, weak.astype(np.float32))
        sure = refine_soft(flat, (0.5 + away).astype(np.float32))
        assert sure.any()
        assert mask_iou(found, sure) > 0.99

    @pytest.mark.parametrize("edge", [30, 40, 90])
    def test_where_the_clustering_wavers_the_picture_decides(self, edge: int) -> None:
        x = np.mgrid[:96, :128][1]
        picture = Image.fromarray(
            np.where((x >= edge)[..., None], (200, 40, 30), (60, 140, 70)).astype(np.uint8)
        )
        rising = x.astype(np.float32) / 127  # ½ lies in the middle, and p is unsure far round it
        assert np.array_equal(refine_soft(picture, rising), x >= edge)

    def test_what_the_solver_dissolves_is_cut_at_one_half(self, photograph: np.ndarray) -> None:
        soft = np.full((96, 128), 0.4, np.float32)
        soft[50, 60] = 0.51
        found = refine_soft(Image.fromarray(np.full((96, 128, 3), 90, np.uint8)), soft)
        assert found.any()
        assert found[50, 60]

    def test_holes_are_filled(self, photograph: np.ndarray, disc: np.ndarray) -> None:
        ring = disc.copy()
        ring[36:56, 60:80] = False
        pierced = photograph.copy()
        pierced[36:56, 60:80] = (60, 140, 70)
        assert refine_soft(Image.fromarray(pierced), ring)[46, 70]

    def test_sizes_must_agree(self, photograph: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"\(96, 128\).*\(128, 96\)"):
            refine_soft(Image.fromarray(photograph), np.zeros((128, 96)))


def test_one_pixel() -> None:
    assert bilateral_solver(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), bool)).shape == (1, 1)


def test_largest_component() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1]], bool)
    assert np.array_equal(largest_component(mask), np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], bool))
    assert not largest_component(np.zeros((2, 2), bool)).any()
    # by corners, too, all but the one below on the left hang together
    assert largest_component(mask, neighbours=8).sum() == 6
