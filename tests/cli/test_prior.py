"""A foreground prior's file, in ``load_backbone`` and on the command line, and the recipes around it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepcut_lib import load_backbone, segment
from deepcut_lib.backbones import registry
from deepcut_lib.cli.main import main
from deepcut_lib.errors import CheckpointError
from deepcut_lib.metrics import mask_iou
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.recipe import PRIOR_RECIPE

FAST = ["--backbone", "pixels", "--size", "96"]


def reddish(strength: float = 8.0, backbone: str = "pixels") -> ForegroundPrior:
    """What is redder and less green than its picture is foreground; if negative, the other way round."""
    weight = torch.zeros(14)
    weight[0], weight[1] = strength, -strength
    return ForegroundPrior(weight, 0.0, backbone)


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    file = tmp_path / "prior.safetensors"
    reddish().save(file)
    return file


def run(photos: Path, *more: str, command: str = "segment", out: str = "out") -> int:
    return main([command, str(photos), "--out", str(photos.parent / out), *FAST, *more])


def mask(photos: Path, name: str, out: str = "out") -> np.ndarray:
    with Image.open(photos.parent / out / f"{name}_mask.png") as picture:
        return np.asarray(picture)


def recipe_of(photos: Path) -> dict[str, object]:
    settings: dict[str, dict[str, object]] = json.loads((photos.parent / "out" / "0.json").read_text())[
        "settings"
    ]
    return settings["recipe"]


def test_a_backbone_takes_a_priors_file(prior: Path, photograph: np.ndarray) -> None:
    plain, backbone = load_backbone("pixels"), load_backbone("pixels", prior=prior)
    assert plain.prior is None
    assert backbone.prior is not None
    features = backbone(photograph)
    assert features.prior is not None
    assert torch.equal(features.prior, reddish()(features.values))
    assert backbone.recipe == plain.recipe
    assert backbone.foreground_recipe.prior_weight > 0
    assert backbone.fingerprint != plain.fingerprint


def test_auto_is_the_backbone_of_the_prior(prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    backbone = load_backbone(prior=prior, stride=8)
    assert (backbone.name, backbone.stride) == ("pixels", 8)
    monkeypatch.setenv(registry.VARIABLE, "random_vit")
    with pytest.raises(
        ValueError, match=r"prior\.safetensors: this prior was made for pixels, not for random"
    ):
        load_backbone(prior=prior)


def test_priors_that_do_not_fit_are_named(prior: Path, photos: Path) -> None:
    with pytest.raises(
        ValueError, match=r"prior\.safetensors: this prior was made for pixels, not for random"
    ):
        load_backbone("random_vit", prior=prior)
    with pytest.raises(CheckpointError, match="gone: no such file"):
        load_backbone("pixels", prior="gone")
    with pytest.raises(CheckpointError, match=r"0\.png: damaged, or not a file of ForegroundPrior"):
        load_backbone("pixels", prior=photos / "0.png")


def test_a_given_prior_goes_before_the_one_that_comes_with_the_backbone(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.safetensors"
    reddish(3.0).save(own)
    monkeypatch.setattr(registry, "PRIORS", {"pixels": "its SHA-256"})
    there = {("pixels_prior.safetensors", "its SHA-256"): own}
    monkeypatch.setattr(registry, "shipped", lambda *asked: there[asked])
    for given, strength in ((None, 3.0), (prior, 8.0)):
        known = load_backbone("pixels", prior=given).prior
        assert known is not None
        assert float(known.weight[0]) == strength


def test_a_prior_decides_unless_it_is_left_out(
    photos: Path, prior: Path, disc: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--prior", str(prior)) == 0
    words = "4 pictures with pixels, soft_ncut, K=2, foreground prior, seed 0"
    assert words in capsys.readouterr().out
    assert words in (photos.parent / "out" / "index.html").read_text()
    assert recipe_of(photos) == asdict(load_backbone("pixels", prior=prior).foreground_recipe)
    picture = photos / "0.png"
    backbone = load_backbone("pixels", prior=prior)
    assert np.array_equal(mask(photos, "0"), segment(picture, backbone=backbone, size=96).mask)
    assert mask_iou(mask(photos, "0"), disc) > 0.6

    reddish(-8.0).save(prior)  # the rest is foreground, whatever the border says
    assert run(photos, "--prior", str(prior)) == 0
    assert mask_iou(mask(photos, "0"), ~disc) > 0.6
    capsys.readouterr()

    assert run(photos, "--no-prior") == 0
    assert "4 pictures with pixels, ncut, K=3, no prior, seed 0" in capsys.readouterr().out
    assert recipe_of(photos) == asdict(backbone.recipe)
    assert np.array_equal(mask(photos, "0"), segment(picture, backbone="pixels", size=96).mask)


def test_no_prior_leaves_out_the_one_that_comes_with_the_backbone(
    photos: Path, prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PRIORS", {"pixels": ""})
    monkeypatch.setattr(registry, "shipped", lambda name, digest: prior)
    assert run(photos) == 0
    assert recipe_of(photos)["prior_weight"] == PRIOR_RECIPE.prior_weight
    for command in ("segment", "localize", "parts"):
        assert run(photos, "--no-prior", "--epochs", "5", command=command) == 0
        assert recipe_of(photos)["prior_weight"] == 0
        assert recipe_of(photos)["objective"] == "ncut"


@pytest.mark.parametrize("command", ["segment", "localize"])
@pytest.mark.parametrize("objective", ["ncut", "cc", "soft_ncut"])
def test_settings_replace_those_of_the_recipe_in_force(
    photos: Path, prior: Path, command: str, objective: str
) -> None:
    settings = {"objective": objective, "n_clusters": 3, "alpha": 2.0, "epochs": 5}
    given = ["--objective", objective, "--k", "3", "--alpha", "2", "--epochs", "5"]
    with_prior, plain = load_backbone("pixels", prior=prior).foreground_recipe, load_backbone("pixels").recipe
    for option, recipe in ((["--prior", str(prior)], with_prior), (["--no-prior"], plain)):
        assert run(photos, *option, *given, command=command) == 0
        assert recipe_of(photos) == asdict(replace(recipe, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["segment", "localize", "parts"])
@pytest.mark.parametrize("networks", [[], ["--together"]])
def test_another_prior_makes_results_anew(
    photos: Path, prior: Path, command: str, networks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*networks, "--prior", str(prior)]
    more = ["--k", "2", "--epochs", "5"]
    assert run(photos, *given, *more, command=command) == 0
    capsys.readouterr()
    assert run(photos, *given, *more, command=command) == 0
    assert "4 kept from before" in capsys.readouterr().out
    prior.rename(prior.with_name("renamed"))  # it is the content that counts
    assert run(photos, *networks, "--prior", str(prior.with_name("renamed")), *more, command=command) == 0
    assert "4 kept from before" in capsys.readouterr().out
    reddish(9.0).save(prior)
    for option in (["--prior", str(prior)], ["--no-prior"]):
        assert run(photos, *networks, *option, *more, command=command) == 0
        assert "kept from before" not in capsys.readouterr().out.replace("0 kept from before", "")


def test_parts_are_those_of_the_priors_foreground(
    photos: Path, prior: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--prior", str(prior), "--k", "2", "--epochs", "5", command="parts") == 0
    assert (
        "pixels, foreground by soft_ncut, K=2, foreground prior, 2 parts, joint, seed 0"
        in capsys.readouterr().out
    )
    found = segment(photos / "0.png", backbone=load_backbone("pixels", prior=prior), size=96)
    with np.load(photos.parent / "out" / "features" / "0.npz") as kept:
        assert np.array_equal(kept["foreground"], found.foreground)


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("segment", "--prior FILE --no-prior", "not allowed with"),
        ("cluster", "--prior FILE", "unrecognized arguments: --prior"),
        ("segment", "--prior gone", "gone: no such file"),
        ("parts", "--prior FILE --backbone random_vit", "made for pixels, not for random_vit"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    photos: Path, prior: Path, command: str, options: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, *options.replace("FILE", str(prior)).split(), command=command) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1
