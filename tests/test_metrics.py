"""Scores on cases counted by hand."""

import numpy as np
import pytest

from deepcut_lib.metrics import (
    AlphaErrors,
    alpha_errors,
    box_iou,
    box_of,
    box_scores,
    cluster_scores,
    corloc,
    keypoint_scores,
    labels_at,
    mask_iou,
    purity,
)


def test_mask_iou() -> None:
    first = np.array([[1, 1, 0], [0, 0, 0]], bool)
    second = np.array([[0, 1, 1], [0, 0, 1]], bool)
    assert mask_iou(first, second) == 1 / 4
    assert mask_iou(first, first) == 1
    assert mask_iou(first, ~first) == 0
    assert mask_iou(np.zeros((2, 3), bool), np.zeros((2, 3), bool)) == 0
    with pytest.raises(ValueError, match="resize"):
        mask_iou(first, second.T)


class TestAlpha:
    """Errors of alpha mattes."""

    def test_by_hand(self) -> None:
        truth = np.zeros((20, 30))
        truth[:, 15:] = 1
        assert alpha_errors(truth, truth) == AlphaErrors(0, 0, 0)
        assert alpha_errors(truth > 0.5, truth) == AlphaErrors(0, 0, 0)
        faint = truth * 0.5
        # half of 300 pixels' worth; a quarter on half of all pixels; half as steep everywhere
        sad, mse, gradient = alpha_errors(faint, truth)
        assert (sad, mse) == pytest.approx((0.15, 0.125))
        assert gradient == pytest.approx(alpha_errors(np.zeros((20, 30)), truth).gradient / 4)

    def test_gradients_are_of_filters_of_length_one(self) -> None:
        point = np.zeros((31, 31))
        point[15, 15] = 1
        # |∇|² sums, over the plane, the squares of both filters, each of which sums to one
        assert alpha_errors(point, np.zeros((31, 31))).gradient == pytest.approx(2 / 1000)
        turned = alpha_errors(point.T, np.zeros((31, 31))).gradient
        assert turned == pytest.approx(2 / 1000)

    def test_a_step_that_is_blurred_costs_its_steepness(self) -> None:
        step = np.repeat([[0.0] * 15 + [1.0] * 15], 20, axis=0)
        ramp = np.repeat([np.clip((np.arange(30) - 9.5) / 10, 0, 1)], 20, axis=0)
        shifted = np.roll(step, 1, axis=1)
        shifted[:, 0] = 0
        assert alpha_errors(shifted, step).sad == pytest.approx(0.02)
        assert 0 < alpha_errors(shifted, step).gradient < alpha_errors(ramp, step).gradient

    def test_sizes_must_agree(self) -> None:
        with pytest.raises(ValueError, match="resize"):
            alpha_errors(np.zeros((2, 3)), np.zeros((3, 2)))


def test_box_of_a_mask() -> None:
    mask = np.zeros((5, 7), bool)
    assert box_of(mask) is None
    mask[1, 2] = mask[3, 6] = True
    assert box_of(mask) == (2, 1, 7, 4)


def test_box_iou() -> None:
    assert box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == 1 / 7
    assert box_iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_a_box_is_scored_by_the_true_one_that_it_meets_best() -> None:
    truths = [(20, 20, 30, 30), (0, 0, 10, 10)]
    assert box_scores((0, 0, 10, 5), truths) == {"corloc": 1.0, "box_iou": 0.5}
    assert box_scores((0, 0, 10, 4), truths) == {"corloc": 0.0, "box_iou": 0.4}
    assert box_scores((0, 0, 10, 5), []) == {"corloc": 0.0, "box_iou": 0.0}


def test_corloc_counts_a_hit_on_any_box_from_one_half_on() -> None:
    half, less = (0, 0, 10, 5), (0, 0, 10, 4)
    truth = [(20, 20, 30, 30), (0, 0, 10, 10)]
    assert corloc([half, less], [truth, truth]) == 0.5
    assert corloc([half, half], [truth, []]) == 0.5
    with pytest.raises(ValueError, match="one box each"):
        corloc([half], [truth, truth])


def test_purity_counts_the_commonest_class_of_each_cluster() -> None:
    truth = ["shoe", "shoe", "bag", "bag", "bag", "belt"]
    assert purity(truth, [0, 0, 0, 1, 1, 1]) == 4 / 6
    assert purity(truth, [0] * 6) == 3 / 6
    assert purity(truth, range(6)) == 1  # why the number of clusters stands beside it
    for wrong in ([0, 1], []):
        with pytest.raises(ValueError, match="one for each item"):
            purity(truth, wrong)
    with pytest.raises(ValueError, match="0 labels"):
        cluster_scores([], [])


def test_cluster_scores_of_known_cases() -> None:
    truth = np.repeat([0, 1], 4)
    assert cluster_scores(truth, 1 - truth) == (2, 1.0, 1.0, 1.0)
    assert cluster_scores(truth, np.zeros(8, int)) == (1, 0.5, 0.0, 0.0)
    assert cluster_scores(truth, np.tile([0, 1], 4)) == pytest.approx((2, 0.5, 0.0, -1 / 6), abs=1e-9)
    # arithmetic mean: H(truth) = ln 2, H(labels) = ln 4, shared ln 2
    assert cluster_scores(truth, np.repeat([0, 1, 2, 3], 2)).nmi == pytest.approx(2 / 3)


def test_labels_at_reads_the_pixel_that_a_point_lies_in() -> None:
    labels = np.arange(12).reshape(3, 4)
    points = np.array([(0, 0), (0.99, 0.99), (1, 0), (3.5, 2.5), (4.2, 9), (-1, 1)])
    assert labels_at(labels, points).tolist() == [0, 0, 1, 11, 11, 4]
    assert labels_at(labels, np.empty((0, 2))).tolist() == []


def test_keypoints_are_pooled_over_pictures() -> None:
    beak_and_tail = [[3, 9], [9, 3], [3]]
    assert keypoint_scores(beak_and_tail, [[1, 2], [2, 1], [1]])[2:] == (1.0, 1.0)
    # right in each picture, but named anew: nothing is shared
    assert keypoint_scores(beak_and_tail[:2], [[1, 2], [1, 2]]).nmi == pytest.approx(0, abs=1e-9)
    assert keypoint_scores([[3, 9], []], [[1, 2], []]).n_clusters == 2
    with pytest.raises(ValueError, match="one label for each key point"):
        keypoint_scores([[1, 2]], [[1]])
    with pytest.raises(ValueError, match="no key points"):
        keypoint_scores([[]], [[]])
