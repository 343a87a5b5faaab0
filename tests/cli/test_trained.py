"""Networks that are fitted once and label all pictures, from the command line."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from deepcut_lib import load_backbone, threads, train_once
from deepcut_lib.batches import TOGETHER
from deepcut_lib.cli import segment as segment_command
from deepcut_lib.cli import trained as trained_command
from deepcut_lib.cli.main import main
from deepcut_lib.images import find_images
from deepcut_lib.trained import TrainedDeepCut

FAST = ["--backbone", "pixels", "--size", "96", "--epochs", "5"]


def run(photos: Path, *more: str, command: str = "segment", out: str = "out") -> int:
    return main([command, str(photos), "--out", str(photos.parent / out), *more])


def masks(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def test_labels_are_those_of_the_library(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = photos.parent / "networks.safetensors"
    assert run(photos, "--save-trained", str(file), *FAST) == 0
    backbone = load_backbone("pixels")
    pictures = find_images(photos)
    ours = train_once(pictures, backbone=backbone, size=96, epochs=5)
    saved = TrainedDeepCut.load(file)
    for path in pictures:
        wanted = ours.segment(path, backbone=backbone)
        assert np.array_equal(wanted.labels, saved.segment(path, backbone=backbone).labels)
        with Image.open(photos.parent / "out" / f"{path.stem}_mask.png") as mask:
            assert np.array_equal(np.asarray(mask), wanted.mask)

    assert run(photos, "--trained", str(file), out="again") == 0
    assert masks(photos.parent / "again") == masks(photos.parent / "out")
    assert run(photos, "--save-trained", str(file), *FAST, command="localize", out="boxes") == 0
    assert "networks kept" in capsys.readouterr().out


def test_parts_are_those_of_the_library(photos: Path) -> None:
    file = photos.parent / "networks.safetensors"
    Image.new("RGB", (128, 96), "teal").save(photos / "blank.png")
    assert run(photos, "--save-trained", str(file), "--k", "2", *FAST, command="parts") == 0
    backbone = load_backbone("pixels")
    ours = train_once(find_images(photos), k=2, backbone=backbone, size=96, part_epochs=5)
    for path in find_images(photos):
        parts = ours.parts(path, backbone=backbone)
        row = json.loads((photos.parent / "out" / f"{path.stem}.json").read_text())
        assert row["n_parts"] == parts.n_parts
        assert row["message"] == parts.message
        assert row["shares"] == (np.bincount(parts.labels.ravel(), minlength=3) / parts.labels.size).tolist()
        with Image.open(photos.parent / "out" / row["mask"]) as mask:
            assert np.array_equal(np.asarray(mask), parts.pixels > 0)
    assert run(photos, "--trained", str(file), command="parts", out="again") == 0
    assert masks(photos.parent / "again") == masks(photos.parent / "out")
    assert run(photos, "--trained", str(file), command="localize", out="boxes") == 0


@pytest.mark.parametrize("command", ["segment", "parts"])
def test_results_are_kept_for_the_same_file_alone(
    photos: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = photos.parent / "networks.safetensors"
    training = ["--save-trained", str(file), "--train-on", "2", *FAST]
    assert run(photos, *training, command=command) == 0
    assert "networks fitted to 2 pictures" in capsys.readouterr().out
    first = file.read_bytes()

    assert run(photos, *training, command=command) == 0  # as after a kill
    printed = capsys.readouterr().out
    assert "networks kept, fitted to 2 pictures" in printed
    assert "4 kept from before" in printed
    assert file.read_bytes() == first
    assert run(photos, "--trained", str(file), command=command) == 0
    assert "4 kept from before" in capsys.readouterr().out

    assert run(photos, *training, "--seed", "1", command=command) == 0  # other networks in the same place
    assert "networks fitted" in capsys.readouterr().out
    assert run(photos, "--trained", str(file), command=command) == 0
    assert "4 kept from before" in capsys.readouterr().out
    for path in photos.iterdir():
        path.write_bytes(path.read_bytes() + b"\0")
    assert run(photos, *training, "--seed", "1", command=command) == 0
    printed = capsys.readouterr().out
    assert "networks fitted" in printed
    assert "kept from before" not in printed


def test_a_run_that_is_stopped_goes_on_with_its_networks(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = ["--save-trained", str(photos.parent / "networks.safetensors"), *FAST]
    monkeypatch.setattr(threads, "MOST_SIDE_BY_SIDE", 1)  # or it is not sure which the second is
    monkeypatch.setattr(segment_command, "TOGETHER", dict.fromkeys(TOGETHER, 1))
    whole = TrainedDeepCut.segment_features
    calls = iter([None, KeyboardInterrupt])

    def stopped(self: TrainedDeepCut, *arguments: object, **more: object) -> object:
        if next(calls):
            raise KeyboardInterrupt
        return whole(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainedDeepCut, "segment_features", stopped)
    assert run(photos, *training) == 130
    assert (photos.parent / "out" / "index.html").read_text().count("<figure") == 1
    monkeypatch.undo()
    monkeypatch.setattr(trained_command, "train_on_features", None)  # nothing is fitted again
    assert run(photos, *training) == 0
    assert "1 kept from before" in capsys.readouterr().out


def test_pictures_that_cannot_be_read_are_passed_over(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = photos.parent / "networks.safetensors"
    (photos / "bad.png").write_bytes(b"no picture")
    assert run(photos, "--save-trained", str(file), *FAST) == 1
    printed = capsys.readouterr()
    assert "networks fitted to 4 pictures" in printed.out
    assert "4 pictures with pixels" in printed.out
    assert printed.err.count("not done: ") == 1
    for path in photos.glob("?.png"):
        path.unlink()
    assert run(photos, "--save-trained", str(photos.parent / "other.safetensors"), *FAST) == 1
    assert "error: no picture can be used to fit networks to" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["segment", "localize", "parts"])
def test_together_needs_no_file_and_fits_only_for_what_is_not_there(
    photos: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--train-on", "3", "--k", "2", *FAST]
    assert run(photos, "--save-trained", str(photos.parent / "networks"), *more, command=command) == 0
    there = set(photos.parent.iterdir())
    capsys.readouterr()
    assert run(photos, "--together", *more, command=command, out="together") == 0
    printed = capsys.readouterr().out
    assert printed.count("networks fitted to 3 pictures") == 1
    assert "fitted together, seed 0" in printed
    assert masks(photos.parent / "together") == masks(photos.parent / "out")
    assert set(photos.parent.iterdir()) == {*there, photos.parent / "together"}

    with monkeypatch.context() as nothing_is_fitted:
        nothing_is_fitted.setattr(trained_command, "train_on_features", None)
        assert run(photos, "--together", *more, command=command, out="together") == 0
        assert "4 kept from before" in capsys.readouterr().out
        (photos / "bad.txt").write_text("no picture")
        (photos / "bad.txt").rename(photos / "0.jpg")  # one that has no result, and needs no networks
        drawn = ["--train-on", "4", "--k", "2", *FAST]
    for anew in (drawn, [*more, "--seed", "1"]):
        assert run(photos, "--together", *anew, command=command, out="together") == 1
        printed = capsys.readouterr()
        assert printed.out.count("networks fitted to") == 1
        assert "kept from before" not in printed.out
        assert printed.err.count("not done: ") == 1
    monkeypatch.setattr(trained_command, "train_on_features", None)
    assert run(photos, "--together", *more, "--seed", "1", command=command, out="together") == 1
    assert "4 kept from before" in capsys.readouterr().out


def test_together_fits_again_if_a_picture_it_learned_from_has_changed(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--together", *FAST) == 0
    (photos / "2.png").write_bytes((photos / "2.png").read_bytes() + b"\0")
    capsys.readouterr()
    assert run(photos, "--together", *FAST) == 0
    printed = capsys.readouterr().out
    assert "networks fitted to 4 pictures" in printed
    assert "kept from before" not in printed
    file = photos.parent / "networks.safetensors"
    assert run(photos, "--together", "--save-trained", str(file), *FAST) == 0  # the same networks, written
    assert "4 kept from before" in capsys.readouterr().out
    assert TrainedDeepCut.load(file).n_pictures == 4
    assert run(photos, "--trained", str(file)) == 0
    assert "4 kept from before" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["segment", "localize", "parts"])
@pytest.mark.parametrize("networks", [["--together"], ["--save-trained", "networks"]])
def test_networks_that_cannot_be_fitted_are_one_error_not_one_for_each_picture(
    photos: Path,
    command: str,
    networks: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos.parent)
    small = ["--backbone", "pixels", "--size", "32", "--k", "100"]  # four pictures of four patches
    assert run(photos, *networks, *small, command=command) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no networks could be fitted to the pictures: ")
    assert "patches cannot form 100 clusters" in error
    assert len(error.splitlines()) == 1
    assert not Path("networks").exists()


def test_networks_whose_pictures_cannot_be_read_are_one_error(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = range(20)
    (photos / "bad.png").write_bytes(b"no picture")
    drawn = [Random(seed).sample(range(5), 1)[0] for seed in seeds]
    seed = drawn.index(4)  # the name of the bad picture comes last
    assert run(photos, "--together", "--train-on", "1", "--seed", str(seed), *FAST) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no picture can be used to fit networks to; the first: ")
    assert "bad.png" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("segment", "--trained FILE --objective cc", "--objective does not go with --trained"),
        ("segment", "--trained FILE --two-stage", "--two-stage does not go with --trained"),
        ("localize", "--trained FILE --size 64", "--size does not go with --trained"),
        ("parts", "--trained FILE --k 4", "--k does not go with --trained"),
        ("parts", "--trained FILE --mode joint", "--mode does not go with --trained"),
        ("segment", "--trained FILE --train-on 5", "--train-on does not go with --trained"),
        ("segment", "--trained FILE --save-trained other", "not allowed with"),
        ("segment", "--save-trained other --two-stage", "--two-stage does not go with --save-trained"),
        ("segment", "--trained FILE --prior FILE", "--prior does not go with --trained"),
        ("parts", "--trained FILE --no-prior", "--no-prior does not go with --trained"),
        ("segment", "--trained FILE --together", "--together does not go with --trained"),
        ("localize", "--together --two-stage", "--two-stage does not go with --together"),
        ("parts", "--together --mode joint", "--mode does not go with --together"),
        ("segment", "--train-on 5", "give --together, or --save-trained FILE"),
        ("segment", "--trained FILE --backbone random_vit", "fitted with pixels, not with random_vit"),
        ("parts", "--trained FILE", "holds no network for parts"),
        ("segment", "--trained PHOTO", "0.png: damaged, or not a file of"),
        ("segment", "--trained gone", "gone: no such file"),
        (
            "segment",
            "--backbone pixels --save-trained PHOTO",
            "0.png: is there and holds no trained networks",
        ),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(
    photos: Path,
    command: str,
    options: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos.parent)
    backbone = load_backbone("pixels")
    train_once([photos / "0.png"], backbone=backbone, size=64, epochs=1).save("networks")
    photo = (photos / "0.png").read_bytes()
    given = options.replace("FILE", "networks").replace("PHOTO", str(photos / "0.png")).split()
    assert run(photos, *given, command=command) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1
    assert (photos / "0.png").read_bytes() == photo
    assert not Path("other").exists()
