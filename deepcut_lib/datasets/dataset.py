"""A data set: pictures and their truth, read one at a time."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar, overload

from deepcut_lib.files import sha256
from deepcut_lib.metrics import Box

T = TypeVar("T")

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What readers raise where a number or an entry is missing, another than expected, or infinite."""


class KeyPoint(NamedTuple):
    """A visible part of an animal: its number (from 1), and where it is, in pixels."""

    part: int
    x: float
    y: float


@dataclass(frozen=True)
class Sample:
    """One picture of a data set and what is known of it; nothing but the annotation has been read.

    Attributes:
        name: unique in its set.
        image: path of the picture.
        mask: path of the foreground mask, grey, light on dark.
        boxes: true boxes (x1, y1, x2, y2) in pixels, far edges exclusive.
        points: the visible key points.
        label: the picture's class.
    """

    name: str
    image: Path
    mask: Path | None = None
    boxes: tuple[Box, ...] = ()
    points: tuple[KeyPoint, ...] = ()
    label: str | None = None


def content_of(sample: Sample) -> str:
    """A digest of what a sample's files hold and of its annotation: another one where any was changed."""
    digest = hashlib.sha256(repr((sample.boxes, sample.points, sample.label)).encode())
    for path in (sample.image, sample.mask):
        with contextlib.suppress(OSError):  # what cannot be read is said where it is needed
            if path is not None:
                digest.update(sha256(path).encode())
    return digest.hexdigest()[:16]


def read_text(path: Path) -> str:
    """A table's text, without the mark that some programs put before UTF-8.

    Raises:
        ValueError: it is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: is no UTF-8 text; unpack the archive again") from error


def read_table(path: Path, row: Callable[[str], T]) -> list[T]:
    """What `row` makes of each line of a table; empty lines are passed over.

    Raises:
        ValueError: the table is no UTF-8, or `row` cannot read a line.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            try:
                rows.append(row(line))
            except UNREADABLE as error:
                raise ValueError(
                    f"{path}, line {number}: cannot read {line[:60]!r}; unpack the archive again"
                ) from error
    return rows


class DataSet(Sequence[Sample]):
    """The samples of a set, each read when it is asked for.

    Args:
        names: of all samples, in order; the only thing that is kept.
        read: gives the sample of a name.
    """

    def __init__(self, names: Sequence[str], read: Callable[[str], Sample]) -> None:
        self.names = names
        self._read = read

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "DataSet": ...
    def __getitem__(self, index: int | slice) -> "Sample | DataSet":
        if isinstance(index, slice):
            return DataSet(self.names[index], self._read)
        return self._read(self.names[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(self._read, self.names)

    def contents(self) -> dict[str, str]:
        """`content_of` each sample, by name; empty for one whose annotation cannot be read."""
        digests = {}
        for name in self.names:
            digests[name] = ""
            with contextlib.suppress(Exception):  # it is said where the annotation is needed
                digests[name] = content_of(self._read(name))
        return digests
