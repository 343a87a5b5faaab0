"""Frames in: a folder of pictures, a video file or any iterable becomes one RGB picture after another."""

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.files import short_names
from deepcut_lib.images import ImageLike, find_images, find_unreadable, load_image

Clip: TypeAlias = str | PathLike[str] | Iterable[ImageLike]
"""What is a clip: a folder of frames, a video file, or an iterable of paths, pictures or arrays."""


class VideoReaderMissingError(DeepCutError, RuntimeError):
    """The package av, which decodes video files, is not installed."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a clip.

    Attributes:
        index: its place in the clip, from 0.
        name: its file's name without ending, or its number.
        picture: RGB, or None if it cannot be used.
        failure: why it cannot; empty otherwise.
    """

    index: int
    name: str
    picture: Image.Image | None
    failure: str = ""


def read_frames(clip: Clip) -> Iterator[Frame]:
    """Read a clip's frames, one at a time; one that cannot be used is given with the reason.

    Args:
        clip: a folder, whose pictures are the frames in the order of their names, numbers by value; a
            video file, for which the extra ``video`` must be installed; or an iterable.

    Yields:
        All frames, in order.

    Raises:
        ImageError: the clip does not exist, is no video, or holds no frame.
        VideoReaderMissingError: it is a file, and the package av is not installed.
    """
    count = 0
    for name, given in _named(clip):
        try:
            if isinstance(given, ImageError):
                raise given
            yield Frame(count, name or f"{count:05d}", load_image(given))
        except ImageError as error:
            yield Frame(count, name or f"{count:05d}", None, str(error))
        count += 1
    if not count:
        raise ImageError(f"{clip if isinstance(clip, str | PathLike) else 'the clip'}: holds no frame")


def has_video_reader() -> bool:
    """Whether the package av is installed."""
    try:
        import_av()
    except VideoReaderMissingError:
        return False
    return True


def import_av() -> Any:
    """The package av.

    Raises:
        VideoReaderMissingError: it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise VideoReaderMissingError(
            "video files need the package av; pip install -e '.[video]' installs it, or give a folder of "
            "frames"
        ) from error


def _named(clip: Clip) -> Iterator[tuple[str, ImageLike | ImageError]]:
    if not isinstance(clip, str | PathLike):
        for given in clip:
            yield "", given
        return
    path = Path(clip)
    if not path.exists():
        raise ImageError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        files: dict[Path, Path | ImageError] = {
            file: file for file in find_images(path, passed_over=lambda file: file.parent != path)
        }
        for file, message in find_unreadable(path).items():
            if file.parent == path:
                files[file] = ImageError(message)
        names = {file: name for name, file in short_names(files).items()}
        for file in sorted(files, key=_by_number):
            yield names[file], files[file]
        return
    for given in _decoded(path):
        yield "", given


def _by_number(path: Path) -> tuple[list[str | int], str]:
    """Frame 9 before frame 10: text and numbers take turns, numbers compare by value."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], path.name


def _decoded(path: Path) -> Iterator[Image.Image | ImageError]:
    """A video file's frames, upright; a damaged one is an error in its place, and decoding goes on."""
    av = import_av()
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:  # what av raises for files is one of these
        raise ImageError(
            f"{path}: not a video that can be read ({_reason(error)}); check the file, or give a folder "
            "of frames"
        ) from error
    with container:
        if not container.streams.video:
            raise ImageError(f"{path}: holds no video, only sound or text; give another file")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise ImageError(
                f"{path}: no decoder for its video is installed; convert it to H.264 in MP4 first"
            )
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                pictures = packet.decode()
            except (OSError, ValueError) as error:
                yield ImageError(f"{path}: a frame is damaged ({_reason(error)}); copy the file again")
                if packet is None:
                    return
                continue
            for picture in pictures:
                image = picture.to_image()
                yield image.rotate(picture.rotation, expand=True) if picture.rotation else image


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
