"""Places and patches in a picture, and clusters in colours."""

import numpy as np
import pytest

from deepcut_lib.features import upsample
from deepcut_lib.lessons.common.figures import colours_by_size, patch_at, patch_box, similarity_map
from deepcut_lib.plots.style import BLUE, ORANGE
from tests.lessons.definitions import random_features


@pytest.mark.parametrize("stride", [8, 4, 2])
def test_the_patch_at_a_place_is_the_one_that_an_enlarged_map_shows_there(stride: int) -> None:
    features = random_features((6, 9), stride=stride)
    numbers = upsample(np.arange(54).reshape(6, 9), features)
    for y, x in ((0, 0), (89, 139), (44, 70), (13, 101), (60, 33)):
        row, column = patch_at(features, ((y + 0.5) / 90, (x + 0.5) / 140))
        assert numbers[y, x] == 9 * row + column


def test_a_patchs_box_has_the_patchs_size_and_the_last_ends_with_the_picture() -> None:
    features = random_features((5, 9), stride=4)  # 24 × 40 fitted pixels, shown at 90 × 140
    x, y, width, height = patch_box(features, (4, 8))
    assert (width, height) == pytest.approx((8 * 140 / 40, 8 * 90 / 24))
    assert (x + width, y + height) == pytest.approx((140, 90))


def test_a_place_outside_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the picture"):
        similarity_map(random_features(), (0.5, 1.2))


def test_the_largest_cluster_is_blue_whatever_its_number() -> None:
    shown = colours_by_size(np.array([[7, 7, 2], [2, 2, 2]]))
    assert shown.shape == (2, 3, 3)
    assert tuple(shown[0, 0]) == ORANGE
    assert tuple(shown[1, 1]) == BLUE
