from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from deepcut_lib.backbones.vit import ViTFeatures, random_vit, vit_from_state
from deepcut_lib.errors import CheckpointError
from deepcut_lib.features import PatchFeatures, log_bin

PUBLISHED = np.load(Path(__file__).parents[1] / "data" / "vit_extractor.npz")
"""A small random ViT in DINO's layout, and what the published extractor makes of three pictures."""


def published(name: str) -> Tensor:
    return torch.from_numpy(PUBLISHED[name])


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return {key.removeprefix("state/"): published(key) for key in PUBLISHED.files if key.startswith("state/")}


def tiny(state, **options):
    return vit_from_state(state, **{"num_heads": 3, "patch_size": 8, "device": "cpu", **options})


@pytest.mark.parametrize("facet", ["key", "query", "value", "token"])
@pytest.mark.parametrize("case", ["native", "wide", "dense_stride4"])
def test_the_published_numbers_are_reached(state, case, facet):
    backbone = tiny(state, stride=int(PUBLISHED[f"{case}/stride"]), facet=facet)
    batch, wanted = published(f"{case}/image"), published(f"{case}/{facet}")
    values = backbone.extract(batch)[0]
    with torch.no_grad():
        with_cls = backbone.extractor(batch, cls=True)
    torch.testing.assert_close(values, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(with_cls.values[0], values, atol=0, rtol=0)
    torch.testing.assert_close(with_cls.cls[0], published(f"{case}/cls_final"), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("case", "grid"), [("wide", (7, 11)), ("dense_stride4", (13, 17))])
def test_log_bins_are_the_published_ones(case, grid):
    keys = PatchFeatures(published(f"{case}/key"), grid, None, (56, 88), "tiny")
    np.testing.assert_array_equal(
        log_bin(keys).values.numpy().astype(np.float16), PUBLISHED[f"{case}/key_logbin"]
    )


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("facet", ["key", "token"])
def test_a_layer_is_that_of_the_shortened_network(state, facet, layer):
    keep = layer % 3 + 1
    shortened = {
        key: value for key, value in state.items() if "blocks." not in key or int(key.split(".")[1]) < keep
    }
    batch = published("wide/image")
    torch.testing.assert_close(
        tiny(state, facet=facet, layer=layer).extract(batch), tiny(shortened, facet=facet).extract(batch)
    )


def test_cls_is_the_last_blocks_whatever_the_layer(state):
    with torch.no_grad():
        vector = tiny(state, layer=0, facet="value").extractor(published("wide/image"), cls=True).cls
    torch.testing.assert_close(vector[0], published("wide/cls_final"), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("stride", "grid"), [(None, (3, 5)), (8, (3, 5)), (4, (5, 9)), (2, (9, 17))])
def test_finer_strides_give_finer_grids(state, stride, grid):
    backbone = tiny(state, stride=stride)
    picture = np.random.default_rng(0).random((24, 40, 3))
    features = backbone(picture, size=None)
    assert features.grid == grid
    assert features.values.shape == (grid[0] * grid[1], 24)
    assert features.cls.shape == (24,)
    assert features.values.isfinite().all()


def test_a_row_does_not_depend_on_its_batch(state):
    batch = torch.cat([published("wide/image"), torch.randn(2, 3, 56, 88)])
    with torch.no_grad():
        together, alone = tiny(state).extractor(batch, cls=True), tiny(state).extractor(batch[:1], cls=True)
    torch.testing.assert_close(together.values[:1], alone.values, atol=2e-6, rtol=0)
    torch.testing.assert_close(together.cls[:1], alone.cls, atol=2e-6, rtol=0)


@pytest.mark.parametrize("facet", ["key", "query", "value"])
def test_nothing_beyond_the_facet_is_computed(state, facet):
    calls: list[str] = []
    backbone = tiny(state, facet=facet, layer=1)
    for name, module in backbone.extractor.model.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    backbone.extract(published("wide/image"))
    assert {"blocks.0", "blocks.1.norm1"} <= set(calls)
    unwanted = ("blocks.1.attn.proj", "blocks.1.attn.qkv", "blocks.1.mlp", "blocks.1.norm2", "blocks.2")
    assert not [name for name in calls if name.startswith(unwanted) or name in ("norm", "blocks.1")]


def noise(model: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter its own random numbers, so that none can be left out unnoticed."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.1 + (parameter.ndim == 1) * 0.5)
    return model.eval()


SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 2, "num_classes": 0}
DINOV3 = {
    "rope_type": "dinov3",
    "rope_temperature": 100,
    "rope_rotate_half": True,
    "use_rot_pos_emb": True,
    "use_abs_pos_emb": False,
    "use_fc_norm": False,
    "num_reg_tokens": 4,
    "init_values": 0.1,
    "dynamic_img_size": True,
}


@pytest.mark.parametrize(
    "model",
    [
        VisionTransformer(**SMALL),
        VisionTransformer(**SMALL, init_values=0.1, reg_tokens=4, no_embed_class=True),
        VisionTransformer(**SMALL, qk_norm=True, pre_norm=True),
        Eva(**SMALL, **DINOV3, qkv_bias=False),
        Eva(**SMALL, **DINOV3, qkv_bias=True),
        Eva(**SMALL, **{**DINOV3, "rope_type": "mixed", "rope_rotate_half": False}),
    ],
    ids=["plain", "registers", "norms", "dinov3", "dinov3_bias", "rotations_by_block"],
)
def test_timms_own_forward_is_matched(model):
    """At native size: every token, and the keys, queries and values that the attention works with."""
    torch.manual_seed(0)
    noise(model)
    batch = torch.randn(2, 3, 32, 32)
    prefix = model.num_prefix_tokens
    with torch.no_grad():
        everything = model.forward_features(batch)
        tokens, vector = ViTFeatures(model, facet="token").eval()(batch, cls=True)
        torch.testing.assert_close(model.norm(tokens), everything[:, prefix:], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(vector, everything[:, 0], atol=1e-5, rtol=1e-5)

        # The attention's product head by head, rebuilt from head-major facets, without the rotation
        block = model.blocks[1]
        x = tokens_before(model, batch)[:, prefix:]
        query, key, value = (
            ViTFeatures(model, facet=facet, layer=1)(batch, cls=False)
            .values.unflatten(-1, (2, 24))
            .transpose(1, 2)
            for facet in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        torch.testing.assert_close(block.attn.proj(mixed), block.attn(block.norm1(x)), atol=1e-5, rtol=1e-5)


def tokens_before(model: torch.nn.Module, batch: Tensor) -> Tensor:
    """The input of block 1, as timm's own forward makes it."""
    seen: list[Tensor] = []
    handle = model.blocks[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.forward_features(batch)
    handle.remove()
    return seen[0]


def test_rotations_follow_the_grid():
    torch.manual_seed(0)
    model = noise(Eva(**SMALL, **DINOV3, qkv_bias=False))
    batch = torch.randn(1, 3, 24, 40)
    with torch.no_grad():
        wanted = model.forward_features(batch)
        tokens, _ = ViTFeatures(model, facet="token").eval()(batch, cls=False)
        dense, _ = ViTFeatures(model, stride=4).eval()(batch, cls=False)
    torch.testing.assert_close(model.norm(tokens), wanted[:, 5:], atol=1e-5, rtol=1e-5)
    assert dense.shape == (1, 5 * 9, 48)


def test_official_registers_stand_where_timm_has_them():
    """DINOv2's own files add a position to the class token and none to the registers."""
    torch.manual_seed(0)
    model = noise(VisionTransformer(**SMALL, init_values=0.1, reg_tokens=4, no_embed_class=True))
    official = dict(model.state_dict())
    first = torch.randn(1, 1, 48)
    official["register_tokens"] = official.pop("reg_token")
    official["pos_embed"] = torch.cat([first, official["pos_embed"]], dim=1)
    official["cls_token"] = official["cls_token"] - first
    official["mask_token"] = torch.randn(1, 48)
    batch = torch.randn(1, 3, 32, 32)
    for weights in (official, model.state_dict()):
        backbone = vit_from_state(weights, num_heads=2, patch_size=8, facet="token", device="cpu")
        with torch.no_grad():
            found = backbone.extractor(batch, cls=True)
            wanted = model.forward_features(batch)
        torch.testing.assert_close(model.norm(found.values), wanted[:, 5:], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.cls, wanted[:, 0], atol=1e-5, rtol=1e-5)


def test_the_sizes_are_read_off_the_tensors():
    model = VisionTransformer(
        **{**SMALL, "patch_size": 16, "img_size": 48}, mlp_ratio=100 / 48, qkv_bias=False
    )
    backbone = vit_from_state(model.state_dict(), num_heads=2, patch_size=16, device="cpu", name="odd")
    network = backbone.extractor.model
    assert (network.blocks[0].mlp.fc1.out_features, len(network.blocks)) == (100, 3)
    assert (backbone.name, backbone.size, backbone.stride) == ("odd", 448, 16)
    assert backbone.extract(torch.randn(1, 3, 64, 32)).shape == (1, 8, 48)


def test_default_size_is_the_published_280_for_patches_of_8(state):
    assert tiny(state).size == 280


def without(key: str):
    return lambda state: state.pop(key)


def replaced(key: str, *shape: int):
    return lambda state: state.update({key: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (without("pos_embed"), {}, "missing keys: pos_embed"),
        (without("norm.weight"), {}, "missing keys: norm.weight"),
        (without("patch_embed.proj.weight"), {}, "missing keys: patch_embed.proj.weight"),
        (replaced("head.weight", 10, 24), {}, "unexpected keys: head.weight"),
        (replaced("blocks.1.norm1.weight", 5), {}, r"blocks.1.norm1.weight \(5,\) instead of \(24,\)"),
        (replaced("pos_embed", 1, 700, 24), {}, "700 rows"),
        (lambda state: None, {"num_heads": 5}, "24 is not divisible by num_heads=5"),
        (lambda state: None, {"num_heads": 0}, "num_heads=0"),
        (lambda state: None, {"patch_size": 16}, "kernel is 3×8×8.*contradicts patch_size=16"),
    ],
)
def test_weights_that_do_not_fit_are_refused(state, change, options, message):
    changed = dict(state)
    change(changed)
    with pytest.raises(CheckpointError, match=message):
        tiny(changed, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 3}, "strides 8, 4, 2, not 3"),
        ({"stride": 16}, "strides 8, 4, 2, not 16"),
        ({"stride": 0}, "not 0"),
        ({"facet": "keys"}, "facet must be one of query, key, value, token"),
        ({"layer": 3}, "3 blocks: layer must lie in -3…2, not 3"),
        ({"layer": -4}, "not -4"),
    ],
)
def test_impossible_options_are_refused(state, options, message):
    with pytest.raises(ValueError, match=message):
        tiny(state, **options)


def test_patches_of_14_have_two_strides():
    with pytest.raises(ValueError, match="strides 14, 7, not 4"):
        ViTFeatures(VisionTransformer(**{**SMALL, "patch_size": 14, "img_size": 56}), stride=4)


def test_the_untrained_vit_is_the_same_every_time():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = random_vit(layer=0, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    second = random_vit(layer=0, device="cpu")
    batch = torch.randn(1, 3, 16, 24)
    assert first.name == "random_vit"
    assert (len(first.extractor.model.blocks), first.patch_size, first.size) == (12, 8, 280)
    assert first.extract(batch).shape == (1, 6, 384)
    assert torch.equal(first.extract(batch), second.extract(batch))


@pytest.mark.parametrize("value", [0, -3, 3.0, True, "3", None])
def test_numbers_of_heads_that_are_none(state, value):
    with pytest.raises(CheckpointError, match=r"num_heads=.*the whole number of heads"):
        tiny(state, num_heads=value)
    with pytest.raises(CheckpointError, match="contradicts patch_size="):
        tiny(state, patch_size=8.0)
    numbers = {
        "num_heads": np.int64(3),
        "patch_size": np.int64(8),
        "stride": np.uint8(4),
        "layer": np.int32(-1),
    }
    batch = published("wide/image")
    assert torch.equal(tiny(state, **numbers).extract(batch), tiny(state, stride=4).extract(batch))


@pytest.mark.parametrize(
    ("key", "tensor"),
    [
        ("patch_embed.proj.weight", torch.tensor(1.0)),
        ("patch_embed.proj.weight", torch.zeros(0, 3, 8, 8)),
        ("pos_embed", torch.zeros(1, 0, 24)),
        ("blocks.0.mlp.fc1.weight", torch.tensor(1.0)),
        ("register_tokens", torch.zeros(2)),
        ("blocks.x.norm1.weight", torch.zeros(24)),
        ("blocks.99999.norm1.weight", torch.zeros(24)),
        ("norm.weight", torch.zeros(24, dtype=torch.complex64)),
        ("norm.weight", torch.zeros(24).to_sparse()),
    ],
)
def test_odd_tensors_are_refused(state, key, tensor):
    with pytest.raises(CheckpointError):
        tiny({**state, key: tensor})


def test_networks_that_differ_in_nothing_but_heads_have_other_fingerprints(state):
    assert tiny(state, num_heads=3).fingerprint != tiny(state, num_heads=6).fingerprint


def test_positions_are_those_of_the_grid_and_of_the_weights(state):
    backbone = tiny(state)
    small, large = torch.randn(2, 3, 32, 48), torch.randn(2, 3, 80, 64)
    first = backbone.extract(small)
    backbone.extract(large)
    assert torch.equal(backbone.extract(small), first)
    backbone.extractor.model.pos_embed.neg_()
    assert not torch.allclose(backbone.extract(small), first, atol=1e-3)
