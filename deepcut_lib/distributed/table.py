"""The table of results: what lists the pictures, and the parts that are written, each whole or not at all.

Part i holds the results of rows i·m to (i+1)·m of the list, in its order. Whoever makes it keeps those rows
of an earlier part i that were made from the same content with the same settings, and makes the rest. So a
part can be made twice, by a worker that takes over or a run that goes on, and is the same both times.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from deepcut_lib.batches import TOGETHER, by_size, solved
from deepcut_lib.distributed.work import Row, Work
from deepcut_lib.errors import ImageError
from deepcut_lib.files import failure_message, printable, sha256, unwritable, write_whole
from deepcut_lib.images import find_images, find_unreadable, load_image

LIST = "pictures.parquet"
"""The list of the pictures of folders, in the folder of results."""

TABLE = "table"
"""The folder of the table's parts there."""

_COMMON = {
    "path": pa.string(),
    "sha256": pa.string(),
    "key": pa.string(),
    "failure": pa.string(),
    "height": pa.int32(),
    "width": pa.int32(),
}
"""Columns before those of the work. Of what was not done, `failure` says why, and most others are null."""

_TOLD = 20
"""Failures of a part that are told; all of them are in the table."""


@dataclass(frozen=True)
class Listed:
    """A picture of the list: where it is, and what is wrong with it, if that is known already."""

    path: Path
    failure: str | None


def write_list(paths: Sequence[str | os.PathLike[str]], out: Path) -> Path:
    """List the pictures of files and folders, in `LIST`, by whole paths.

    Files that look like pictures and cannot be read are on it too, each with its failure.

    Raises:
        ImageError: nothing is there.
        DeepCutError: the list cannot be written.
    """
    failures = find_unreadable(*paths)
    pictures = [*find_images(*paths), *failures]
    content = pa.table(
        {
            # Names of files are bytes, of which not all are text
            "path": pa.array([os.fsencode(path.absolute()) for path in pictures], pa.binary()),
            "failure": pa.array([failures.get(path) for path in pictures], pa.string()),
        }
    )
    buffer = pa.BufferOutputStream()
    pq.write_table(content, buffer, row_group_size=8192)
    write_whole(out / LIST, buffer.getvalue().to_pybytes())
    return out / LIST


def count_list(file: Path) -> int:
    """How many pictures a Parquet list names.

    Raises:
        ImageError: it is no Parquet file, has no column of paths, or names none.
    """
    try:
        with pq.ParquetFile(file) as opened:
            schema, rows = opened.schema_arrow, opened.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise ImageError(f"{file}: no list of pictures in Parquet ({error}); check the path") from error
    kind = schema.field("path").type if "path" in schema.names else None
    if kind not in (pa.string(), pa.large_string(), pa.binary()):
        raise ImageError(
            f"{file}: has no column 'path' of text, but {', '.join(schema.names) or 'none'}; give it one"
        )
    if not rows:
        raise ImageError(f"{file}: lists no pictures; give at least one")
    return int(rows)


def read_list(file: Path, start: int, stop: int) -> list[Listed]:
    """Rows of a list; relative paths are relative to its folder."""
    listed: list[Listed] = []
    first = 0
    with pq.ParquetFile(file) as opened:
        sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    for group, size in enumerate(sizes):
        if first < stop and start < first + size:
            rows = _row_group(file, group).slice(max(start - first, 0), stop - max(start, first))
            failures = rows["failure"] if "failure" in rows.column_names else pa.nulls(len(rows))
            listed += [
                Listed(file.parent / os.fsdecode(path or "."), failure)
                for path, failure in zip(rows["path"].to_pylist(), failures.to_pylist(), strict=True)
            ]
        first += size
    return listed


@lru_cache(maxsize=1)  # a worker's next part is mostly of the same group
def _row_group(file: Path, group: int) -> pa.Table:
    with pq.ParquetFile(file) as opened:
        return opened.read_row_group(
            group, [name for name in ("path", "failure") if name in opened.schema_arrow.names]
        )


def place_of(out: Path, part: int) -> Path:
    """The file of a part; names in order are parts in order."""
    return out / TABLE / f"part-{part:09}.parquet"


def parts_there(out: Path) -> list[Path]:
    """The files of all parts that were written, in order."""
    return sorted(place for place in (out / TABLE).glob("part-*.parquet") if place.is_file())


def make_part(work: Work, listed: Sequence[Listed], place: Path, *, overwrite: bool = False) -> Row:
    """Make a part of the table and write it, unless it is there.

    Args:
        work: what is done.
        listed: the part's pictures.
        place: its file.
        overwrite: whether an earlier one counts for nothing.

    Returns:
        What has come of it: how many "pictures", how many of them were "kept", have "failed" and are "blank"
        (nothing to cut), and the first failures, "told".

    Raises:
        DeepCutError: the file could not be written.
    """
    settings = json.dumps(work.settings(), sort_keys=True)
    schema = pa.schema({**_COMMON, **work.columns}, metadata={"deepcut_settings": settings})
    earlier = None if overwrite else _earlier(place, schema)
    done = {} if earlier is None else {row["key"]: row for row in earlier.to_pylist() if row["key"]}
    rows: list[Row] = []
    missing: list[int] = []
    kept = 0
    for at, picture in enumerate(listed):
        row: Row = {"path": printable(picture.path), "failure": picture.failure}
        if picture.failure is None:
            try:
                row["sha256"] = sha256(picture.path)
            except OSError:  # a folder, or nothing at all: reading it as a picture finds the better words
                _load(picture.path, row)
                row["failure"] = row["failure"] or f"{printable(picture.path)}: could not be read at first"
            else:
                row["key"] = hashlib.sha256(f"{settings} {row['sha256']}".encode()).hexdigest()
                if row["key"] in done:
                    row = {**done[row["key"]], "path": row["path"]}
                    kept += 1
                else:
                    missing.append(at)
        rows.append(row)
    for batch in by_size(_loaded(listed, rows, missing), work.size, TOGETHER[work.backbone.device.type]):
        for (at, _), result in solved(lambda items: work.rows([picture for _, picture in items]), batch):
            if isinstance(result, Exception):
                result = {"failure": failure_message(listed[at].path, result)}
            rows[at] |= result
    for row in rows:
        if row["failure"]:
            row["key"] = None  # it is tried again
    table = pa.Table.from_pylist(rows, schema)
    if earlier is None or not table.equals(earlier):
        _write(table, place)
    failures = [row["failure"] for row in rows if row["failure"]]
    return {
        "pictures": len(rows),
        "kept": kept,
        "failed": len(failures),
        "blank": sum(bool(row.get("message")) for row in rows),
        "told": failures[:_TOLD],
    }


def _write(table: pa.Table, place: Path) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, write_page_checksum=True)
    write_whole(place, buffer.getvalue().to_pybytes())


def _earlier(place: Path, schema: pa.Schema) -> pa.Table | None:
    """The part of an earlier run, if it is whole and has the same columns and settings."""
    try:
        with pq.ParquetFile(place, page_checksum_verification=True) as opened:
            table = opened.read()
    except Exception:  # none, or damaged in whatever way: it is made anew
        return None
    return table if table.schema.equals(schema, check_metadata=True) else None


def _loaded(
    listed: Sequence[Listed], rows: Sequence[Row], wanted: Iterable[int]
) -> Iterator[tuple[int, Image.Image]]:
    """Those of the wanted pictures that can be read; of the others the rows say why not."""
    for at in wanted:
        if picture := _load(listed[at].path, rows[at]):
            yield at, picture


def _load(path: Path, row: Row) -> Image.Image | None:
    """A picture, whose size is noted in its row, or None, and the failure is."""
    try:
        picture = load_image(path)
    except Exception as error:  # whatever a reader raises for one picture
        row["failure"] = failure_message(path, error)
        return None
    row["height"], row["width"] = picture.height, picture.width
    return picture


def remove_stale(out: Path, parts: int) -> None:
    """Delete the parts of a longer list, which an earlier run has left.

    Raises:
        DeepCutError: one cannot be deleted.
    """
    for place in parts_there(out):
        if place.name > place_of(out, parts - 1).name:
            try:
                place.unlink()
            except OSError as error:
                raise unwritable(place, error) from error
