"""A folder of pictures in, a folder of results out: what all commands on pictures share."""

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.files import prepare_folder, printable, sha256, write_whole
from deepcut_lib.images import find_images, find_unreadable

Row = dict[str, Any]

FILES = {"mask": "_mask.png", "labels": "_labels.png", "overlay": "_overlay.jpg"}
"""What the files of a picture's results are called, after its name."""

PART_FILES = {**FILES, "labels": "_parts.png"}
"""The same where labels are parts."""

ENDINGS = tuple(dict.fromkeys([*FILES.values(), *PART_FILES.values()]))

THUMBNAILS = "thumbnails"
"""Folder of small copies of pictures, beside ``clusters.csv``."""

LONGEST_NAME = 180
"""Bytes of a picture's name in those of its results; file systems take 255 for all of it."""


def find_pictures(paths: Sequence[Path], out: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """What a command works on.

    Results are no pictures: what lies below ``out`` inside a given folder, and what earlier runs wrote.

    Args:
        paths: the pictures and folders that were named.
        out: where results go; it is made, and what a killed run left is cleared away.

    Returns:
        The pictures, by the names of their results, and messages of the files that look like pictures but
        cannot be read.

    Raises:
        ImageError: nothing is there, or results would overwrite a picture.
        DeepCutError: `out` cannot be written.
    """
    whole = out.resolve()
    folders = {path.resolve() for path in paths if path.is_dir()}

    def passed_over(path: Path) -> bool:
        place = path.resolve()
        # A folder that was named is read, though results go into it or into one above it
        meant = any(place.is_relative_to(inner) for inner in folders if inner.is_relative_to(whole))
        return _is_result(path) or (place.is_relative_to(whole) and not meant)

    given = [path for path in paths if not (path.parent.resolve() == whole and _is_result(path))]
    if not given:
        raise ImageError(f"{paths[0]}: is a result of an earlier run into {out}; choose another --out")
    pictures = named(find_images(*given, passed_over=passed_over))
    places = {path.resolve(): path for path in pictures.values()}
    for name in pictures:
        for ending in ENDINGS:
            if (place := whole / f"{name}{ending}") in places:
                raise ImageError(
                    f"{places[place]}: would be overwritten by the results of {name}; choose another --out, "
                    "or delete it if an earlier run left it"
                )
    prepare_folder(out)
    return pictures, {
        printable(path.name): printable(message)
        for path, message in find_unreadable(*given).items()
        if not passed_over(path)
    }


def _is_result(path: Path) -> bool:
    """Whether a file was written by an earlier run."""
    if path.parent.name == THUMBNAILS:
        return (path.parent.parent / "clusters.csv").exists()
    for ending in ENDINGS:
        if path.name.endswith(ending):
            row = path.with_name(f"{path.name.removesuffix(ending)}.json")
            with contextlib.suppress(OSError):
                return b'"seal"' in row.read_bytes()  # others keep annotations in files of such names
    return False


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """A name for each picture's results: its own without the ending, numbered where two pictures share one.

    Names can be written anywhere: what is no character becomes �, long ones are shortened, and names that
    differ in nothing but capitals count as one.
    """
    encoding = sys.getfilesystemencoding()
    found: dict[str, Path] = {}
    taken: set[str] = set()
    for path in paths:
        # In an ASCII locale not even � can be part of a file's name: it becomes a question mark
        stem = printable(path.stem).encode(encoding, "replace").decode(encoding)
        stem = _shortened(stem)
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        found[name] = path
        taken.add(name.casefold())
    return found


def _shortened(name: str) -> str:
    raw = name.encode()
    if len(raw) <= LONGEST_NAME:
        return name
    mark = hashlib.sha256(raw).hexdigest()[:12]  # tells names apart that begin alike
    return f"{raw[: LONGEST_NAME - 13].decode('utf-8', 'ignore')}~{mark}"


@contextlib.contextmanager
def own_failure(failures: dict[str, str], name: str, path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is this picture's failure; only what cannot be written ends the run."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DeepCutError) and not isinstance(error, ValueError):
            raise
        message = str(error) or type(error).__name__
        if not isinstance(error, ValueError | OSError):
            message = f"{type(error).__name__}: {message}"
        failures[name] = printable(message if str(path) in message else f"{path}: {message}")


def write_results(
    out: Path, name: str, files: Mapping[str, str], pictures: Mapping[str, Image.Image], row: Row
) -> Row:
    """Write a picture's results, and last the row that vouches for them.

    Args:
        out: the folder.
        name: of the picture's results.
        files: what its files are called after that, by kind.
        pictures: what they hold, by kind.
        row: what else is known, of what JSON can hold.

    Returns:
        The row with the files' names by kind.

    Raises:
        DeepCutError: a file cannot be written.
    """
    digests = {}
    for kind, picture in pictures.items():
        content = encoded(picture, files[kind])
        write_whole(out / (name + files[kind]), content)
        digests[kind] = hashlib.sha256(content).hexdigest()
    places = {kind: name + ending for kind, ending in files.items()}
    row = json.loads(json.dumps({"name": name, **row, **places, "sha256_of": digests}))
    write_whole(out / f"{name}.json", json.dumps({**row, "seal": _seal(row)}, indent=1) + "\n")
    return row


def kept_results(out: Path, name: str, wanted: Row) -> Row | None:
    """The row of an earlier run, if it was made from the same, and its files are there and unharmed."""
    try:
        row: Row = json.loads((out / f"{name}.json").read_bytes())
        seal = row.pop("seal")
        wanted = json.loads(json.dumps(wanted))
        if seal != _seal(row) or any(row[key] != value for key, value in wanted.items()):
            return None
        same = all(sha256(out / row[kind]) == digest for kind, digest in row["sha256_of"].items())
    except Exception:  # a row that cannot be read, in whatever way, is made anew
        return None
    return row if same else None


def _seal(row: Row) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def encoded(picture: Image.Image, ending: str) -> bytes:
    """A picture as a JPEG or PNG file's bytes, by the ending."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG" if ending.endswith(".jpg") else "PNG", quality=90)
    return buffer.getvalue()


def report(out: Path, summary: str, failures: dict[str, str]) -> int:
    """Print what a run has come to; returns the exit code, 1 if anything was not done."""
    page = out / "index.html"
    print(f"\n{summary}" + (f"\nLook through them: {printable(page)}" if page.exists() else ""))
    for message in failures.values():
        print(f"not done: {message}", file=sys.stderr)
    return 1 if failures else 0
