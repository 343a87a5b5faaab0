import argparse
import hashlib
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from deepcut_lib import downloads
from deepcut_lib.backbones import checkpoints, pretrained, registry
from deepcut_lib.backbones.checkpoints import read_checkpoint
from deepcut_lib.backbones.pretrained import PUBLISHED, is_cached, is_reachable, load_vit
from deepcut_lib.errors import BackboneUnavailableError, CheckpointError
from deepcut_lib.segmentation import segment

CLOSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_net(monkeypatch, tmp_path):
    """Empty caches, and nowhere to download from."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(pretrained, "OFFICIAL", CLOSED)
    monkeypatch.setattr(pretrained, "HUB", CLOSED)
    monkeypatch.setattr(downloads, "PAUSE", 0.0)


def weights(seed: int = 0, **options) -> dict[str, Tensor]:
    """A small ViT's state dict in DINO's layout."""
    torch.manual_seed(seed)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 0}
    return dict(VisionTransformer(**{**sizes, **options}).state_dict())


def full_size(name: str, **options) -> dict[str, Tensor]:
    """A published ViT's state dict at its full size, of zeros that take no room."""
    row = PUBLISHED[name]
    with torch.device("meta"):
        model = VisionTransformer(
            patch_size=row.patch_size,
            embed_dim=row.embed_dim,
            depth=row.depth,
            num_heads=row.num_heads,
            num_classes=0,
            reg_tokens=row.registers,
            no_embed_class=row.registers > 0,
            init_values=1.0 if "dinov2" in name else None,
            **options,
        )
    return {key: torch.zeros(1).expand(tensor.shape) for key, tensor in model.state_dict().items()}


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


HEAD = {"head.mlp.0.weight": torch.zeros(2, 2)}
DECODER = {"mask_token": torch.zeros(1, 1, 24), "decoder_pos_embed": torch.zeros(1, 17, 8)}


def as_moco(state: dict[str, Tensor]) -> dict:
    return {
        "epoch": 300,
        "arch": "vit_small",
        "state_dict": prefixed("module.base_encoder.", {**state, "head.0.weight": torch.zeros(2, 2)})
        | prefixed("module.momentum_encoder.", weights(5))
        | {"module.predictor.0.weight": torch.zeros(2, 2)},
        "optimizer": {"param_groups": [{"lr": 0.1}]},
    }


def as_full(student: dict[str, Tensor], teacher: dict[str, Tensor]) -> dict:
    return {
        "student": prefixed("module.", prefixed("backbone.", student) | HEAD),
        "teacher": prefixed("backbone.", teacher) | HEAD,
        "optimizer": {"state": {}},
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small", patch_size=8, lr=0.1, data_path="/imagenet"),
    }


@pytest.mark.parametrize(
    ("contents", "which"),
    [
        (lambda own: own, "teacher"),
        (lambda own: as_full(own, weights(1)), "student"),
        (lambda own: as_full(weights(1), own), "teacher"),
        (lambda own: {"model": own | DECODER}, "teacher"),
        (lambda own: as_moco(own), "teacher"),
    ],
    ids=["flat", "student", "teacher", "mae", "moco"],
)
def test_each_layout_gives_the_same_weights(tmp_path, contents, which):
    own = weights()
    torch.save(contents(own), tmp_path / "file.pth")
    found = read_checkpoint(tmp_path / "file.pth", which=which)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[key], own[key]) for key in own)


def test_safetensors_are_read(tmp_path):
    own = weights()
    safetensors.torch.save_file(own, tmp_path / "model.safetensors")
    found = read_checkpoint(tmp_path / "model.safetensors")
    assert all(torch.equal(found[key], own[key]) for key in own)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": weights(), "extra": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match=r"bomb.pth.*could run code"):
        read_checkpoint(tmp_path / "bomb.pth")
    assert not Path("exploded").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(weights(), path)
    else:
        safetensors.torch.save_file(weights(), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CheckpointError, match=f"cut{suffix}: truncated, damaged.*download it again"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "zero bytes.*download it again"),
        (b"<html>404</html>", "truncated, damaged, or no checkpoint"),
        (b"hello world", "truncated, damaged, or no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, data, message):
    (tmp_path / "file.pth").write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "file.pth")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([1, 2], "holds a list"),
        ({"weights": 1, "step": 2}, "top-level keys are: weights, step"),
        ({}, "top-level keys are: none"),
        ({"student": {"backbone.cls_token": torch.zeros(1)}}, "top-level keys are: student"),
        ({"state_dict": {"module.fc.weight": torch.zeros(1)}}, "top-level keys are: state_dict"),
        ({"cls_token": torch.zeros(1), "step": 3}, "step is a int, not a tensor"),
    ],
)
def test_unknown_layouts_are_refused_with_what_was_found(tmp_path, contents, message):
    torch.save(contents, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=f"file.pth: .*{message}"):
        read_checkpoint(tmp_path / "file.pth")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match="no such file"):
            read_checkpoint(path)


def test_the_hash_is_checked(tmp_path, monkeypatch):
    path = tmp_path / "some_pretrain.pth"
    torch.save(weights(), path)
    right, wrong = hashlib.sha256(path.read_bytes()).hexdigest(), "0" * 64
    assert read_checkpoint(path, sha256=right.upper())
    with pytest.raises(CheckpointError, match=f"{right}, expected {wrong}.*download it again"):
        read_checkpoint(path, sha256=wrong)
    monkeypatch.setitem(checkpoints.KNOWN_SHA256, path.name, wrong)
    with pytest.raises(CheckpointError, match=wrong):
        read_checkpoint(path)


@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row.timm_name])
def test_the_table_agrees_with_timm(name):
    row = PUBLISHED[name]
    with torch.device("meta"):
        model = timm.create_model(row.timm_name, pretrained=False)
    assert (model.embed_dim, len(model.blocks), model.blocks[0].attn.num_heads, model.num_prefix_tokens) == (
        row.embed_dim,
        row.depth,
        row.num_heads,
        1 + row.registers,
    )
    assert model.patch_embed.patch_size == (row.patch_size, row.patch_size)
    assert model.pretrained_cfg["mean"] == (0.485, 0.456, 0.406)
    if row.file:
        assert model.pretrained_cfg["url"].endswith(row.file)


@pytest.mark.parametrize(
    ("held", "wrap", "name", "message"),
    [
        (
            "dino_vitb8",
            dict,
            "dino_vits8",
            "embed_dim 768 and 12 blocks, but dino_vits8 has 384 and 12; choose",
        ),
        (
            "dino_vits16",
            dict,
            "dino_vits8",
            "patches of 16 pixels, but dino_vits8 has 8; choose name='dino_vits16'",
        ),
        ("dinov2_vits14_reg4", dict, "dinov2_vits14", "4 registers, but dinov2_vits14 has 0; choose"),
        ("mocov3_vits16", as_moco, "dino_vits16", "'MoCo v3'.*choose name='mocov3_vits16'"),
        ("mocov3_vitb16", as_moco, "dino_vits8", "embed_dim 768.*choose name='mocov3_vitb16'"),
        ("dino_vits16", dict, "mocov3_vits16", "'flat'.*choose name='dino_vits16'"),
        ("dino_vits8", dict, "dino_vits8_student", "'flat'.*choose name='dino_vits8'"),
        ("dino_vitb16", dict, "dinov3_vits16", "embed_dim 768"),
    ],
)
def test_another_models_file_is_refused(tmp_path, held, wrap, name, message):
    torch.save(wrap(full_size(held)), tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=f"file.pth: .*{message}"):
        load_vit(name, checkpoint=tmp_path / "file.pth", device="cpu")


@pytest.mark.parametrize(
    ("name", "wrap", "heads"),
    [
        ("dino_vits16", dict, 6),
        ("mocov3_vits16", as_moco, 12),
        ("mae_vitb16", lambda state: {"model": state}, 12),
        ("dinov2_vits14_reg4", dict, 6),
    ],
)
def test_official_files_load_with_the_heads_they_were_trained_with(tmp_path, name, wrap, heads):
    torch.save(wrap(full_size(name)), tmp_path / "file.pth")
    backbone = load_vit(name, checkpoint=tmp_path / "file.pth", device="cpu")
    assert (backbone.name, backbone.patch_size, backbone.size) == (name, PUBLISHED[name].patch_size, 448)
    assert {block.attn.num_heads for block in backbone.extractor.model.blocks} == {heads}


def test_dinov3_loads_from_timms_file(tmp_path):
    with torch.device("meta"):
        keys = timm.create_model("vit_small_patch16_dinov3", pretrained=False).state_dict()
    small = {key: torch.full((1,), 0.01).expand(tensor.shape) for key, tensor in keys.items()}
    torch.save(small, tmp_path / "file.pth")
    backbone = load_vit("dinov3_vits16", checkpoint=tmp_path / "file.pth", stride=8, device="cpu")
    assert backbone.extract(torch.randn(1, 3, 32, 48)).shape == (1, 3 * 5, 384)
    del small["norm.weight"]
    torch.save(small, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"file.pth: missing keys: norm.weight"):
        load_vit("dinov3_vits16", checkpoint=tmp_path / "file.pth", device="cpu")


def test_student_and_teacher_are_told_apart(tmp_path, monkeypatch):
    for name in ("dino_vits8", "dino_vits8_student"):
        monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], embed_dim=24, depth=2, num_heads=3))
    student, teacher = weights(1), weights(2)
    torch.save(as_full(student, teacher), tmp_path / "full.pth")
    for name, state in (("dino_vits8_student", student), ("dino_vits8", teacher)):
        network = load_vit(name, checkpoint=tmp_path / "full.pth", device="cpu").extractor.model
        assert torch.equal(network.blocks[0].attn.qkv.weight, state["blocks.0.attn.qkv.weight"])


def test_unknown_names_are_listed():
    with pytest.raises(ValueError, match="unknown ViT 'dino'; known are dino_vits8"):
        load_vit("dino")


@pytest.fixture
def server(monkeypatch):
    """An http server that has one file, official and on the hub alike, and can hang up half-way."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(send=False)

        def do_GET(self) -> None:
            self.answer(send=True)

        def answer(self, send: bool) -> None:
            server.asked.append(f"{self.command} {self.path}")
            if not self.path.startswith(server.below):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(server.data)))
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", "1" * 40)
            self.end_headers()
            if send:
                self.wfile.write(server.data[: int(len(server.data) * server.share)])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.below, server.data, server.share = [], "/", b"", 1.0
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(pretrained, "OFFICIAL", address)
    monkeypatch.setattr(pretrained, "HUB", address)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def moco(server, monkeypatch, tmp_path) -> dict[str, Tensor]:
    """A small stand-in for MoCo v3's file, which is on no hub."""
    row = replace(PUBLISHED["mocov3_vits16"], embed_dim=24, depth=2, num_heads=3, patch_size=8)
    monkeypatch.setitem(PUBLISHED, row.name, row)
    torch.save(as_moco(weights()), tmp_path / "served.pth")
    server.data = (tmp_path / "served.pth").read_bytes()
    return weights()


def downloaded(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "torch").rglob("*") if path.is_file())


def test_an_official_file_is_downloaded_once(server, moco, tmp_path, monkeypatch):
    assert not is_cached("mocov3_vits16")
    assert is_reachable("mocov3_vits16")
    network = load_vit("mocov3_vits16", device="cpu").extractor.model
    assert torch.equal(network.cls_token, moco["cls_token"])
    assert server.asked[-1] == "GET /moco-v3/vit-s-300ep/vit-s-300ep.pth.tar"
    assert downloaded(tmp_path) == ["vit-s-300ep.pth.tar"]
    assert is_cached("mocov3_vits16")

    monkeypatch.setattr(pretrained, "OFFICIAL", CLOSED)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert load_vit("mocov3_vits16", device="cpu").name == "mocov3_vits16"


def test_a_connection_that_ends_early_is_gone_on_with(server, moco, tmp_path):
    server.share = 0.5
    with pytest.raises(BackboneUnavailableError, match=r"connection broke off.* are kept"):
        load_vit("mocov3_vits16", device="cpu")
    assert downloaded(tmp_path) == ["vit-s-300ep.pth.tar.part"]
    assert not is_cached("mocov3_vits16")
    server.share = 1.0
    network = load_vit("mocov3_vits16", device="cpu").extractor.model
    assert torch.equal(network.cls_token, moco["cls_token"])
    assert downloaded(tmp_path) == ["vit-s-300ep.pth.tar"]


def test_a_download_with_a_wrong_hash_leaves_nothing(server, moco, tmp_path, monkeypatch):
    monkeypatch.setitem(checkpoints.KNOWN_SHA256, "vit-s-300ep.pth.tar", "0" * 64)
    with pytest.raises(CheckpointError, match="expected 0000"):
        load_vit("mocov3_vits16", device="cpu")
    assert downloaded(tmp_path) == []


@pytest.fixture
def dino(monkeypatch) -> None:
    row = replace(PUBLISHED["dino_vits8"], embed_dim=24, depth=2, num_heads=3)
    monkeypatch.setitem(PUBLISHED, row.name, row)


def test_timms_file_comes_from_the_hub_and_is_cached(server, dino, tmp_path, monkeypatch):
    server.data = safetensors.torch.save(weights())
    server.below = "/timm/"
    load_vit("dino_vits8", device="cpu")
    assert "GET /timm/vit_small_patch8_224.dino/resolve/main/model.safetensors" in " ".join(server.asked)
    assert is_cached("dino_vits8")
    monkeypatch.setattr(pretrained, "HUB", CLOSED)
    server.asked.clear()
    network = load_vit("dino_vits8", device="cpu").extractor.model
    assert torch.equal(network.cls_token, weights()["cls_token"])
    assert not server.asked


def test_the_official_file_stands_in_for_the_hub(server, dino, tmp_path):
    torch.save(weights(), tmp_path / "served.pth")
    server.data = (tmp_path / "served.pth").read_bytes()
    server.below = "/dino/"
    load_vit("dino_vits8", device="cpu")
    assert downloaded(tmp_path) == ["dino_deitsmall8_pretrain.pth"]


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_without_a_net_the_error_names_the_remedies(name):
    assert not is_cached(name)
    assert not is_reachable(name)
    with pytest.raises(BackboneUnavailableError) as caught:
        load_vit(name)
    for part in (name, "refused", CLOSED, "checkpoint=", "effnet_lite0"):
        assert part in str(caught.value)


def test_offline_means_that_nothing_is_asked(server, moco, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not is_reachable("mocov3_vits16")
    with pytest.raises(BackboneUnavailableError, match="HF_HUB_OFFLINE is set"):
        load_vit("mocov3_vits16")
    assert not server.asked


def test_a_silent_server_costs_no_more_than_the_timeout(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(pretrained, "OFFICIAL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        asked: list[float] = []

        def ask(request: Request, timeout: float) -> object:
            asked.append(timeout)
            return urlopen(request, timeout=timeout)

        monkeypatch.setattr(downloads, "urlopen", ask)
        assert not is_reachable("mocov3_vits16", timeout=0.2)
        assert asked == [0.2]


def test_a_slow_name_lookup_costs_no_more_than_the_timeout(monkeypatch):
    """No timeout of a connection covers the lookup, which may take half a minute without a net."""

    found = threading.Event()
    ended: list[bool] = []

    def slow(*_: object, **__: object) -> None:
        ended.append(found.wait(60))
        raise OSError("too late to matter")

    monkeypatch.setattr(downloads, "urlopen", slow)
    assert not is_reachable("dino_vits8", timeout=0.1)
    assert not ended  # it was not waited for
    found.set()


LOGIN = b"<!doctype html><title>Welcome to the airport</title>" + b" " * 3000


def test_a_login_page_is_no_weight_file(server, dino, tmp_path, monkeypatch):
    server.data = LOGIN
    with pytest.raises(BackboneUnavailableError, match=r"no weight file; does the network ask for a login"):
        load_vit("dino_vits8", device="cpu")
    assert downloaded(tmp_path) == []
    assert not is_cached("dino_vits8")
    # the same address, once the login is done
    server.data = safetensors.torch.save(weights())
    server.below = "/timm/"
    assert load_vit("dino_vits8", device="cpu").name == "dino_vits8"


@pytest.mark.parametrize("content", [LOGIN, b"", b"PK\x03\x04 and no more", b"\x80\x02}"])
def test_a_damaged_file_in_the_cache_does_not_stand_in_the_way(server, moco, tmp_path, content):
    load_vit("mocov3_vits16", device="cpu")
    (cached,) = (tmp_path / "torch").rglob("*.tar")
    cached.write_bytes(content)
    server.asked.clear()
    network = load_vit("mocov3_vits16", device="cpu").extractor.model
    assert torch.equal(network.cls_token, moco["cls_token"])
    assert server.asked[-1].startswith("GET")


def test_a_file_cut_short_in_the_hubs_cache_does_not_stand_in_the_way(server, dino, tmp_path, monkeypatch):
    server.data = whole = safetensors.torch.save(weights())
    server.below = "/timm/"
    load_vit("dino_vits8", device="cpu")
    (cached,) = (path for path in (tmp_path / "hub").rglob("blobs/*") if path.is_file())
    for content in (whole[: len(whole) // 2], LOGIN, safetensors.torch.save(weights(embed_dim=48))):
        cached.write_bytes(content)
        network = load_vit("dino_vits8", device="cpu").extractor.model
        assert torch.equal(network.cls_token, weights()["cls_token"])
        assert cached.read_bytes() == whole


def test_what_the_hub_gives_wrongly_is_not_kept(server, dino, tmp_path):
    """Another model from the hub: the official address is asked next, and all reasons are given."""
    server.data = safetensors.torch.save(weights(embed_dim=48))
    with pytest.raises(CheckpointError, match=r"model.safetensors: holds embed_dim 48.*pretrain.pth: "):
        load_vit("dino_vits8", device="cpu")
    assert server.asked[-1] == "GET /dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth"
    assert not is_cached("dino_vits8")
    assert downloaded(tmp_path) == []


@pytest.mark.parametrize(
    "error", [OSError("disk full"), RuntimeError("odd"), CheckpointError("torn"), KeyError("x")]
)
def test_auto_never_fails(error, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.delenv("DEEPCUT_BACKBONE", raising=False)
    for look_up in (fail, lambda name: True):
        with monkeypatch.context() as patched:
            patched.setattr(registry, "is_cached", look_up)
            patched.setitem(registry.REGISTERED, "dino_vits8", (fail, "the paper's"))
            assert registry.load_backbone().name == "effnet_lite0"
        notice = capsys.readouterr().err
        assert len(notice.splitlines()) == 1
        assert "dino_vits8 could not be loaded" in notice


def test_the_variable_is_named_where_it_is_wrong(monkeypatch):
    monkeypatch.setenv("DEEPCUT_BACKBONE", "resnet")
    with pytest.raises(ValueError, match="DEEPCUT_BACKBONE=resnet: no backbone is called"):
        registry.load_backbone()


def test_auto_is_resolved_before_it_is_remembered(monkeypatch, photograph):
    for name in ("pixels", "random_vit", "pixels"):
        monkeypatch.setenv("DEEPCUT_BACKBONE", name)
        assert segment(photograph, size=64).features.backbone == name


@pytest.mark.parametrize("value", [0, -8, 3, 8.0, True, "8"])
def test_strides_that_are_none(value):
    for name in ("pixels", "effnet_lite0", "random_vit"):
        with pytest.raises(ValueError, match="have strides"):
            registry.load_backbone(name, stride=value)
    assert registry.load_backbone("pixels", stride=np.int64(8)).stride == 8


@pytest.mark.parametrize("layer", [12, -13, 1.0, None, True])
def test_layers_that_are_none(layer):
    with pytest.raises(ValueError, match="layer must lie in"):
        registry.load_backbone("random_vit", layer=layer)


@pytest.mark.parametrize("name", ["pixels", "effnet_lite0", "tiny_vit", "random_vit"])
def test_any_state_of_torch(name, photograph):
    plain = registry.load_backbone(name)
    expected = plain(photograph, size=64)
    with torch.inference_mode():
        inside = registry.load_backbone(name)(photograph, size=64)
        assert not plain(photograph, size=64).values.is_inference()
    torch.set_default_dtype(torch.float64)
    try:
        double = registry.load_backbone(name)
        found = [double(photograph, size=64), plain(photograph, size=64)]
    finally:
        torch.set_default_dtype(torch.float32)
    assert double.fingerprint == plain.fingerprint
    for features in (inside, *found):
        assert torch.equal(features.values, expected.values)
        assert features.cls is not None
        assert torch.equal(features.cls, expected.cls)


def test_the_fingerprint_is_that_of_the_content(tmp_path, moco):
    paths = [tmp_path / name for name in ("a.pth", "b.pth")]
    for path in paths:
        torch.save(as_moco(weights()), path)
    first, second = (load_vit("mocov3_vits16", checkpoint=path, device="cpu").fingerprint for path in paths)
    assert first == second
    torch.save(as_moco(weights(1)), paths[1])
    others = [
        load_vit("mocov3_vits16", checkpoint=paths[1], device="cpu"),
        load_vit("mocov3_vits16", checkpoint=paths[0], stride=4, device="cpu"),
        load_vit("mocov3_vits16", checkpoint=paths[0], facet="query", device="cpu"),
        load_vit("mocov3_vits16", checkpoint=paths[0], layer=0, device="cpu"),
    ]
    assert len({first, *(other.fingerprint for other in others)}) == 5
