"""The rivals against the published implementation's numbers, and on easy features."""

import numpy as np
import pytest
import torch

from deepcut_lib.baselines import kmeans, tokencut
from deepcut_lib.features import PatchFeatures
from tests.conftest import ROOT

REFERENCE = np.load(ROOT / "tests" / "data" / "baselines.npz")


@pytest.mark.parametrize("image", ["image0", "image1", "image2"])
def test_tokencut_published_numbers(image: str) -> None:
    values = torch.from_numpy(REFERENCE[f"{image}/features"].astype(np.float32))
    grid = tuple(REFERENCE[f"{image}/grid"].tolist())
    found = tokencut(PatchFeatures(values, grid, None, (448, 448), "reference"))
    assert found.seed == REFERENCE[f"{image}/tokencut_seed"]
    assert np.array_equal(found.foreground, REFERENCE[f"{image}/tokencut_mask"])
    assert np.array_equal(found.box, REFERENCE[f"{image}/tokencut_tau0.2_box_xyxy"])
    expected = REFERENCE[f"{image}/tokencut_eigenvector"]
    sign = np.sign((expected * found.eigenvector).sum())
    assert np.abs(found.eigenvector - sign * expected).max() < 1e-3


@pytest.fixture
def easy(generator: torch.Generator) -> tuple[PatchFeatures, np.ndarray]:
    truth = np.zeros((10, 12), bool)
    truth[3:7, 4:9] = True
    values = torch.where(
        torch.from_numpy(truth).ravel()[:, None], torch.tensor([3.0, -1]), torch.tensor([-1.0, 2])
    )
    values = values + 0.2 * torch.randn(120, 2, generator=generator)
    return PatchFeatures(values, (10, 12), None, (100, 120), "easy"), truth


def test_both_find_an_easy_object(easy: tuple[PatchFeatures, np.ndarray]) -> None:
    features, truth = easy
    assert np.array_equal(kmeans(features), truth)
    assert np.array_equal(tokencut(features).foreground, truth)
