"""Features on their grid. (Log-binning against reference numbers: backbones/test_vit.py.)"""

import numpy as np
import pytest
import torch

from deepcut_lib.features import PatchFeatures, log_bin, normalize, pca_rgb, upsample


def make(grid: tuple[int, int], size: tuple[int, int], patch: int = 8, stride: int = 8) -> PatchFeatures:
    values = torch.randn(grid[0] * grid[1], 6, generator=torch.Generator().manual_seed(1))
    return PatchFeatures(values, grid, None, size, "test", patch, stride)


def test_values_must_fill_the_grid() -> None:
    with pytest.raises(ValueError, match="do not fill"):
        PatchFeatures(torch.zeros(5, 2), (2, 3), None, (10, 10), "test")


def test_upsampling_without_overlap_repeats_patches() -> None:
    labels = np.arange(6).reshape(2, 3)
    assert np.array_equal(upsample(labels, make((2, 3), (4, 9))), labels.repeat(2, 0).repeat(3, 1))


def test_upsampling_with_overlap_keeps_centres_in_place() -> None:
    # 32 pixels, patch 8, stride 4: centres at 4, 8, …, 28
    features = make((7, 7), (32, 32), 8, 4)
    index = np.tile(np.arange(7.0), (7, 1))
    rows = upsample(index, features, smooth=True)[16]
    assert np.allclose(rows[4:28], (np.arange(4, 28) + 0.5 - 4) / 4)
    assert rows[0] == 0
    assert rows[-1] == 6
    assert upsample(index, features)[16, 4] == 0
    assert upsample(index, features)[16, 6] == 1


def test_smooth_upsampling_of_a_constant_is_constant() -> None:
    for grid in ((1, 1), (1, 5), (4, 3)):
        assert np.allclose(upsample(np.full(grid, 0.3), make(grid, (17, 23)), smooth=True), 0.3)


def test_log_bin_holds_the_patch_in_its_middle_bin_and_ignores_far_ones() -> None:
    features = make((9, 9), (72, 72))
    binned = log_bin(features)
    assert binned.values.shape == (81, 17 * 6)
    assert torch.equal(binned.values[:, 4 * 6 : 5 * 6], features.values)
    changed = features.values.clone()
    changed[0] += 100  # 4 patches reach furthest: one step of 3 and half a block
    far = log_bin(PatchFeatures(changed, (9, 9), None, (72, 72), "test"))
    same = (far.values == binned.values).all(1).reshape(9, 9)
    assert same[5:].all()
    assert same[:, 5:].all()
    assert not same[:4, :4].any()


def test_normalize_is_blind_to_what_all_patches_share() -> None:
    values = make((4, 4), (32, 32)).values
    assert torch.allclose(normalize(values * 3 + 7), normalize(values), atol=1e-5)
    assert torch.allclose(normalize(values).norm(dim=1), torch.tensor(8.0))
    assert (normalize(torch.ones(4, 3)) == 0).all()


def test_pca_colours() -> None:
    features = make((4, 5), (32, 40))
    colours = pca_rgb(features)
    assert colours.shape == (4, 5, 3)
    assert np.allclose(colours.min((0, 1)), 0)
    assert np.allclose(colours.max((0, 1)), 1)
    flat = PatchFeatures(torch.ones(20, 6), (4, 5), None, (32, 40), "test")
    assert (pca_rgb(flat) == 0.5).all()
    two = PatchFeatures(torch.randn(20, 2), (4, 5), None, (32, 40), "test")
    assert (pca_rgb(two)[..., 2] == 0.5).all()
