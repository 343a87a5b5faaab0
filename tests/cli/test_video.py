"""``video``: what it writes, and runs that go on."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.cli import video as video_command
from deepcut_lib.cli.main import main
from deepcut_lib.video import CarriedDeepCut, Tracked, has_video_reader
from tests.video.conftest import RED_ON_GREEN, scene

FAST = ["--backbone", "pixels", "--size", "96"]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of eight frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, at in enumerate(range(40, 88, 6)):
        Image.fromarray(scene(at, RED_ON_GREEN)).save(folder / f"{number}.png")
    return folder


def listed(out: Path) -> dict:
    return json.loads((out / "frames.json").read_text())


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def test_masks_boxes_and_clip_are_written(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["video", str(frames), "--out", str(out), *FAST, "--parts", "2"]) == 0
    rows = listed(out)["frames"]
    assert [row["name"] for row in rows] == [str(number) for number in range(8)]
    for row in rows:
        mask = Image.open(out / row["mask"])
        assert mask.mode == "P"
        columns = np.flatnonzero(np.asarray(mask).any(axis=0))
        assert abs(row["box"][0] - columns.min()) < 10
        assert set(np.unique(Image.open(out / row["labels"]))) <= {0, 1, 2}
    assert (out / "overlay.mp4").exists() == has_video_reader()


def test_a_run_that_was_cut_off_goes_on_to_the_same_masks(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(video_command, "SAVED_EVERY", 3)
    whole, cut_off = tmp_path / "whole", tmp_path / "cut off"
    assert main(["video", str(frames), "--out", str(whole), *FAST]) == 0
    follow = CarriedDeepCut.follow
    seen: list[int] = []

    def interrupted(self: CarriedDeepCut, *given: object) -> Tracked:
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(1)
        return follow(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(CarriedDeepCut, "follow", interrupted)
        assert main(["video", str(frames), "--out", str(cut_off), *FAST]) == 130
    assert len(listed(cut_off)["frames"]) == 5
    again: list[int] = []

    def counted(self: CarriedDeepCut, *given: object) -> Tracked:
        again.append(1)
        return follow(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(CarriedDeepCut, "follow", counted)
    assert main(["video", str(frames), "--out", str(cut_off), *FAST]) == 0
    assert len(again) == 5  # from the third on, where what was carried was saved last
    assert files(cut_off) == files(whole)
    assert listed(cut_off) == listed(whole)
    assert "5 kept from before" in capsys.readouterr().out
    again.clear()
    assert main(["video", str(frames), "--out", str(cut_off), *FAST]) == 0
    assert not again


def test_a_changed_frame_is_done_anew_with_all_after_it(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["video", str(frames), "--out", str(out), *FAST]) == 0
    Image.fromarray(scene(100, RED_ON_GREEN)).save(frames / "4.png")
    assert main(["video", str(frames), "--out", str(out), *FAST]) == 0
    fresh = tmp_path / "fresh"
    assert main(["video", str(frames), "--out", str(fresh), *FAST]) == 0
    assert files(out) == files(fresh)


def test_bad_frames_are_reported_and_the_others_go_on(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frames / "3.png").write_bytes(b"torn")
    for _ in range(2):
        assert main(["video", str(frames), "--out", str(tmp_path / "out"), *FAST]) == 1
        assert "not done: frame 3 (3)" in capsys.readouterr().err
    assert len(listed(tmp_path / "out")["frames"]) == 7


def test_results_never_land_among_the_frames(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", str(frames), "--out", str(frames), *FAST]) == 1
    assert "another --out" in capsys.readouterr().err
