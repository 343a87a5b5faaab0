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


def test_a_prior_chooses_among_the_objects_that_kmeans_finds(generator: torch.Generator) -> None:
    kinds = np.zeros((12, 12), int)
    kinds[2:6, 2:6], kinds[7:11, 6:10] = 1, 2
    values = 3 * torch.eye(3)[torch.from_numpy(kinds.ravel())] + 0.1 * torch.randn(
        144, 3, generator=generator
    )
    for thing in (1, 2):
        prior = torch.from_numpy((kinds == thing).ravel()).float()
        features = PatchFeatures(values, (12, 12), None, (120, 120), "two", prior=prior)
        assert np.array_equal(kmeans(features, 3, rule="union and prior"), kinds == thing)
        assert np.array_equal(kmeans(features, 3), kinds > 0)  # the border alone takes both


def test_kmeans_says_what_is_wrong(easy: tuple[PatchFeatures, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="rule must be one of border, union"):
        kmeans(easy[0], rule="corners")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="easy has no foreground prior"):
        kmeans(easy[0], rule="union and prior")
