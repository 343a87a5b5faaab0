"""Clips: one network carried from frame to frame, so that labels persist. Beyond the paper."""

from deepcut_lib.video.carried import CarriedDeepCut, Tracked, video_recipe
from deepcut_lib.video.frames import (
    Clip,
    Frame,
    VideoReaderMissingError,
    clip_facts,
    has_video_reader,
    import_av,
    read_frames,
)
from deepcut_lib.video.segment import VideoFrame, fit_clip, fit_to_frames, follow, segment_video
from deepcut_lib.video.writing import palette_picture, write_clip

__all__ = [
    "CarriedDeepCut",
    "Clip",
    "Frame",
    "Tracked",
    "VideoFrame",
    "VideoReaderMissingError",
    "clip_facts",
    "fit_clip",
    "fit_to_frames",
    "follow",
    "has_video_reader",
    "import_av",
    "palette_picture",
    "read_frames",
    "segment_video",
    "video_recipe",
    "write_clip",
]
