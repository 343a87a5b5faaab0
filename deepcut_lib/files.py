"""Files that appear whole or not at all, what they hold, and what they are called."""

import contextlib
import hashlib
import os
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from deepcut_lib.errors import DeepCutError

SETTLED = 2.0
"""Seconds after which a partial file was left by a program that was killed: writing one takes far less."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name and move it into place, making its folder if need be.

    Text becomes UTF-8 whatever the locale; what UTF-8 cannot hold, as some file names, is
    written as an escape.

    Raises:
        DeepCutError: it could not be written (full disk, no permission); what was under `path` before is
            untouched.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> DeepCutError:
    """The error to raise where a file could not be written."""
    return DeepCutError(
        f"{path}: could not be written ({error.strerror or error}); free some space, or choose another place"
    )


def prepare_folder(folder: Path) -> None:
    """Make a folder for results, see that it can be written, and delete what killed programs left.

    Raises:
        DeepCutError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DeepCutError(
            f"{folder}: no results could be written there ({error.strerror}); choose another place"
        ) from error
    for partial in folder.rglob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > SETTLED:
                partial.unlink()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(text: object) -> str:
    """Text that can be printed and stored anywhere: bytes of file names that are no UTF-8 become �."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(text))


def failure_message(path: Path, error: Exception) -> str:
    """What is said of a file with which something went wrong: it is named, and errors of others are too."""
    message = str(error) or type(error).__name__
    if not isinstance(error, ValueError | OSError):
        message = f"{type(error).__name__}: {message}"
    return printable(message if str(path) in message else f"{path}: {message}")


def short_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by the shortest that tells them apart: the name without ending, the whole name, or the path."""
    forms = {path: (path.stem, path.name, str(path)) for path in paths}
    files_called = Counter(form for own in forms.values() for form in set(own))
    return {
        next((form for form in own if files_called[form] == 1), own[-1]): path for path, own in forms.items()
    }
