"""Clips to masks: labels that persist, scenes, frames that cannot be used, and what is carried."""

import gc
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepcut_lib import load_backbone, segment_video
from deepcut_lib.backbones import Backbone
from deepcut_lib.errors import CheckpointError, ImageError
from deepcut_lib.metrics import flicker, mask_iou, still_pixels
from deepcut_lib.segmentation import cut, segment
from deepcut_lib.video import CarriedDeepCut, VideoFrame, video_recipe
from deepcut_lib.video.segment import CUT_MESSAGE
from tests.video.conftest import YELLOW_ON_BLUE, scene, truth

SIZE = 192


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("pixels")


def masks(frames: list[VideoFrame]) -> list[np.ndarray]:
    return [frame.segmentation.mask for frame in frames if frame.segmentation is not None]


def test_the_object_is_followed(clip: list[Image.Image], places: list[int], backbone: Backbone) -> None:
    found = list(segment_video(clip, backbone=backbone, size=SIZE))
    assert [frame.index for frame in found] == list(range(len(clip)))
    assert all(frame.message == "" for frame in found)
    assert min(mask_iou(mask, truth(at)) for mask, at in zip(masks(found), places, strict=True)) > 0.55


def test_cluster_numbers_persist_where_frames_alone_swap_them(
    clip: list[Image.Image], places: list[int], backbone: Backbone
) -> None:
    def disc_labels(labels: list[np.ndarray]) -> set[int]:
        cells = (np.array(labels[0].shape) * (48 / 96, 1)).astype(int)[0]
        return {
            int(of_frame[cells, at * of_frame.shape[1] // 128])
            for of_frame, at in zip(labels, places, strict=True)
        }

    carried = [
        frame.segmentation.labels
        for frame in segment_video(clip, backbone=backbone, size=SIZE)
        if frame.segmentation is not None
    ]
    alone = [
        segment(picture, backbone=backbone, size=SIZE, random_state=seed).labels
        for seed, picture in enumerate(clip)
    ]
    assert len(disc_labels(carried)) == 1
    assert len(disc_labels(alone)) > 1


def test_labels_of_what_does_not_move_do_not_flicker(clip: list[Image.Image], backbone: Backbone) -> None:
    plain = backbone(clip[0], size=SIZE)
    scale = plain.values.std(0)
    generator = torch.Generator().manual_seed(0)
    noises = [torch.randn(plain.values.shape, generator=generator) for _ in range(8)]
    frames = [replace(plain, values=plain.values + 0.5 * scale * noise.to(scale.device)) for noise in noises]
    recipe = video_recipe(backbone.foreground_recipe)
    carried = CarriedDeepCut(recipe)
    followed = [carried.follow(frame, clip[0]).segmentation.mask for frame in frames]
    alone = [found.mask for found in cut(frames, recipe=recipe)]
    still = still_pixels(clip[0], clip[0])

    def flickered(masks: list[np.ndarray]) -> float:
        return sum(flicker(a, b, still) for a, b in pairwise(masks))

    assert 0 < flickered(followed) < flickered(alone) / 3


@pytest.mark.parametrize("options", [{"parts": 2}, {"objective": "cc"}, {"offline": True}, {"refine": True}])
def test_parts_clusters_without_k_and_both_modes_follow_it_too(
    clip: list[Image.Image], places: list[int], backbone: Backbone, options: dict
) -> None:
    found = list(segment_video(clip, backbone=backbone, size=SIZE, **options))
    assert np.mean([mask_iou(mask, truth(at)) for mask, at in zip(masks(found), places, strict=True)]) > 0.55
    if "parts" in options:
        parts = [frame.parts for frame in found]
        assert all(
            of_frame is not None and set(np.unique(of_frame.labels)) <= {0, 1, 2} for of_frame in parts
        )


def test_a_cut_is_said_and_labels_begin_anew(clip: list[Image.Image], backbone: Backbone) -> None:
    others = [Image.fromarray(scene(at, YELLOW_ON_BLUE)) for at in (40, 46, 52)]
    found = list(segment_video([*clip[:3], *others], backbone=backbone, size=SIZE))
    assert [frame.restarted for frame in found] == [False] * 3 + [True, False, False]
    assert found[3].message == CUT_MESSAGE
    fresh = list(segment_video(others, backbone=backbone, size=SIZE))
    assert all(np.array_equal(a, b) for a, b in zip(masks(found[3:]), masks(fresh), strict=True))


def test_a_black_frame_is_background_and_changes_nothing_after_it(clip: list[Image.Image]) -> None:
    backbone = load_backbone("effnet_lite0")
    black = Image.new("RGB", clip[0].size)
    found = list(segment_video([clip[0], black, clip[1]], backbone=backbone, size=128))
    assert found[1].segmentation is not None
    assert "nothing to cut" in found[1].message
    assert not found[1].segmentation.mask.any()
    without = list(segment_video(clip[:2], backbone=backbone, size=128))
    assert np.array_equal(masks(found)[2], masks(without)[1])
    assert not found[2].restarted


def test_a_bad_frame_is_its_own_failure(clip: list[Image.Image], backbone: Backbone) -> None:
    bad = np.zeros((96, 128, 7), np.uint8)
    found = list(segment_video([clip[0], bad, clip[1]], backbone=backbone, size=SIZE))
    assert found[1].segmentation is None
    assert "no picture" in found[1].message
    assert found[2].segmentation is not None


def test_frames_may_differ_in_size_and_a_clip_may_have_one(
    clip: list[Image.Image], backbone: Backbone
) -> None:
    sizes = [(128, 96), (200, 96), (64, 128)]
    frames = [picture.resize(size) for picture, size in zip(clip, sizes, strict=False)]
    for size in (SIZE, None):
        found = masks(list(segment_video(frames, backbone=backbone, size=size)))
        assert [mask.shape[::-1] for mask in found] == sizes
    assert len(list(segment_video(clip[:1], backbone=backbone, size=SIZE))) == 1


def test_a_generator_is_read_frame_by_frame_and_memory_does_not_grow(
    clip: list[Image.Image], backbone: Backbone
) -> None:
    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        for _ in segment_video((clip[0] for _ in range(count)), backbone=backbone, size=SIZE):
            pass
        return tracemalloc.get_traced_memory()[1]

    peak(3)
    assert peak(24) < peak(6) + 200_000  # one more frame kept for each of 18 would be 660,000
    tracemalloc.stop()


def test_wrong_settings_are_told_at_once(clip: list[Image.Image], backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="iterator only once"):
        segment_video(iter(clip), backbone=backbone, offline=True)
    with pytest.raises(TypeError, match="no setting 'colour'"):
        segment_video(clip, backbone=backbone, colour=3)
    with pytest.raises(ValueError, match="k must"):
        segment_video(clip, backbone=backbone, parts=0)
    with pytest.raises(ImageError, match="no frame"):
        list(segment_video([], backbone=backbone))


def test_what_was_saved_goes_on_as_if_never_stopped(
    clip: list[Image.Image], backbone: Backbone, tmp_path: Path
) -> None:
    recipe = video_recipe(backbone.foreground_recipe)

    def follow(carried: CarriedDeepCut, frames: list[Image.Image]) -> list[np.ndarray]:
        return [carried.follow(backbone(frame, size=SIZE), frame).segmentation.mask for frame in frames]

    whole = follow(CarriedDeepCut(recipe, parts=2), clip)
    first, second = CarriedDeepCut(recipe, parts=2), CarriedDeepCut(recipe, parts=2)
    follow(first, clip[:4])
    first.save(tmp_path / "state", "four frames")
    assert second.load(tmp_path / "state") == "four frames"
    assert all(np.array_equal(a, b) for a, b in zip(follow(second, clip[4:]), whole[4:], strict=True))
    (tmp_path / "state").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="damaged"):
        second.load(tmp_path / "state")
