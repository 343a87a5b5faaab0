"""A results file that grows by a line for each result, and survives being cut off anywhere."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from deepcut_lib.errors import DeepCutError

Row = dict[str, Any]


class Records:
    """Rows of results in a file of JSON lines, the first of which holds the settings they were made with.

    Args:
        path: the file; made if it is not there. A last line without an end, left by a run that was killed
            while writing it, is taken off.
        settings: what must be the same for all rows.
        overwrite: begin anew.

    Raises:
        DeepCutError: the file was made with other settings, is no such file, or cannot be written.
    """

    def __init__(self, path: Path, settings: Row, *, overwrite: bool = False) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not overwrite:
                self._take_off_torn_line()
            if overwrite or not path.exists() or path.stat().st_size == 0:
                path.write_text(_line({"settings": settings}))
        except OSError as error:
            raise _unwritable(path, error) from error
        self._compare(settings)

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
            raise _unwritable(self.path, error) from error

    def rows(self) -> Iterator[Row]:
        """All rows, one at a time.

        Raises:
            DeepCutError: a line cannot be read.
        """
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for number, line in enumerate(file, 2):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise DeepCutError(
                        f"{self.path}: line {number} cannot be read; delete that line and run again"
                    ) from error

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

    def _compare(self, settings: Row) -> None:
        try:
            with self.path.open(encoding="utf-8") as file:
                found = json.loads(next(file))["settings"]
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise DeepCutError(
                f"{self.path}: is not a results file; choose another --out, or pass --overwrite"
            ) from error
        wanted = json.loads(json.dumps(settings))
        other = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        if other:
            changes = ", ".join(f"{key} {found.get(key)!r} instead of {wanted.get(key)!r}" for key in other)
            raise DeepCutError(
                f"{self.path}: holds results made with {changes}; choose another --out, or pass --overwrite "
                "to begin anew"
            )


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _unwritable(path: Path, error: OSError) -> DeepCutError:
    return DeepCutError(
        f"{path}: could not be written ({error.strerror}); free some space or choose another --out; results "
        "so far are kept, and the same command goes on from them"
    )
