"""What command lines take: numbers and paths, checked where they enter; and print, in any encoding."""

import io
import math
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import NoReturn

from deepcut_lib.errors import DeepCutError

LARGEST_SEED = 2**32 - 1
"""NumPy's random states take no larger seed."""


def escape_output() -> None:
    """Escape what the encoding of a terminal or a redirected file cannot hold, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Parser(ArgumentParser):
    """A parser whose errors are the library's: one line that names the argument and the remedy."""

    def error(self, message: str) -> NoReturn:
        """Raise what `ArgumentParser` would print.

        Raises:
            DeepCutError: always.
        """
        raise DeepCutError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def whole(text: str) -> int:
    """A whole number from 1 on."""
    return _integer(text, 1, None, "must be at least 1")


def seed(text: str) -> int:
    """A whole number from 0 to `LARGEST_SEED`."""
    return _integer(text, 0, LARGEST_SEED, f"must lie in 0…{LARGEST_SEED}")


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"must be a positive number, not {text!r}")
    return number


def path(text: str) -> Path:
    """A path; an empty one would be the current folder."""
    if not text:
        raise ArgumentTypeError("must not be empty; give '.' for the current folder")
    return Path(text)


def _integer(text: str, least: int, most: int | None, wanted: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least or (most is not None and number > most):
        raise ArgumentTypeError(f"{wanted}, not {text!r}")
    return number
