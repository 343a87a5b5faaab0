"""The command line as a user meets it: files, exit codes, bad input, going on after a stop."""

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepcut_lib import segmentation, threads
from deepcut_lib.batches import TOGETHER
from deepcut_lib.cli import segment as segment_command
from deepcut_lib.cli import sets as sets_command
from deepcut_lib.cli.main import main
from deepcut_lib.features import PatchFeatures
from deepcut_lib.plots import PALETTE

FAST = ["--backbone", "pixels", "--size", "128"]


@pytest.fixture
def folder(tmp_path: Path, photograph: np.ndarray, disc: np.ndarray) -> Path:
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for name in ("one", "two", "three"):
        Image.fromarray(photograph).save(images / f"{name}.jpg")
        Image.fromarray(disc).save(masks / f"{name}.png")
    return tmp_path


def run(folder: Path, *more: str, command: str = "segment") -> int:
    return main([command, str(folder / "images"), "--out", str(folder / "out"), *FAST, *more])


def test_segment_writes_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--masks", str(folder / "masks")) == 0
    printed = capsys.readouterr().out
    assert len(re.findall(r"^(one|two|three) +pixels", printed, re.M)) == 3
    assert "mean foreground IoU" in printed
    out = folder / "out"
    assert len(list(out.iterdir())) == 3 * 4 + 1
    row = json.loads((out / "one.json").read_text())
    assert row["score"] > 0.6
    assert row["settings"]["backbone"] == "pixels"
    mask = np.asarray(Image.open(out / row["mask"]))
    assert mask.shape == (96, 128)
    assert mask.mean() == pytest.approx(row["foreground_share"])
    page = (out / "index.html").read_text()
    for name in re.findall(r'src="([^"]+)"', page):
        assert (out / name).exists()
    assert page.count("<figure") == 3


def test_localize_scores_boxes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--masks", str(folder / "masks"), command="localize") == 0
    assert "CorLoc" in capsys.readouterr().out
    assert len(json.loads((folder / "out" / "two.json").read_text())["box"]) == 4


class TestMattes:
    """``--matte``."""

    def test_are_written_with_the_rest(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(folder, "--matte") == 0
        printed = capsys.readouterr().out
        assert "mattes by solver" in printed
        out = folder / "out"
        row = json.loads((out / "one.json").read_text())
        assert row["settings"]["refine"]
        with Image.open(out / row["matte"]) as matte:
            assert matte.mode == "RGBA"
            alpha = np.asarray(matte)[..., 3]
        assert ((alpha > 127) != np.asarray(Image.open(out / row["mask"]))).mean() < 0.02
        assert (out / "index.html").read_text().count('class="matte"') == 3

    def test_are_kept_while_they_are_whole(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(folder, "--matte") == 0
        matte = folder / "out" / "two_matte.png"
        first = matte.read_bytes()
        matte.write_bytes(first[:100])
        capsys.readouterr()
        assert run(folder, "--matte") == 0
        assert capsys.readouterr().out.count(" kept") == 3  # two pictures, and the summary
        assert matte.read_bytes() == first

    def test_are_no_pictures_of_a_later_run(self, folder: Path) -> None:
        assert run(folder, "--matte") == 0
        assert main(["segment", str(folder), "--out", str(folder / "more"), *FAST]) == 0
        assert not list((folder / "more").glob("*matte*"))

    def test_a_run_without_them_makes_its_own_results(self, folder: Path) -> None:
        assert run(folder, "--matte") == 0
        assert run(folder) == 0
        row = json.loads((folder / "out" / "one.json").read_text())
        assert "matte" not in row
        assert "matting" not in row["settings"]
        assert 'class="matte"' not in (folder / "out" / "index.html").read_text()

    def test_without_pymatting_nothing_begins(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pymatting", None)
        assert run(folder, "--matte", "--matting", "knn") != 0
        assert "pip install -e '.[matting]'" in capsys.readouterr().err
        assert not (folder / "out").exists()

    def test_a_method_without_mattes_is_refused(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(folder, "--matting", "solver") != 0
        assert "give --matte too" in capsys.readouterr().err


def test_second_run_keeps_what_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []

    def counted(features: list[PatchFeatures], **options: Any) -> list[segmentation.Segmentation]:
        done.extend(features)
        return segmentation.cut(features, **options)

    monkeypatch.setattr(segment_command, "cut", counted)
    assert run(folder) == 0
    assert len(done) == 3
    first = {path.name: path.read_bytes() for path in (folder / "out").glob("*.json")}

    (folder / "out" / "two_mask.png").unlink()
    assert run(folder) == 0
    assert len(done) == 4
    assert (folder / "out" / "two_mask.png").exists()
    assert "2 kept from before" in capsys.readouterr().out
    assert (folder / "out" / "one.json").read_bytes() == first["one.json"]

    assert run(folder, "--k", "2") == 0  # other settings: all anew
    assert len(done) == 7
    Image.new("RGB", (40, 40), "red").save(folder / "images" / "one.jpg")
    assert run(folder, "--k", "2") == 0  # another picture of the same name
    assert len(done) == 8
    assert run(folder, "--k", "2", "--overwrite") == 0
    assert len(done) == 11


def test_bad_pictures_do_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "empty.jpg").touch()
    (folder / "images" / "not.png").write_text("no picture")
    (folder / "images" / "cut.jpg").write_bytes((folder / "images" / "one.jpg").read_bytes()[:500])
    Image.new("L", (5, 5)).save(folder / "masks" / "two.png")
    assert run(folder, "--masks", str(folder / "masks")) == 1
    printed = capsys.readouterr()
    for bad in ("empty.jpg", "not.png", "cut.jpg", "two.png"):
        assert re.search(rf"not done: .*{re.escape(bad)}", printed.err)
        assert bad in (folder / "out" / "index.html").read_text()
    assert "Traceback" not in printed.err
    assert sorted(path.stem for path in (folder / "out").glob("*.json")) == ["one", "three"]


def test_pictures_of_one_name_do_not_overwrite_each_other(folder: Path, photograph: np.ndarray) -> None:
    (folder / "images" / "more").mkdir()
    Image.fromarray(photograph[:, ::-1]).save(folder / "images" / "more" / "one.png")
    assert run(folder) == 0
    assert {"one.json", "one-2.json"} <= {path.name for path in (folder / "out").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment", "nowhere", "--out", "x"], "no such file or folder"),
        (["segment", ".", "--out", "x", "--backbone", "resnet"], "no backbone is called"),
        (["segment", ".", "--out", "x", "--backbone", "pixels", "--device", "toaster"], "toaster"),
        (["segment", ".", "--out", "x", "--backbone", "dino_vits8", "--checkpoint", "gone.pth"], "gone.pth"),
    ],
)
def test_errors_are_one_line(
    folder: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1


def test_a_full_disk_stops_with_a_remedy_and_keeps_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "MOST_SIDE_BY_SIDE", 1)  # or the third is made beside the second
    whole = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "three" in self.name:
            whole(self, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run(folder) == 1
    error = capsys.readouterr().err
    assert "No space left" in error
    assert "free some space" in error
    names = {path.name for path in (folder / "out").iterdir()}
    assert not [name for name in names if "three" in name]
    assert {"one.json", "one_mask.png"} <= names

    monkeypatch.setattr(Path, "write_bytes", whole)
    assert run(folder) == 0
    assert "2 kept from before" in capsys.readouterr().out  # those of its batch were made alone


def test_an_interrupt_leaves_a_page_of_what_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "MOST_SIDE_BY_SIDE", 1)  # or it is not sure which the second is
    monkeypatch.setattr(segment_command, "TOGETHER", dict.fromkeys(TOGETHER, 1))
    calls = iter([None, KeyboardInterrupt])

    def interrupted(features: list[PatchFeatures], **options: Any) -> list[segmentation.Segmentation]:
        if next(calls):
            raise KeyboardInterrupt
        return segmentation.cut(features, **options)

    monkeypatch.setattr(segment_command, "cut", interrupted)
    assert run(folder) == 130
    assert "again to go on" in capsys.readouterr().err
    assert (folder / "out" / "index.html").read_text().count("<figure") == 1


def test_as_a_module(folder: Path) -> None:
    command = [sys.executable, "-m", "deepcut_lib", "segment", str(folder / "images" / "one.jpg")]
    done = subprocess.run(
        [*command, "--out", str(folder / "out"), *FAST], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    helped = subprocess.run([*command[:4], "--help"], capture_output=True, text=True, check=True).stdout
    for flag in (
        "backbone",
        "objective",
        "k",
        "alpha",
        "epochs",
        "stride",
        "two-stage",
        "refine",
        "seed",
        "device",
    ):
        assert f"--{flag}" in helped


def test_refined_and_two_stage_runs(folder: Path) -> None:
    assert run(folder, "--two-stage", "--refine", "--objective", "cc", "--alpha", "2", "--epochs", "5") == 0
    settings = json.loads((folder / "out" / "one.json").read_text())["settings"]
    assert settings["two_stage"]
    assert settings["refine"]
    assert settings["recipe"]["objective"] == "cc"
    assert settings["recipe"]["n_clusters"] == 10


def test_parts_of_many_pictures(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (60, 40), "teal").save(folder / "images" / "blank.png")
    (folder / "images" / "empty.jpg").touch()
    assert run(folder, "--k", "2", "--epochs", "5", command="parts") == 1
    printed = capsys.readouterr()
    assert re.search(r"not done: .*empty\.jpg", printed.err)
    assert "blank: no foreground was found" in printed.out
    how = "foreground by ncut, K=3, no prior, 2 parts, joint, seed 0"
    assert f"4 pictures with pixels, {how}; 1 without parts; 1 not done." in printed.out
    out = folder / "out"
    row = json.loads((out / "one.json").read_text())
    assert row["n_parts"] == 2
    assert len(row["shares"]) == 3
    assert min(row["shares"]) > 0  # the background and both parts are there
    assert sum(row["shares"]) == pytest.approx(1)
    for name in re.findall(r'src="([^"]+)"', (out / "index.html").read_text()):
        assert (out / name).exists()
    with Image.open(out / row["labels"]) as labels:
        assert labels.size == (128, 96)
        colours = {colour for _, colour in labels.getcolors()}
    assert colours == {(60, 60, 60), *map(tuple, PALETTE[:2].tolist())}
    first = (out / "one_parts.png").read_bytes()

    monkeypatch.setattr(sets_command, "segment", None)  # nothing is extracted twice
    (folder / "images" / "empty.jpg").unlink()
    assert run(folder, "--k", "2", "--epochs", "5", command="parts") == 0
    assert "4 kept from before" in capsys.readouterr().out
    assert (out / "one_parts.png").read_bytes() == first
    for mode in ("sequential", "shared-start"):
        assert run(folder, "--k", "2", "--epochs", "2", "--mode", mode, command="parts") == 0
    (out / "features" / "two.npz").write_bytes(b"half a file")
    monkeypatch.undo()
    assert run(folder, "--k", "2", "--epochs", "2", command="parts") == 0
    assert "3 kept from before" in capsys.readouterr().out


def test_clusters_of_many_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for name, colour in {"red": (200, 30, 30), "blue": (30, 30, 200)}.items():
        (folder / "images" / name).mkdir()
        for i in range(4):
            noise = np.clip(rng.normal(colour, 15, (40, 50, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / "images" / name / f"{i}.png")
    for path in (folder / "images").glob("*.jpg"):
        path.unlink()
    (folder / "images" / "not.png").write_text("no picture")
    command = ["cluster", str(folder / "images"), "--out", str(folder / "out"), *FAST, "--by-folder"]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert re.search(r"not done: .*not\.png", printed.err)
    assert "8 pictures in 2 clusters with pixels, α=12, seed 0; purity 1.000, NMI 1.000" in printed.out
    table = (folder / "out" / "clusters.csv").read_text()
    assert table.splitlines()[0] == "name,picture,cluster,sureness"
    assert all(0 < float(line.split(",")[-1]) <= 1 for line in table.splitlines()[1:])
    assert len(table.splitlines()) == 9
    page = (folder / "out" / "index.html").read_text()
    assert page.count("<h2 id=") == 2
    assert "not.png" in page
    for name in re.findall(r'src="([^"]+)"', page):
        assert (folder / "out" / name).exists()

    (folder / "images" / "not.png").unlink()
    assert main(command) == 0
    assert "8 kept from before" in capsys.readouterr().out
    assert (folder / "out" / "clusters.csv").read_text() == table
    assert main([*command, "--alpha", "data"]) == 0
    assert "8 pictures in 2 clusters with pixels, no alpha, seed 0; purity 1.000" in capsys.readouterr().out
    assert main([*command, "--alpha", "data", "--k", "5"]) == 1
    assert "--alpha data has none: leave them out" in capsys.readouterr().err
    assert main([*command, "--alpha", "0.5"]) == 1
    assert "error: alpha must be at least 1" in capsys.readouterr().err
    for path in (folder / "images").rglob("*.png"):
        path.write_bytes(b"")
    assert main(command) == 1
    assert "No picture could be used" in capsys.readouterr().out
