"""Priors made from pictures that are drawn here: a textured disc in the middle third of varied grounds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.errors import DeepCutError
from deepcut_lib.prior import ForegroundPrior
from training import prior as training
from training.prior import Photograph, fit, main, read

SIDE = 160


def draw(seed: int) -> tuple[Image.Image, np.ndarray]:
    """A picture, and where its disc is."""
    rng = np.random.default_rng(seed)
    height, width = (96, 128) if seed % 2 else (128, 96)
    y, x = np.mgrid[:height, :width]
    centre = np.array([height, width]) * rng.uniform(0.42, 0.58, 2)
    disc = np.hypot(y - centre[0], x - centre[1]) < rng.uniform(17, 26)
    ground = rng.uniform(40, 210, 3) + (y[..., None] / height - 0.5) * rng.uniform(-60, 60, 3)
    ground = ground + ndimage.gaussian_filter(rng.normal(0, 200, (height, width, 3)), (5, 5, 0))
    stripes = 40 * np.sign(np.sin(1.3 * x + 0.4 * y)) + rng.normal(0, 25, (height, width))
    drawn = np.where(disc[..., None], rng.uniform(90, 170, 3) + stripes[..., None], ground)
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8)), disc


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A small one, so that twelve pictures take seconds."""
    backbone = load_backbone("pixels", stride=8).with_prior(None)
    backbone.size = SIDE
    return backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    for seed in range(12):
        draw(seed)[0].save(folder / f"{seed:02}.png")
    return folder


@pytest.fixture(scope="module")
def photographs(folder: Path, backbone: Backbone) -> list[Photograph]:
    photographs, skipped = read(sorted(folder.iterdir()), backbone)
    assert skipped == []
    return photographs


@pytest.fixture(scope="module")
def priors(photographs: Sequence[Photograph]) -> list[ForegroundPrior]:
    return list(fit(photographs, rounds=3))


def judged(prior: ForegroundPrior, backbone: Backbone, seeds: Sequence[int]) -> float:
    """How well it tells patches of the disc from others in drawn pictures: the area under the ROC."""
    scores, truths = [], []
    for seed in seeds:
        picture, disc = draw(seed)
        features = backbone(picture)
        h, w = features.grid
        share = Image.fromarray(disc.astype(np.float32)).resize((w, h), Image.Resampling.BOX)
        scores.append(prior(features.values).cpu().numpy())
        truths.append(np.asarray(share).ravel() > 0.5)
    return float(roc_auc_score(np.concatenate(truths), np.concatenate(scores)))


def test_each_round_tells_the_disc_from_the_ground(
    priors: Sequence[ForegroundPrior], backbone: Backbone
) -> None:
    assert len(priors) == 3
    for prior in priors:
        assert prior.backbone == "pixels"
        assert prior.weight.shape == (14,)
        assert judged(prior, backbone, range(12)) > 0.8
        assert judged(prior, backbone, range(100, 112)) > 0.8  # of pictures it has not seen, too


def test_the_last_cuts_the_disc_out(priors: Sequence[ForegroundPrior], backbone: Backbone) -> None:
    for seed in range(100, 106):
        picture, disc = draw(seed)
        share = float((priors[-1](backbone(picture).values) > 0.5).float().mean())
        assert disc.mean() / 3 < share < 3 * disc.mean()


def test_the_same_pictures_give_the_same_prior(
    photographs: Sequence[Photograph], priors: Sequence[ForegroundPrior]
) -> None:
    again = next(fit(photographs))
    assert torch.equal(again.weight, priors[0].weight)
    assert again.bias == priors[0].bias


def test_features_of_another_scale_give_the_same_answers(
    photographs: Sequence[Photograph], priors: Sequence[ForegroundPrior]
) -> None:
    larger = [
        Photograph(
            one.picture,
            type(one.features)(**{**vars(one.features), "values": 100 * one.features.values}),
            100 * one.reflected,
        )
        for one in photographs
    ]
    scaled = next(fit(larger))
    for one, other in zip(photographs, larger, strict=True):
        assert torch.allclose(scaled(other.features.values), priors[0](one.features.values), atol=0.02)


def test_reflected_features_are_of_the_same_patches(photographs: Sequence[Photograph]) -> None:
    for photograph in photographs:
        features = photograph.features
        assert photograph.reflected.shape == features.values.shape
        assert features.prior is None
        # a patch of colour and texture away from the border looks the same with any margin
        inner = np.zeros(features.grid, bool)
        inner[2:-2, 2:-2] = True
        rows = torch.from_numpy(np.flatnonzero(inner))
        assert torch.allclose(photograph.reflected[rows], features.values[rows], atol=1e-4)


def test_pictures_of_one_colour_teach_nothing(backbone: Backbone, tmp_path: Path) -> None:
    for i in range(3):
        Image.new("RGB", (64, 64), (60 * i, 90, 120)).save(tmp_path / f"{i}.png")
    photographs, _ = read(sorted(tmp_path.iterdir()), backbone)
    with pytest.raises(DeepCutError, match="give more, and other, photographs"):
        list(fit(photographs))


class TestCommand:
    """The command line."""

    @pytest.fixture(autouse=True)
    def small(self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(training, "load_backbone", lambda name, checkpoint: backbone)
        monkeypatch.setattr(training, "fit", lambda photographs: fit(photographs, rounds=2))

    def test_it_writes_the_last_prior_past_a_file_it_cannot_read(
        self, folder: Path, tmp_path: Path, backbone: Backbone, capsys: pytest.CaptureFixture[str]
    ) -> None:
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no picture")
        out = tmp_path / "prior.safetensors"
        assert main(["pixels", str(folder), str(broken), "--out", str(out)]) == 0
        told = capsys.readouterr()
        assert [line for line in told.err.splitlines() if "broken.png" in line]
        assert [line.split(":")[0] for line in told.out.splitlines()] == ["round 1", "round 2"]
        prior = ForegroundPrior.load(out)
        assert judged(prior, backbone, range(100, 106)) > 0.8
        assert backbone.with_prior(prior)(draw(0)[0]).prior is not None

    def test_without_a_picture_it_says_so(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "prior.safetensors"
        folder = tmp_path / "pictures"
        folder.mkdir()
        assert main(["pixels", str(folder), "--out", str(out)]) == 1
        assert "no pictures in this folder" in capsys.readouterr().err
        assert main(["pixels", str(tmp_path / "gone"), "--out", str(out)]) == 1
        assert "no such file or folder" in capsys.readouterr().err
        (folder / "broken.png").write_bytes(b"no picture")
        assert main(["pixels", str(folder), "--out", str(out)]) == 1
        assert "error: none of the 1 pictures can be read" in capsys.readouterr().err
        assert not out.exists()

    def test_what_cannot_be_written_is_said_in_a_line(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()
        out = tmp_path / "file" / "prior.safetensors"
        assert main(["pixels", str(folder), "--out", str(out)]) == 1
        assert "error: " in capsys.readouterr().err


def test_a_name_that_is_no_backbone_is_said_in_a_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["pixel", str(folder), "--out", str(tmp_path / "a")])
    assert "invalid choice: 'pixel'" in capsys.readouterr().err
