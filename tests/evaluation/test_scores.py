"""Scores of masks: by hand, by slow loops, and by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, fbeta_score, jaccard_score

from deepcut_lib.evaluation.scores import (
    BETA_SQUARED,
    THRESHOLDS,
    centre_square,
    expand_f,
    f_measures,
    mask_scores,
)


def test_a_mask_by_hand() -> None:
    predicted = np.array([[1, 1, 0], [0, 0, 0]], bool)
    truth = np.array([[0, 255, 127], [0, 0, 128]], np.uint8)
    scores = mask_scores(predicted, truth)
    assert scores["iou"] == 1 / 3  # one of three: (0,0), (0,1), (1,2)
    assert scores["iou_any"] == 1 / 4
    assert scores["accuracy"] == 4 / 6
    precision, recall = 1 / 2, 1 / 2
    assert scores["f"][1] == pytest.approx(1.3 * precision * recall / (0.3 * precision + recall), abs=1e-6)
    assert scores["f"][0] == pytest.approx(1.3 * (2 / 6) / (0.3 * (2 / 6) + 1), abs=1e-6)  # all is foreground


def test_soft_masks_are_cut_above_one_half() -> None:
    soft = np.array([[0.5, 0.51], [0.2, 1.0]], np.float32)
    truth = np.array([[0, 255], [0, 255]], np.uint8)
    assert mask_scores(soft, truth)["iou"] == 1
    assert len(mask_scores(soft, truth)["f"]) == 255


@pytest.mark.parametrize("empty", ["prediction", "truth", "both"])
def test_nothing_there_is_no_hit(empty: str) -> None:
    some = np.zeros((3, 4), bool)
    some[1, 1] = True
    prediction = np.zeros_like(some) if empty in ("prediction", "both") else some
    truth = np.zeros((3, 4), np.uint8) if empty in ("truth", "both") else some * np.uint8(255)
    scores = mask_scores(prediction, truth)
    assert scores["iou"] == 0
    assert scores["f"][1] == 0
    assert np.isfinite(scores["f"]).all()


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        soft, truth = rng.random((9, 11)).astype(np.float32), rng.integers(0, 256, (9, 11), np.uint8)
        scores = mask_scores(soft, truth)
        flat, mask = truth.ravel() >= 128, soft.ravel() > 0.5
        assert scores["iou"] == pytest.approx(jaccard_score(flat, mask))
        assert scores["iou_any"] == pytest.approx(jaccard_score(truth.ravel() >= 1, mask))
        assert scores["accuracy"] == pytest.approx(accuracy_score(flat, mask))
        for i in (0, 1, 100, 254):
            wanted = fbeta_score(flat, soft.ravel() >= THRESHOLDS[i], beta=BETA_SQUARED**0.5, zero_division=0)
            assert scores["f"][i] == pytest.approx(wanted, abs=1e-6)


def test_every_threshold_counts_from_itself_on() -> None:
    values = (np.arange(256) / 255).reshape(16, 16)
    truth = values >= 0.4
    measures = f_measures(values, truth)
    for i, threshold in enumerate(THRESHOLDS):
        mask = values >= threshold
        hits = (mask & truth).sum()
        precision, recall = hits / mask.sum(), hits / truth.sum()
        assert measures[i] == pytest.approx(1.3 * precision * recall / (0.3 * precision + recall))
    assert measures.max() == pytest.approx(1)


def test_a_bool_mask_has_two_f_measures() -> None:
    rng = np.random.default_rng(1)
    mask, truth = rng.random((8, 8)) > 0.5, rng.integers(0, 256, (8, 8), np.uint8)
    short = mask_scores(mask, truth)["f"]
    whole = mask_scores(mask.astype(np.float64), truth)["f"]
    assert len(short) == 2
    assert np.array_equal(expand_f(short), expand_f(whole))


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        mask_scores(np.zeros((2, 3), bool), np.zeros((3, 2), np.uint8))


def test_the_square_in_the_middle() -> None:
    wide = np.arange(3 * 8).reshape(3, 8)
    assert np.array_equal(centre_square(wide), wide[:, 2:5])
    assert np.array_equal(centre_square(wide.T), wide.T[2:5])
