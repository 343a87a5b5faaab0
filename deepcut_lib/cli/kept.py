"""What a run writes for each picture and a later one keeps: rows that vouch for files, and arrays.

Both say what they were made from: the picture's content, the mask's, and all settings. What was made from
something else, or is damaged in whatever way, counts for nothing and is made anew.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deepcut_lib.files import sha256, write_whole
from deepcut_lib.images import encoded

Row = dict[str, Any]
"""What is known of a picture, of what JSON can hold."""

Arrays = dict[str, np.ndarray]

FILES = {"mask": "_mask.png", "labels": "_labels.png", "overlay": "_overlay.jpg"}
"""What the files of a picture's results are called, after its name."""

PART_FILES = {**FILES, "labels": "_parts.png"}
"""The same where labels are parts."""

MATTE_FILE = {"matte": "_matte.png"}
"""One more where a matte was asked for."""

ENDINGS = tuple(dict.fromkeys([*FILES.values(), *PART_FILES.values(), *MATTE_FILE.values()]))

THUMBNAILS = "thumbnails"
"""Folder of small copies of pictures, beside ``clusters.csv``."""


def write_results(
    out: Path, name: str, files: Mapping[str, str], pictures: Mapping[str, Image.Image], row: Row
) -> Row:
    """Write a picture's results, and last the row that vouches for them.

    Args:
        out: the folder.
        name: of the picture's results.
        files: what its files are called after that, by kind.
        pictures: what they hold, by kind.
        row: what else is known.

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


def write_arrays(file: Path, arrays: Arrays, made_from: Row) -> None:
    """Write a picture's arrays, and what they were made from.

    Raises:
        DeepCutError: the file cannot be written.
    """
    buffer = io.BytesIO()
    # The archive's checksums cover what the arrays hold, not what they are called
    names = np.array(list(arrays))
    np.savez(buffer, key=np.array(_key(made_from)), names=names, **arrays)  # type: ignore[arg-type]
    write_whole(file, buffer.getvalue())


def kept_arrays(file: Path, made_from: Row) -> Arrays | None:
    """The arrays of an earlier run, if they were made from the same and are whole."""
    try:
        with np.load(io.BytesIO(file.read_bytes())) as stored:
            arrays = {name: stored[name] for name in stored.files}
        key, names = str(arrays.pop("key")), arrays.pop("names").tolist()
    except Exception:  # none, or one that was damaged in whatever way: do it anew
        return None
    return arrays if key == _key(made_from) and list(arrays) == names else None


def _key(made_from: Row) -> str:
    return json.dumps(made_from, sort_keys=True)
