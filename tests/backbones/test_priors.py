"""The foreground priors that come with backbones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.backbones import load_backbone, registry, shipped
from deepcut_lib.backbones.registry import PRIORS
from deepcut_lib.errors import CheckpointError
from deepcut_lib.files import sha256
from deepcut_lib.metrics import mask_iou
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.segmentation import segment
from tests.conftest import DATA

NAMES = sorted(PRIORS)


def file_of(name: str) -> Path:
    return shipped.WEIGHTS / f"{name}_prior.safetensors"


@pytest.mark.parametrize("name", NAMES)
class TestShipped:
    """Each of them."""

    def test_it_is_the_backbones_and_small_and_its_card_states_the_hash(self, name: str) -> None:
        assert ForegroundPrior.load(file_of(name)).backbone == name
        assert file_of(name).stat().st_size < 20_000
        assert sha256(file_of(name)) == PRIORS[name]
        assert PRIORS[name] in file_of(name).with_suffix(".md").read_text()

    def test_the_backbone_comes_with_it_at_any_stride(self, name: str, photograph: np.ndarray) -> None:
        there = ForegroundPrior.load(file_of(name))
        for stride in (None, load_backbone(name).patch_size // 2):
            backbone = load_backbone(name, stride=stride)
            assert backbone.prior is not None
            assert backbone.prior.weight.equal(there.weight)
            features = backbone(photograph, size=160)
            assert features.prior is not None
            assert features.prior.shape == (len(features.values),)
            assert 0 <= features.prior.min() < features.prior.max() <= 1

    def test_it_tells_the_object(self, name: str) -> None:
        backbone = load_backbone(name)
        scores = []
        for path in sorted((DATA / "images").glob("*_01.jpg")):
            truth = np.asarray(Image.open(DATA / "masks" / f"{path.stem}.png")) > 127
            found = segment(path, backbone=backbone, refine=True)
            assert found.background.tolist() == [True, False]
            assert found.message == ""
            scores.append(mask_iou(found.mask, truth))
        assert np.mean(scores) > 0.7

    def test_a_changed_or_missing_file_is_refused(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for path in shipped.WEIGHTS.glob(f"{name}*.safetensors"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
        copied = file_of(name)
        content = copied.read_bytes()
        copied.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(CheckpointError, match=r"_prior\.safetensors: its SHA-256 is .*install"):
            load_backbone(name)
        copied.unlink()
        with pytest.raises(CheckpointError, match=r"_prior\.safetensors: cannot be read .*install"):
            load_backbone(name)


def test_a_prior_is_for_the_usual_features_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: np.ndarray
) -> None:
    usual = load_backbone("tiny_vit").with_prior(None)
    made = tmp_path / "prior.safetensors"
    channels = usual(photograph, size=64).values.shape[1]
    ForegroundPrior(usual(photograph, size=64).values[0], 0.0, "tiny_vit").save(made)
    monkeypatch.setattr(registry, "PRIORS", {"tiny_vit": sha256(made)})
    monkeypatch.setattr(registry, "shipped", lambda file, digest: made)
    known = load_backbone("tiny_vit").prior
    assert known is not None
    assert len(known.weight) == channels
    for options in ({"facet": "query"}, {"layer": 0}):
        assert load_backbone("tiny_vit", **options).prior is None  # type: ignore[arg-type]
        # a prior that is given was made for what is asked for
        given = load_backbone("tiny_vit", prior=made, **options).prior  # type: ignore[arg-type]
        assert given is not None
