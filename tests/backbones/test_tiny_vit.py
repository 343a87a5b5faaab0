import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from deepcut_lib.backbones import shipped
from deepcut_lib.backbones.shipped import WEIGHTS
from deepcut_lib.backbones.tiny_vit import SHA256, tiny_vit, tiny_vit_masked
from deepcut_lib.errors import CheckpointError

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "data" / "images" / "photo_cat.jpg"
RECORDED = np.load(ROOT / "tests" / "data" / "tiny_vit_keys.npz")
"""By model: last-block keys of every 49th patch of PICTURE, 25×192, as they were when it was shipped."""

MODELS = {"tiny_vit": tiny_vit, "tiny_vit_masked": tiny_vit_masked}


def load(name, *, stride=None, facet="key", layer=-1):
    return MODELS[name](stride=stride, facet=facet, layer=layer, device="cpu")


@pytest.mark.parametrize("name", MODELS)
def test_the_recorded_keys_are_reached(name):
    features = load(name)(PICTURE)
    assert (features.backbone, features.grid) == (name, (35, 35))
    assert features.values.dtype == torch.float32
    np.testing.assert_allclose(features.values[::49].numpy(), RECORDED[name], atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_the_card_states_the_hash_and_the_file_is_small(name):
    assert SHA256[name] in (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 6e6


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("facet", ["query", "key", "value", "token"])
def test_strides_facets_and_layers(name, facet):
    features = load(name, stride=4, facet=facet, layer=2)(PICTURE, size=64)
    assert features.grid == (15, 15)
    assert features.values.shape == (225, 192)
    assert features.cls.shape == (192,)


@pytest.mark.parametrize("name", MODELS)
def test_a_changed_or_missing_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(name)
    shutil.copy(WEIGHTS / f"{name}.safetensors", tmp_path)
    content = bytearray((tmp_path / f"{name}.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / f"{name}.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="its SHA-256 is"):
        load(name)
