"""A results file that grows by a line for each result, and survives being cut off anywhere."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from deepcut_lib.errors import DeepCutError
from deepcut_lib.files import unwritable, write_whole

Row = dict[str, Any]


class Records:
    """Rows of results in a file of JSON lines, the first of which says what they were made with.

    Args:
        path: the file; made if it is not there. A last line without an end, left by a run that was killed
            while writing it, is taken off.
        settings: what was asked for, the same for all rows.
        made_of: what the rows were made of besides: weights, version, data. A file made of others is set
            aside under another name, and a new one begun.
        overwrite: begin anew.

    Raises:
        DeepCutError: the file was made with other settings, is no such file, or cannot be written.
    """

    def __init__(
        self, path: Path, settings: Row, made_of: Row | None = None, *, overwrite: bool = False
    ) -> None:
        self.path = path
        self.head: Row = json.loads(json.dumps({"settings": settings, "made_of": made_of or {}}))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not overwrite:
                self._take_off_torn_line()
            if not overwrite and path.exists() and path.stat().st_size > 0 and self._is_outdated():
                path.rename(next(aside for aside in _other_names(path) if not aside.exists()))
            if overwrite or not path.exists() or path.stat().st_size == 0:
                path.write_text(_line(self.head), encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from error

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows; they are on the disk when this returns, as far as the system tells.

        Raises:
            DeepCutError: the disk is full or the file may not be written; what it held is untouched.
        """
        text = "".join(map(_line, rows))
        if not text:
            return
        size = self.path.stat().st_size
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
        except OSError as error:
            os.truncate(self.path, size)
            raise unwritable(self.path, error) from error

    def rows(self) -> Iterator[Row]:
        """All rows, one at a time.

        Raises:
            DeepCutError: a line cannot be read.
        """
        with self.path.open("rb") as file:
            next(file)
            for number, line in enumerate(file, 2):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise self._unreadable(number) from error
                if not isinstance(row, dict) or not row.keys() >= {"method", "seed", "image"}:
                    raise self._unreadable(number)
                yield row

    def keep(self, wanted: Callable[[Row], bool]) -> None:
        """Leave out the rows that are no longer wanted, such as those of pictures that were changed since.

        Raises:
            DeepCutError: a line cannot be read, or the file cannot be written.
        """
        if not all(map(wanted, self.rows())):
            write_whole(self.path, "".join(map(_line, [self.head, *filter(wanted, self.rows())])))

    def _unreadable(self, number: int) -> DeepCutError:
        return DeepCutError(f"{self.path}: line {number} cannot be read; delete that line and run again")

    def _take_off_torn_line(self) -> None:
        with self.path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            while end:
                start = max(end - 2**16, 0)
                file.seek(start)
                newline = file.read(end - start).rfind(b"\n")
                if newline >= 0:
                    end = start + newline + 1
                    break
                end = start
            file.truncate(end)

    def _is_outdated(self) -> bool:
        try:
            with self.path.open("rb") as file:
                head = json.loads(next(file))
            found, made_of = dict(head["settings"]), head.get("made_of")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeepCutError(
                f"{self.path}: is not a results file; choose another --out, or pass --overwrite"
            ) from error
        wanted = self.head["settings"]
        other = [key for key in sorted(wanted) if found.get(key) != wanted[key]]
        if other:
            changes = ", ".join(f"{key} {found.get(key)!r} instead of {wanted[key]!r}" for key in other)
            raise DeepCutError(
                f"{self.path}: holds results made with {changes}; choose another --out, or pass --overwrite "
                "to begin anew"
            )
        return bool(made_of != self.head["made_of"])


def _other_names(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.stem}.earlier{number}{path.suffix}") for number in count(1))


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
