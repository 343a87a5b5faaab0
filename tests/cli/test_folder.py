"""Folders of pictures as users have them: odd names, earlier results, what kept results are worth."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image

from deepcut_lib.backbones import Backbone, pixels
from deepcut_lib.cli import folder as cli_folder
from deepcut_lib.cli import segment as segment_command
from deepcut_lib.cli.folder import named, open_folder
from deepcut_lib.cli.main import main
from deepcut_lib.errors import ImageError
from deepcut_lib.files import SETTLED, prepare_folder
from deepcut_lib.recipe import Recipe

COMMANDS = ("segment", "localize", "parts", "cluster")
FAST = ["--backbone", "pixels", "--size", "64"]


@pytest.fixture
def photos(tmp_path: Path, photograph: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(photograph).save(folder / f"{name}.jpg")
    return folder


def run(command: str, photos: Path, out: Path, *more: str) -> int:
    fewer = ["--k", "2", "--epochs", "2"] if command in ("parts", "cluster") else []
    return main([command, str(photos), "--out", str(out), *FAST, *fewer, *more])


def everything(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["photos/results", "photos", ".", "photos/deep/er"])
def test_results_are_never_pictures(
    photos: Path, command: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = photos.parent / place
    assert run(command, photos, out) == 0
    first = everything(out)
    for _ in range(2):
        assert run(command, photos, out) == 0
        assert "2 pictures" in capsys.readouterr().out
    assert everything(out) == first
    other = photos / "other"
    assert run(command, photos, other) == 0  # nor are those of a run into another folder
    assert sum(name.endswith((".json", ".npz")) for name in everything(other)) == (
        4 if command == "parts" else 2
    )


def test_a_picture_that_results_would_overwrite(photos: Path) -> None:
    (photos / "a.jpg").rename(photos / "b_mask.png")
    with pytest.raises(ImageError, match=r"b_mask\.png: would be overwritten by the results of b"):
        open_folder([photos], photos)
    assert set(open_folder([photos], photos / "out").pictures) == {"b", "b_mask"}


def test_others_files_of_such_names_are_pictures(photos: Path, tmp_path: Path) -> None:
    (photos / "a.jpg").rename(photos / "b_mask.png")
    (photos / "b.json").write_text('{"shapes": []}')
    assert set(open_folder([photos], tmp_path / "out").pictures) == {"b", "b_mask"}


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    old, new = tmp_path / "deep" / ".a.png.1.part", tmp_path / ".b.png.2.part"
    old.parent.mkdir()
    for partial in (old, new):
        partial.touch()
    os.utime(old, (0, old.stat().st_mtime - 10 * SETTLED))
    prepare_folder(tmp_path)
    assert not old.exists()
    assert new.exists()  # another program may be writing it


def test_names_of_results(tmp_path: Path) -> None:
    long = "x" * 240
    paths = [
        Path(name) for name in ("a.jpg", "A.png", "deep/a.jpg", f"{long}1.jpg", f"{long}2.jpg", "\udce4.jpg")
    ]
    names = list(named(paths))
    assert names[:3] == ["a", "A-2", "a-3"]
    assert names[3] != names[4]
    assert all(len(name.encode()) <= 180 for name in names)
    assert names[5] == "�"


ODD_NAMES = [
    b"B\xe4r.jpg",
    b"\xff\xfe.jpg",
    "日本語.jpg".encode(),
    b"new\nline.jpg",
    b"a%20b&c'\"<i>#?.jpg",
    b"x" * 251 + b".jpg",
]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_any_name_in_any_encoding(photos: Path, encoding: str) -> None:
    for name in ODD_NAMES:
        (photos / os.fsdecode(name)).write_bytes((photos / "a.jpg").read_bytes())
    (photos / os.fsdecode(b"bad\xe4.jpg")).write_bytes(b"no picture")
    out = photos.parent / os.fsdecode(b"out\xe4")
    code = f"""
import sys
from deepcut_lib.cli.main import main
photos, out = sys.argv[1:]
for command in {COMMANDS}:
    fewer = ["--k", "2", "--epochs", "2"] if command in ("parts", "cluster") else []
    print(main([command, photos, "--out", out + "/" + command, *{FAST}, *fewer]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, photos, out],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line in (b"0", b"1")] == [b"1"] * len(COMMANDS)
    assert done.stderr.count(b"not done: ") == len(COMMANDS)
    for command in COMMANDS:
        page = (out / command / "index.html").read_text(encoding="utf-8")
        links = [part.split('"')[0] for part in page.split('src="')[1:]]
        assert len(links) == (len(ODD_NAMES) + 2) * (1 if command == "cluster" else 3)
        assert all((out / command / unquote(link)).is_file() for link in links)
        for path in (out / command).glob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))


def change_mask(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = photos.parent / "masks" / "a.png"
    Image.fromarray(~np.asarray(Image.open(mask))).save(mask)


def change_version(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_folder, "__version__", "99")


def change_recipe(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "CENTRED_RECIPE", Recipe(n_clusters=2, centred=True))


def change_weights(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backbone, "fingerprint", "of other weights")


def change_picture(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Image.open(photos / "a.jpg") as picture:
        turned = picture.rotate(180)
    turned.save(photos / "a.jpg")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("change", "anew"), [(change_picture, 1), (change_version, 2), (change_recipe, 2), (change_weights, 2)]
)
def test_kept_results_are_those_of_the_same_content(
    photos: Path,
    command: str,
    change: Callable[[Path, pytest.MonkeyPatch], None],
    anew: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = photos.parent / "out"
    assert run(command, photos, out) == 0
    assert run(command, photos, out) == 0
    assert "2 kept from before" in capsys.readouterr().out
    change(photos, monkeypatch)
    assert run(command, photos, out) == 0
    printed = capsys.readouterr().out
    assert "1 kept from before" in printed if anew == 1 else "2 kept" not in printed


def test_a_corrected_mask_is_scored_anew(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks, out = photos.parent / "masks", photos.parent / "out"
    masks.mkdir()
    Image.fromarray(np.eye(96, 128) > 0).save(masks / "a.png")
    scores = []
    for _ in range(2):
        assert run("segment", photos, out, "--masks", str(masks)) == 0
        scores.append(json.loads((out / "a.json").read_text())["score"])
        change_mask(photos, monkeypatch)
    assert scores[0] != scores[1]


def test_masks_are_counted_and_must_belong(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, out = photos.parent / "masks", photos.parent / "out"
    assert run("segment", photos, out, "--masks", str(masks)) == 1
    assert "no such folder of masks" in capsys.readouterr().err
    masks.mkdir()
    Image.fromarray(np.eye(96, 128) > 0).save(masks / "z.png")
    assert run("segment", photos, out, "--masks", str(masks)) == 1
    assert "none of its 1 masks is named as a picture, such as a.png" in capsys.readouterr().err
    Image.fromarray(np.eye(96, 128) > 0).convert("L").save(masks / "a.jpg", quality=100)
    assert run("segment", photos, out, "--masks", str(masks)) == 0
    assert "1 of 2 pictures have a mask" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"seal": 1}', b"0" * 400])
def test_damaged_rows_are_made_anew(photos: Path, damage: bytes) -> None:
    out = photos.parent / "out"
    assert run("segment", photos, out) == 0
    whole = everything(out)
    (out / "a.json").write_bytes(damage)
    (out / "b_mask.png").write_bytes(whole["b_mask.png"][:-9])
    assert run("segment", photos, out) == 0
    assert everything(out) == whole


def test_damaged_features_are_made_anew(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photos.parent / "out"
    assert run("parts", photos, out) == 0
    whole = everything(out)
    stored = whole["features/a.npz"]
    middle = len(stored) // 2
    for damage in (b"", b"PK", stored[:-30], stored[:middle] + b"\xff" * 64 + stored[middle + 64 :]):
        (out / "features" / "a.npz").write_bytes(damage)
        assert run("parts", photos, out) == 0
        assert "1 kept from before" in capsys.readouterr().out
        assert everything(out) == whole
    other_name = stored.replace(b"foreground.npy", b"foreground.npx")
    (out / "features" / "a.npz").write_bytes(other_name)
    assert run("parts", photos, out) == 0
    assert everything(out) == whole


def test_what_cannot_be_read_is_named_and_the_rest_done(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "c.HEIC").write_bytes(b"something")
    (photos / ".d.cr2").write_bytes(b"something")
    for command in COMMANDS:
        out = photos.parent / command
        assert run(command, photos, out) == 1
        printed = capsys.readouterr()
        assert printed.err.count("not done") == 1
        assert "c.HEIC: HEIF is not read here; convert it" in printed.err
        assert "c.HEIC" in (out / "index.html").read_text(encoding="utf-8")
        assert "1 not done" in printed.out


@pytest.mark.parametrize(
    "wrong",
    [
        "--size 0", "--size -5", "--size x", "--stride 0", "--stride -4", "--k 0", "--k -1", "--epochs 0",
        "--alpha 0", "--alpha nan", "--alpha inf", "--seed -1", "--seed 99999999999999999999", "--out=",
    ],
)  # fmt: skip
def test_numbers_are_checked_where_they_enter(
    photos: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", photos, photos.parent / "out", *wrong.split(" ")) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {wrong.split(' ')[0].rstrip('=')}")
    assert "must" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_said_before_anything_is_computed(
    photos: Path, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos.parent / "file").write_text("no folder")
    monkeypatch.setattr(segment_command, "cut", None)
    assert run("segment", photos, photos.parent / out) == 1
    printed = capsys.readouterr()
    assert "no results could be written there" in printed.err
    assert not printed.out


def test_blank_pictures_are_remarked(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (60, 40), "teal").save(photos / "blank.png")
    assert run("segment", photos, photos.parent / "out") == 0
    printed = capsys.readouterr().out
    assert "nothing to cut: all patches are alike (spread 0.00)" in printed
    assert "1 with nothing to cut" in printed
    assert "nothing to cut" in (photos.parent / "out" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("more", [[], ["--together"]])
def test_pictures_side_by_side_come_out_as_one_after_the_other(
    photos: Path, tmp_path: Path, more: list[str]
) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert run("segment", photos, tmp_path / "one", *more) == 1
        torch.set_num_threads(2)
        assert run("segment", photos, tmp_path / "two", *more) == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    one, two = everything(tmp_path / "one"), everything(tmp_path / "two")
    assert set(one) == set(two)
    assert {n: b for n, b in one.items() if n.endswith(".png")} == {
        n: b for n, b in two.items() if n.endswith(".png")
    }
