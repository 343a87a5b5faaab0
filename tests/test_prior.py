"""A foreground prior: what it says, its file, and what the clustering takes as one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.errors import CheckpointError
from deepcut_lib.features import log_bin
from deepcut_lib.prior import FORMAT, ForegroundPrior, checked_prior
from deepcut_lib.recipe import PRIOR_RECIPE


@pytest.fixture
def prior(generator: torch.Generator) -> ForegroundPrior:
    return ForegroundPrior(torch.randn(14, generator=generator), -0.75, "pixels")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("pixels").with_prior(None)


class TestCall:
    """Features in, probabilities out."""

    def test_each_patch_is_judged_by_how_it_differs_from_its_picture(self, prior: ForegroundPrior) -> None:
        values = torch.randn(20, 14, generator=torch.Generator().manual_seed(1))
        q = prior(values)
        mean = values.double().mean(0)
        for row, found in zip(values.double(), q, strict=True):
            score = float(((row - mean) * prior.weight.double()).sum()) - 0.75
            assert float(found) == pytest.approx(1 / (1 + np.exp(-score)), abs=1e-5)
        assert torch.allclose(prior(values + 3), q, atol=1e-5)

    def test_one_patch_gets_the_bias(self, prior: ForegroundPrior) -> None:
        assert float(prior(torch.rand(1, 14))) == pytest.approx(1 / (1 + np.exp(0.75)))

    def test_scores_beyond_all_measure_are_0_and_1(self) -> None:
        sure = ForegroundPrior(torch.tensor([1e6]), 0.0, "made by hand")
        assert sure(torch.tensor([[-1.0], [1.0]])).tolist() == [0, 1]

    def test_other_features_are_refused(self, prior: ForegroundPrior) -> None:
        with pytest.raises(ValueError, match="takes 14 channels of pixels, not 13"):
            prior(torch.rand(5, 13))


class TestFile:
    """What is saved comes back, or is refused by one error."""

    def test_it_comes_back(self, prior: ForegroundPrior, tmp_path: Path) -> None:
        prior.save(tmp_path / "a.safetensors")
        again = ForegroundPrior.load(tmp_path / "a.safetensors")
        assert torch.equal(again.weight, prior.weight)
        assert (again.bias, again.backbone) == (prior.bias, prior.backbone)
        # a view into a larger tensor is written as what it shows
        replace(prior, weight=torch.stack([prior.weight, -prior.weight], 1)[:, 0]).save(str(tmp_path / "b"))
        assert torch.equal(ForegroundPrior.load(str(tmp_path / "b")).weight, prior.weight)

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.safetensors", tmp_path):
            with pytest.raises(CheckpointError, match="no such file"):
                ForegroundPrior.load(path)

    def test_a_damaged_file(self, prior: ForegroundPrior, tmp_path: Path) -> None:
        file = tmp_path / "cut.safetensors"
        prior.save(file)
        whole = file.read_bytes()
        for content in (whole[:-4], whole[:50], b"", b"no tensors here"):
            file.write_bytes(content)
            with pytest.raises(CheckpointError, match=r"cut\.safetensors: damaged.*training/prior\.py"):
                ForegroundPrior.load(file)

    @pytest.mark.parametrize(
        ("tensors", "metadata"),
        [
            ({}, {"format": "another"}),
            ({}, {}),
            ({}, {"format": FORMAT}),  # for no backbone
            ({"weight": torch.rand(2, 14)}, None),
            ({"weight": torch.full((14,), torch.nan)}, None),
            ({"bias": torch.zeros(2)}, None),
            ({"bias": torch.tensor(torch.nan)}, None),
            ({"bias": torch.tensor([torch.inf])}, None),
            ({"bias": None}, None),
            ({"weight": None}, None),
        ],
    )
    def test_another_file(
        self, tensors: dict[str, Tensor | None], metadata: dict[str, str] | None, tmp_path: Path
    ) -> None:
        file = tmp_path / "other.safetensors"
        held = {"weight": torch.rand(14), "bias": torch.zeros(1), **tensors}
        told = {"format": FORMAT, "backbone": "pixels"} if metadata is None else metadata
        there = {name: tensor for name, tensor in held.items() if tensor is not None}
        safetensors.torch.save_file(there, file, told)
        with pytest.raises(CheckpointError, match="damaged, or not a file of ForegroundPrior"):
            ForegroundPrior.load(file)


class TestBackbone:
    """A backbone with a prior gives it along with the features."""

    def test_features_carry_it(
        self, prior: ForegroundPrior, backbone: Backbone, photograph: np.ndarray
    ) -> None:
        plain = backbone(photograph, size=96)
        assert plain.prior is None
        with_prior = backbone.with_prior(prior)
        both = with_prior.batch([photograph, photograph[:, ::-1]], size=96)
        for features in both:
            assert features.prior is not None
            assert torch.equal(features.prior, prior(features.values))
        assert torch.equal(both[0].values, plain.values)
        assert torch.equal(both[0].prior, with_prior(photograph, size=96).prior)
        assert torch.equal(log_bin(both[0]).prior, both[0].prior)
        assert backbone.prior is None  # the one that it was made from stays as it was
        assert with_prior.with_prior(None)(photograph, size=96).prior is None

    def test_its_recipe_cuts_in_two_with_it(self, prior: ForegroundPrior, backbone: Backbone) -> None:
        assert backbone.foreground_recipe == backbone.recipe
        with_prior = backbone.with_prior(prior)
        assert with_prior.recipe == backbone.recipe
        wanted = PRIOR_RECIPE.but(least_spread=backbone.recipe.least_spread)
        assert with_prior.foreground_recipe == wanted

    def test_another_backbones_prior_is_refused(self, prior: ForegroundPrior, backbone: Backbone) -> None:
        with pytest.raises(ValueError, match="made for tiny_vit, not for pixels"):
            backbone.with_prior(replace(prior, backbone="tiny_vit"))

    def test_a_prior_of_other_channels_is_refused(
        self, prior: ForegroundPrior, backbone: Backbone, photograph: np.ndarray
    ) -> None:
        with pytest.raises(ValueError, match="takes 13 channels of pixels, not 14"):
            backbone.with_prior(replace(prior, weight=prior.weight[:13]))(photograph, size=96)

    def test_the_fingerprint_tells_priors_apart(self, prior: ForegroundPrior, backbone: Backbone) -> None:
        same = replace(prior, weight=prior.weight.clone())
        others = [None, prior, replace(prior, bias=0.0), replace(prior, weight=-prior.weight)]
        seen = [backbone.with_prior(one).fingerprint for one in others]
        assert len(set(seen)) == len(others)
        assert backbone.with_prior(same).fingerprint == seen[1]
        assert backbone.with_prior(prior).with_prior(None).fingerprint == backbone.fingerprint

    def test_any_state_of_torch(
        self, prior: ForegroundPrior, backbone: Backbone, photograph: np.ndarray, tmp_path: Path
    ) -> None:
        prior.save(tmp_path / "a.safetensors")
        wanted = backbone.with_prior(prior)(photograph, size=96).prior
        torch.set_default_dtype(torch.float64)
        try:
            with torch.inference_mode():
                prior.save(tmp_path / "b.safetensors")
                other = backbone.with_prior(ForegroundPrior.load(tmp_path / "b.safetensors"))
                features = other(photograph, size=96)
        finally:
            torch.set_default_dtype(torch.float32)
        assert features.prior is not None
        assert features.prior.dtype == torch.float32
        assert not features.prior.is_inference()
        assert torch.equal(features.prior, wanted)
        assert ForegroundPrior.load(tmp_path / "b.safetensors").bias == prior.bias


class TestChecked:
    """What the clustering takes as a prior."""

    @pytest.mark.parametrize(
        "given",
        [
            [0, 0.25, 1],
            np.array([0, 0.25, 1]),
            np.array([0, 0.25, 1], ">f4"),
            np.array([1, 0.25, 0])[::-1],
            torch.tensor([0, 0.25, 1], dtype=torch.float64),
            torch.tensor([0, 0.25, 1], requires_grad=True),
        ],
    )
    def test_any_real_numbers(self, given: object) -> None:
        checked = checked_prior(given, 3)  # type: ignore[arg-type]
        assert checked.dtype == torch.float32
        assert not checked.requires_grad
        assert checked.tolist() == [0, 0.25, 1]
        assert checked_prior(np.array([False, True]), 2).tolist() == [0, 1]

    @pytest.mark.parametrize(
        "given",
        [
            np.zeros(2),
            np.zeros((3, 1)),
            np.zeros((1, 3)),
            0.5,
            [],
            [0, 0.5, 1.01],
            [-0.01, 0.5, 1],
            [0, 0.5, np.nan],
            [0, 0.5, np.inf],
            torch.tensor([0, 0.5, torch.nan]),
            np.array([0, 0.5j, 1]),
            ["a", "b", "c"],
        ],
    )
    def test_what_is_none_is_named(self, given: object) -> None:
        with pytest.raises(ValueError, match=r"^a prior is one probability.*3 patches"):
            checked_prior(given, 3)  # type: ignore[arg-type]
