"""The border rule and its ties, and boxes."""

import numpy as np
import pytest

from deepcut_lib.foreground import background_clusters, border_share, foreground_box, touched_edges


def labels(*rows: str) -> np.ndarray:
    return np.array([[int(cell) for cell in row] for row in rows])


def test_an_object_inside() -> None:
    grid = labels("00000", "01110", "01100", "00000")
    assert touched_edges(grid).tolist() == [4, 0]
    assert background_clusters(grid).tolist() == [True, False]


def test_sky_and_ground_are_both_background() -> None:
    grid = labels("000000", "000000", "011100", "211122", "222222")
    assert touched_edges(grid).tolist() == [3, 0, 3]
    assert background_clusters(grid).tolist() == [True, False, True]


def test_an_object_on_two_edges_is_foreground() -> None:
    grid = labels("00000", "00000", "00001", "00111")
    assert touched_edges(grid).tolist() == [4, 2]
    assert background_clusters(grid).tolist() == [True, False]


def test_more_than_a_quarter_of_the_border_is_background() -> None:
    # cluster 1 lies on two edges only, yet holds half of the border
    grid = labels("11111", "10001", "00000", "02000", "00000")
    share = border_share(grid)
    assert share.sum() == pytest.approx(1)
    assert share[1] > 0.25
    assert background_clusters(grid).tolist() == [True, True, False]


def test_tie_where_all_would_be_background_goes_to_the_smaller_border_share() -> None:
    grid = labels("0000", "0001", "1111", "1111")
    assert touched_edges(grid).tolist() == [3, 3]
    assert border_share(grid).tolist() == [5 / 12, 7 / 12]
    assert background_clusters(grid).tolist() == [False, True]


def test_tie_with_equal_border_share_goes_to_the_smaller_cluster_then_the_first() -> None:
    assert background_clusters(labels("0000", "0000", "1111", "1111")).tolist() == [False, True]
    # six border patches each, cluster 1 has one patch more inside
    assert background_clusters(labels("0000", "0101", "1111")).tolist() == [False, True]


def test_where_none_would_be_background_the_largest_border_share_is() -> None:
    # six clusters, each on at most two edges and with less than a quarter of the border
    grid = labels("001122", "006622", "336655", "334455")
    found = background_clusters(grid)
    assert (touched_edges(grid) <= 2).all()
    assert found.sum() == 1
    assert found[border_share(grid).argmax()]


def test_one_cluster_is_all_background() -> None:
    assert background_clusters(np.zeros((3, 4), int)).tolist() == [True]
    assert background_clusters(np.full((3, 4), 2)).tolist() == [True, True, True]


def test_numbers_without_patches_are_background() -> None:
    assert background_clusters(labels("0000", "0330", "0000")).tolist() == [True, True, True, False]


def test_renaming_clusters_renames_the_background() -> None:
    grid = labels("000000", "000000", "011100", "211122", "222222")
    swapped = np.array([2, 0, 1])[grid]
    assert background_clusters(swapped)[[2, 0, 1]].tolist() == background_clusters(grid).tolist()


def test_box_is_round_the_largest_part_with_exclusive_far_edges() -> None:
    foreground = labels("10000", "00110", "00110", "00000").astype(bool)
    assert foreground_box(foreground, (40, 50)) == (20, 10, 40, 30)
    assert foreground_box(foreground, (43, 57)) == (22, 10, 46, 32)


def test_box_without_foreground_is_the_whole_picture() -> None:
    assert foreground_box(np.zeros((4, 5), bool), (40, 50)) == (0, 0, 50, 40)


def test_a_box_is_never_empty() -> None:
    foreground = np.zeros((28, 28), bool)
    foreground[5, 5] = True
    x1, y1, x2, y2 = foreground_box(foreground, (3, 3))
    assert x1 < x2 <= 3
    assert y1 < y2 <= 3
