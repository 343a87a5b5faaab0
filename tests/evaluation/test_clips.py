"""``evaluate davis``: clips, their scores, and runs that go on."""

from pathlib import Path

import numpy as np
import pytest

from deepcut_lib.evaluation.tasks.clips import METHODS, scores_of_clip
from tests.datasets import miniature
from tests.evaluation.test_command import evaluate, rows_of, table_of


def test_scores_leave_the_first_and_the_last_frame_out() -> None:
    truth = np.zeros((40, 60), bool)
    truth[10:30, 10:30] = True
    half = truth.copy()
    half[10:20] = False  # IoU 1/2, which is not above one half
    nothing = np.zeros_like(truth)
    scores = scores_of_clip([nothing, truth, truth, half, nothing, nothing], [truth] * 6)
    # Four frames count, 1, 1, ½, 0, in parts that end at 1, 1.75, 2.5, 3.25 and 4, rounded to 1, 2, 3, 3, 4:
    # the first part is frames 1 and 2, the last 3 and 4
    assert scores["j"] == pytest.approx(2.5 / 4)
    assert scores["j_recall"] == 2 / 4
    assert scores["j_decay"] == pytest.approx(1 - (0.5 + 0) / 2)
    assert scores["contour_recall"] == 3 / 4
    assert scores_of_clip([nothing] * 3, [nothing] * 3)["j"] == 1.0
    with pytest.raises(ValueError, match="three at least"):
        scores_of_clip([truth] * 2, [truth] * 2)


def test_all_methods_fill_the_table_and_runs_go_on(tmp_path: Path) -> None:
    miniature.davis(tmp_path / "data")
    assert evaluate(tmp_path, "davis", "--methods", "carried", "kmeans_joint") == 0
    file = tmp_path / "out" / "davis-pixels" / "davis-pixels.jsonl"
    first = rows_of(file)
    assert [(row["method"], row["image"]) for row in first] == [
        ("carried", "bear"),
        ("kmeans_joint", "bear"),
        ("carried", "swan"),
        ("kmeans_joint", "swan"),
    ]
    assert evaluate(tmp_path, "davis") == 0
    assert rows_of(file)[:4] == first
    table = table_of(tmp_path / "out" / "davis-pixels")
    assert {key[0] for key in table} == {name for name in METHODS if "prior" not in name}
    assert float(table["carried", "davis", "j"]["mean"]) > 40
    report = (tmp_path / "out" / "davis-pixels" / "report.md").read_text()
    assert "| DeepCut, carried |" in report
    assert "pixels has no foreground prior" in report


def test_a_clip_with_a_bad_frame_is_a_failure_of_its_own(tmp_path: Path) -> None:
    miniature.davis(tmp_path / "data")
    bad = tmp_path / "data" / "DAVIS" / "JPEGImages" / "480p" / "bear" / "00002.jpg"
    bad.write_bytes(b"torn")
    assert evaluate(tmp_path, "davis", "--methods", "carried") == 1
    rows = rows_of(tmp_path / "out" / "davis-pixels" / "davis-pixels.jsonl")
    assert [row["image"] for row in rows] == ["swan"]
