"""Frames out: pictures of labels with a palette, and clips."""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from deepcut_lib.files import unwritable
from deepcut_lib.video.frames import import_av


def palette_picture(labels: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Labels as a picture whose values are the labels, and whose palette shows them.

    Args:
        labels: H×W, 0…255; 0 is background, and black.
        palette: colours of 1, 2, …, (m, 3) uint8; they repeat.
    """
    picture = Image.fromarray(labels.astype(np.uint8))
    colours = palette[np.arange(255) % len(palette)]
    picture.putpalette(np.concatenate([np.zeros((1, 3), np.uint8), colours]).tobytes())
    return picture


def write_clip(path: Path, pictures: Iterable[Image.Image], rate: Fraction) -> None:
    """Write pictures as an MP4 clip; those of other sizes are fitted to the first's.

    Args:
        path: of the file, which appears whole or not at all.
        pictures: RGB, at least one.
        rate: frames a second.

    Raises:
        VideoReaderMissingError: the package av is not installed.
        DeepCutError: the file cannot be written.
    """
    av = import_av()
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
            stream = container.add_stream(codec, rate=rate)
            stream.pix_fmt = "yuv420p"  # what all players read; it has no odd sides
            size: tuple[int, int] | None = None
            for picture in pictures:
                if size is None:
                    size = (max(picture.width // 2, 1) * 2, max(picture.height // 2, 1) * 2)
                    stream.width, stream.height = size
                fitted = picture if picture.size == size else picture.resize(size)
                container.mux(stream.encode(av.VideoFrame.from_image(fitted)))
            container.mux(stream.encode(None))
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
