"""Readers of clips."""

import importlib
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.errors import ImageError
from deepcut_lib.video import (
    VideoReaderMissingError,
    clip_facts,
    has_video_reader,
    palette_picture,
    read_frames,
    write_clip,
)

needs_av = pytest.mark.skipif(not has_video_reader(), reason="the package av is not installed")


def test_a_folder_is_read_in_natural_order_past_bad_frames(clip: list[Image.Image], tmp_path: Path) -> None:
    for number in (1, 2, 10):
        clip[0].save(tmp_path / f"shot{number}.png")
    (tmp_path / "shot9.jpg").write_bytes(b"\xff\xd8 torn")
    (tmp_path / "shot3.heic").write_bytes(b"no reader")
    (tmp_path / "below").mkdir()
    clip[0].save(tmp_path / "below" / "shot5.png")
    frames = list(read_frames(tmp_path))
    assert [frame.name for frame in frames] == ["shot1", "shot2", "shot3", "shot9", "shot10"]
    assert [frame.picture is None for frame in frames] == [False, False, True, True, False]
    assert "HEIF is not read here" in frames[2].failure
    assert "shot9.jpg" in frames[3].failure
    assert clip_facts(tmp_path)[0] == 5


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        list(read_frames(tmp_path / "nothing"))
    with pytest.raises(ImageError, match="no pictures"):
        list(read_frames(tmp_path))


def test_without_av_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = importlib.import_module

    def without_av(name: str) -> ModuleType:
        if name == "av":
            raise ImportError(name)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", without_av)
    (tmp_path / "clip.mp4").write_bytes(b"anything")
    with pytest.raises(VideoReaderMissingError, match=r"pip install -e '\.\[video\]'"):
        list(read_frames(tmp_path / "clip.mp4"))


@needs_av
def test_a_video_file_gives_back_its_frames(clip: list[Image.Image], tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, clip, Fraction(12))
    assert clip_facts(path) == (len(clip), 12)
    frames = list(read_frames(path))
    assert [frame.name for frame in frames] == [f"{index:05d}" for index in range(len(clip))]
    for frame, picture in zip(frames, clip, strict=True):
        apart = np.asarray(frame.picture).astype(int) - np.asarray(picture)
        assert np.abs(apart).mean() < 12


@needs_av
def test_frames_of_other_sizes_are_fitted_to_the_first(clip: list[Image.Image], tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", [clip[0].resize((97, 55)), clip[1]], Fraction(12))
    sizes = {frame.picture.size for frame in read_frames(tmp_path / "clip.mp4") if frame.picture}
    assert sizes == {(96, 54)}


@needs_av
def test_a_damaged_file_loses_the_damaged_frames_alone(clip: list[Image.Image], tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    import_av = importlib.import_module("av")
    with import_av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuvj420p"
        for picture in clip:
            container.mux(stream.encode(import_av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content) - 2) if content[at : at + 3] == b"\xff\xd8\xff"]
    content[starts[4] : starts[5] - 8] = bytes(starts[5] - 8 - starts[4])  # each has 8 bytes before it
    path.write_bytes(content)
    frames = list(read_frames(path))
    assert len(frames) == len(clip)
    assert [frame.picture is None for frame in frames] == [index == 4 for index in range(len(clip))]
    assert "damaged" in frames[4].failure


@needs_av
@pytest.mark.parametrize("content", [b"", b"no video at all", b"\0\0\0\x18ftypmp42" + bytes(40)])
def test_a_file_that_is_no_video_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"clip\.mp4: (not a video|holds no video)"):
        list(read_frames(path))


def test_a_palette_picture_holds_its_labels() -> None:
    labels = np.array([[0, 1], [2, 12]])
    picture = palette_picture(labels, np.array([[255, 0, 0], [0, 255, 0]], np.uint8))
    assert np.array_equal(np.asarray(picture), labels)
    assert np.asarray(picture.convert("RGB")).tolist() == [
        [[0, 0, 0], [255, 0, 0]],
        [[0, 255, 0], [0, 255, 0]],
    ]
