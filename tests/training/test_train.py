import errno
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from deepcut_lib.backbones import load_backbone
from deepcut_lib.errors import CheckpointError, DeepCutError
from deepcut_lib.images import find_images
from deepcut_lib.recipe import PUBLISHED_RECIPE
from training import train as training
from training.objectives import Distilled, block_mask, describe_patches
from training.pictures import SIDE, Crops, random_crops, read_pictures
from training.train import Settings, main, pair_with_masks, train

SMALL = Settings("masked", steps=10, batch=4, dim=48, depth=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six generated pictures: a bright disc somewhere on a textured ground, and their masks."""
    root = tmp_path_factory.mktemp("generated")
    chance = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for i in range(6):
        picture = Image.fromarray(chance.integers(0, 120, (96, 128, 3), dtype=np.uint8))
        mask = Image.new("L", picture.size)
        left, top = (int(value) for value in chance.integers(10, 50, 2))
        for image, colour in ((picture, (250, 40 * i, 90)), (mask, 255)):
            ImageDraw.Draw(image).ellipse((left, top, left + 50, top + 40), fill=colour)
        picture.save(root / "images" / f"{i}.png")
        mask.save(root / "masks" / f"{i}.png")
    return root


@pytest.fixture
def often(monkeypatch):
    """Checkpoints every other step, and no slow start."""
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(training, "WARM_UP", 1)


def losses(out):
    return [float(row["loss"]) for row in training.Log(out / "log.csv", 10**6).rows]


@pytest.mark.parametrize("objective", ["distilled", "masked"])
def test_ten_steps_lower_the_loss(folder, tmp_path, often, objective):
    train(replace(SMALL, objective=objective), find_images(folder / "images"), tmp_path)
    assert losses(tmp_path)[3] < losses(tmp_path)[0] - 0.1  # before the crops of another size
    assert (tmp_path / f"{objective}.safetensors").exists()


def test_a_killed_run_resumes_to_the_same_weights(folder, tmp_path, often, monkeypatch):
    paths = find_images(folder / "images")
    wanted = train(SMALL, paths, tmp_path / "whole")
    step = training._step

    def killed(number, *rest):
        if number == 7:
            raise KeyboardInterrupt
        return step(number, *rest)

    monkeypatch.setattr(training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, paths, tmp_path / "cut")
    monkeypatch.setattr(training, "_step", step)
    resumed = train(SMALL, paths, tmp_path / "cut")
    assert all(torch.equal(resumed[key], wanted[key]) for key in wanted)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    files = [(tmp_path / run / "masked.safetensors").read_bytes() for run in ("whole", "cut")]
    assert files[0] == files[1]


def test_a_full_disk_keeps_the_last_checkpoint(folder, tmp_path, often, monkeypatch):
    paths = find_images(folder / "images")
    fsync, calls = training.os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:  # log and checkpoint of two rounds
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(training.os, "fsync", full)
    with pytest.raises(DeepCutError, match=r"No space left on device.*last good one is kept"):
        train(SMALL, paths, tmp_path)
    assert not list(tmp_path.glob("*.part"))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 4
    monkeypatch.setattr(training.os, "fsync", fsync)
    train(SMALL, paths, tmp_path)
    assert len(losses(tmp_path)) == 5


def test_another_runs_checkpoint_is_refused(folder, tmp_path, often):
    paths = find_images(folder / "images")
    train(replace(SMALL, steps=2), paths, tmp_path)
    with pytest.raises(CheckpointError, match="dim=48, not 96"):
        train(replace(SMALL, steps=2, dim=96), paths, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes((tmp_path / "checkpoint.pt").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        train(replace(SMALL, steps=2), paths, tmp_path)


def test_unreadable_pictures_are_listed_and_passed(folder, tmp_path, often, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.png").touch()
    paths = [*find_images(folder / "images"), tmp_path / "broken.jpg", tmp_path / "empty.png"]
    train(replace(SMALL, steps=1), paths, tmp_path / "run")
    told = capsys.readouterr().err
    assert "broken.jpg" in told
    assert "empty.png" in told
    with pytest.raises(DeepCutError, match=r"none of the 2 pictures.*broken\.jpg"):
        read_pictures(paths[-2:])


def test_bad_folders_on_the_command_line(tmp_path, capsys):
    for arguments, told in (
        ([str(tmp_path)], "no pictures in this folder"),
        ([str(tmp_path / "nowhere")], "no such file or folder"),
        ([], "no pictures to train on"),
    ):
        assert main(["masked", *arguments, "--out", str(tmp_path / "run")]) == 1
        assert told in capsys.readouterr().err


def test_the_command_line_holds_out_every_third(folder, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(training, "train", lambda *given: seen.update(enumerate(given)))
    monkeypatch.setattr(training, "draw_curves", lambda *given: None)
    pair = [str(folder / kind) for kind in ("images", "masks")]
    assert main(["distilled", "--labelled", *pair, "--out", str(tmp_path), "--steps", "7"]) == 0
    assert seen[0] == Settings("distilled", 7)
    assert [path.stem for path in seen[1]] == ["1", "2", "4", "5"]
    assert [image.stem for image, _ in seen[3]] == ["0", "3"]
    (tmp_path / "masks").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "masks" / "1.png")
    with pytest.raises(DeepCutError, match=r"no mask for 0\.png"):
        pair_with_masks(folder / "images", tmp_path / "masks")


def test_measuring_and_drawing(folder, tmp_path, often):
    pairs = pair_with_masks(folder / "images", folder / "masks")
    train(replace(SMALL, steps=2), [image for image, _ in pairs], tmp_path, pairs[::3])
    row = training.Log(tmp_path / "log.csv", 2).rows[-1]
    assert 0 <= float(row["iou"]) <= 1
    assert row["pictures"] == "2"
    training.draw_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as curves:
        assert curves.size == (840, 600)


def test_masks_of_any_two_values_score_alike(folder, tmp_path):
    backbone = load_backbone("pixels")
    wanted = training.mean_iou(
        backbone, pair_with_masks(folder / "images", folder / "masks"), PUBLISHED_RECIPE
    )
    for path in find_images(folder / "masks"):
        values = np.where(np.asarray(Image.open(path)) > 0, 200, 100).astype(np.uint8)
        Image.fromarray(values).save(tmp_path / f"{path.stem}.TIF")
    pairs = pair_with_masks(folder / "images", tmp_path)
    assert training.mean_iou(backbone, pairs, PUBLISHED_RECIPE) == wanted
    Image.new("L", (9, 9)).save(tmp_path / "0.TIF")
    with pytest.raises(DeepCutError, match=r"0\.TIF: the mask is 9×9"):
        training.mean_iou(backbone, pairs, PUBLISHED_RECIPE)


def test_crops_are_what_their_boxes_say(folder):
    rows = torch.arange(SIDE).view(1, -1, 1).expand(1, SIDE, SIDE)
    picture = torch.cat([rows, rows.transpose(1, 2), 0 * rows]) * 255 // SIDE
    generator = torch.Generator().manual_seed(0)
    crops = random_crops(picture.byte()[None], 12, 64, (0.2, 0.8), generator)
    assert (crops.boxes[:, 2:] > crops.boxes[:, :2]).all()
    area = (crops.boxes[:, 2] - crops.boxes[:, 0]) * (crops.boxes[:, 3] - crops.boxes[:, 1])
    assert (area > 0.15).all()
    rising = crops.pixels[:, 1, :, -1].mean(1) > crops.pixels[:, 1, :, 0].mean(1)
    assert torch.equal(rising, ~crops.flipped)
    again = random_crops(picture.byte()[None], 12, 64, (0.2, 0.8), torch.Generator().manual_seed(0))
    assert torch.equal(again.pixels, crops.pixels)


def test_targets_lie_where_the_crop_lies():
    objective = Distilled.__new__(Distilled)
    torch.nn.Module.__init__(objective)
    rows = (torch.arange(28) + 0.5) / 28
    objective.maps = torch.stack([rows[:, None].expand(28, 28), rows.expand(28, 28)])[None]
    boxes = torch.tensor([[0.25, 0.5, 0.75, 1.0]] * 2)
    crops = Crops(torch.tensor([0, 0]), boxes, torch.tensor([False, True]), torch.empty(0))
    target = objective._targets(crops, 7)
    down = 0.25 + (torch.arange(7) + 0.5) / 14
    across = 0.5 + (torch.arange(7) + 0.5) / 14
    across[-1] = across[-1].clamp(max=rows[-1])
    plain, flipped = target.unflatten(1, (7, 7))
    torch.testing.assert_close(plain[:, 0, 0], down)
    torch.testing.assert_close(plain[0, :, 1], across)
    torch.testing.assert_close(flipped, plain.flip(1))


def test_patch_descriptions_tell_direction_and_colour():
    ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
    pixels = torch.stack([ramp, ramp.transpose(1, 2)])
    described = describe_patches(pixels, 8)
    assert described.shape == (2, 16, 15)
    across, down = described[:, :, :9].mean(1)
    assert across.argmax() == 0  # brightness changes along x: orientation 0
    assert down.argmax() == 4  # a quarter turn: the middle of nine bins over half a turn
    colours = described[0, :, 9].view(4, 4)
    assert (colours.diff(dim=1) > 0).all()


def test_block_masks_hide_three_fifths():
    masks = block_mask(20, 14, torch.Generator().manual_seed(0))
    shares = masks.float().mean((1, 2))
    assert (shares >= 0.6).all()
    assert (shares < 0.7).all()
    assert math.isclose(float(masks[:, 1:].eq(masks[:, :-1]).float().mean()), 0.8, abs_tol=0.15)
