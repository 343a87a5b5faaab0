"""Scores on cases counted by hand."""

import numpy as np
import pytest

from deepcut_lib.metrics import box_iou, corloc, mask_iou


def test_mask_iou() -> None:
    first = np.array([[1, 1, 0], [0, 0, 0]], bool)
    second = np.array([[0, 1, 1], [0, 0, 1]], bool)
    assert mask_iou(first, second) == 1 / 4
    assert mask_iou(first, first) == 1
    assert mask_iou(first, ~first) == 0
    assert mask_iou(np.zeros((2, 3), bool), np.zeros((2, 3), bool)) == 0
    with pytest.raises(ValueError, match="resize"):
        mask_iou(first, second.T)


def test_box_iou() -> None:
    assert box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == 1 / 7
    assert box_iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_corloc_counts_a_hit_on_any_box_from_one_half_on() -> None:
    half, less = (0, 0, 10, 5), (0, 0, 10, 4)
    truth = [(20, 20, 30, 30), (0, 0, 10, 10)]
    assert corloc([half, less], [truth, truth]) == 0.5
    assert corloc([half, half], [truth, []]) == 0.5
    with pytest.raises(ValueError, match="one box each"):
        corloc([half], [truth, truth])
