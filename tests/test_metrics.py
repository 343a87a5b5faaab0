"""Scores on cases counted by hand."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from deepcut_lib.metrics import (
    AlphaErrors,
    alpha_errors,
    box_iou,
    box_of,
    box_scores,
    cluster_scores,
    contour,
    contour_f,
    corloc,
    flicker,
    keypoint_scores,
    labels_at,
    mask_iou,
    over_time,
    purity,
    still_pixels,
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


def square(top: int, left: int, side: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


class TestOverTime:
    def test_a_case_worked_out_by_hand(self) -> None:
        # round(linspace(1, 9, 5)) − 1 = 0, 2, 4, 6, 8: the first part is frames 0–2, the last 6–8
        found = over_time([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
        assert found == pytest.approx((0.6, 5 / 9, 0.9 - 0.3))  # 0.5 itself is not recalled

    def test_a_single_frame_does_not_decay(self) -> None:
        assert over_time([0.7]) == pytest.approx((0.7, 1.0, 0.0))
        with pytest.raises(ValueError, match="no scores"):
            over_time([])


class TestContourF:
    def test_the_contour_is_drawn_left_and_above_each_edge(self) -> None:
        assert np.argwhere(contour(square(1, 1, 1, (3, 3)))).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]

    def test_a_square_moved_within_the_bound_matches_and_beyond_it_in_part(self) -> None:
        # diagonal of 40×60: 72.1, times 0.008 is 0.58, rounded up: one pixel
        still = square(10, 10, 20)
        assert contour_f(still, square(10, 11, 20)) == 1.0
        # Moved three pixels right. The contour of a square of side a is a ring of 4a pixels, here 80: rows 9
        # to 29, columns 9 to 29. Of the moved one's (columns 12 to 32) those in rows 9 and 29 are near the
        # other in columns up to 30, 2 × 19, and of its left column those next to these rows, 2.
        found = contour_f(still, square(10, 13, 20))
        assert contour(still).sum() == 80
        assert found == pytest.approx(_matched(still, square(10, 13, 20)))
        assert found == pytest.approx((2 * 19 + 2) / 80)

    def test_empty_masks(self) -> None:
        empty = np.zeros((40, 60), bool)
        assert contour_f(empty, empty) == 1.0
        assert contour_f(square(3, 3, 5), empty) == contour_f(empty, square(3, 3, 5)) == 0.0


def _matched(first: np.ndarray, second: np.ndarray) -> float:
    """The official way, by dilation with a disc of radius one."""
    cross = ndimage.generate_binary_structure(2, 1)
    a, b = contour(first), contour(second)
    precision = (a & ndimage.binary_dilation(b, cross)).sum() / a.sum()
    recall = (b & ndimage.binary_dilation(a, cross)).sum() / b.sum()
    return 2 * precision * recall / (precision + recall)


def test_flicker_counts_changes_where_nothing_moves() -> None:
    first = Image.new("RGB", (8, 6), (100, 100, 100))
    second = first.copy()
    second.paste((104, 100, 100), (0, 0, 4, 6))  # the left half changes, by more than noise
    second.paste((102, 100, 100), (4, 0, 8, 6))
    still = still_pixels(first, second)
    assert np.array_equal(still, np.tile([False] * 4 + [True] * 4, (6, 1)))
    before, after = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
    after[:, 3:5] = True  # of the still half's 24 pixels 6 change
    assert flicker(before, after, still) == 6 / 24
    assert flicker(before, after, ~still & still) == 0.0
    with pytest.raises(ValueError, match="sizes"):
        still_pixels(first, first.resize((4, 4)))
