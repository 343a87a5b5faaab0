"""The bilateral solver against the published one's numbers."""

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.metrics import mask_iou
from deepcut_lib.refinement import bilateral_solver, largest_component, refine_mask
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
        ("confidence", [0, float("inf")]),
        ("iterations", [0, 1.5, True]),
    ],
)
def test_bad_numbers_are_named(photograph: np.ndarray, name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=name[:5]):
            bilateral_solver(photograph, np.ones((96, 128), bool), **{name: value})  # type: ignore[arg-type]


def test_one_pixel() -> None:
    assert bilateral_solver(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), bool)).shape == (1, 1)


def test_largest_component() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1]], bool)
    assert np.array_equal(largest_component(mask), np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], bool))
    assert not largest_component(np.zeros((2, 2), bool)).any()
