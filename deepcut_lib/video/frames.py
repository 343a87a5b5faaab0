"""Frames in: a folder of pictures, a video file or any iterable becomes one RGB picture after another."""

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
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


FRAME_RATE = Fraction(24)
"""Frames a second of a clip that does not say."""


def clip_facts(clip: Clip) -> tuple[int | None, Fraction]:
    """How many frames a clip has, as far as it says without being decoded, and how many a second.

    Raises:
        As `read_frames`.
    """
    if not isinstance(clip, str | PathLike) or Path(clip).is_dir():
        return (len(list(_named(clip))) if isinstance(clip, str | PathLike) else None), FRAME_RATE
    with _opened(Path(clip)) as container:
        stream = container.streams.video[0]
        return stream.frames or None, Fraction(stream.average_rate or FRAME_RATE)


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
    for decoded in _decoded(path):
        yield "", decoded


def _by_number(path: Path) -> tuple[list[str | int], str]:
    """Frame 9 before frame 10: text and numbers take turns, numbers compare by value."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], path.name


def _decoded(path: Path) -> Iterator[Image.Image | ImageError]:
    """A video file's frames, upright; a damaged one is an error in its place, and decoding goes on."""
    with _opened(path) as container:
        packets = container.demux(container.streams.video[0])
        packet = None
        while True:
            try:
                packet = next(packets)
                pictures = packet.decode()
            except StopIteration:
                return
            except (OSError, ValueError) as error:
                yield ImageError(f"{path}: a frame is damaged ({_reason(error)}); copy the file again")
                if packet is None:  # the file cannot be read on
                    return
                packet = None
                continue
            packet = None
            for picture in pictures:
                image = picture.to_image()
                yield image.rotate(picture.rotation, expand=True) if picture.rotation else image


def _opened(path: Path) -> Any:
    """A video file, open.

    Raises:
        ImageError: it is no video, or one that cannot be decoded here.
        VideoReaderMissingError: the package av is not installed.
    """
    if not path.exists():
        raise ImageError(f"{path}: no such file or folder; check the path")
    av = import_av()
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:  # what av raises for files is one of these
        raise ImageError(
            f"{path}: not a video that can be read ({_reason(error)}); check the file, or give a folder "
            "of frames"
        ) from error
    missing = ""
    if not container.streams.video:
        missing = "holds no video, only sound or text; give another file"
    elif container.streams.video[0].codec_context is None:
        missing = "no decoder of its video is installed; convert it to H.264 in MP4"
    if missing:
        container.close()
        raise ImageError(f"{path}: {missing}")
    return container


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
