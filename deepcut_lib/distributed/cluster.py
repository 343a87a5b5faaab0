"""The workers: stateful actors of Ray Data, each with the backbone loaded, that make parts of the table.

Ray schedules them, starts them anew elsewhere when a node is lost, and shows progress. Through it go the
numbers of parts and what has come of them, never pictures: workers read and write these themselves, so all
machines must see them, and the folder of results, under the same paths.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from deepcut_lib.devices import resolve_device
from deepcut_lib.distributed.table import (
    TABLE,
    count_list,
    make_part,
    parts_there,
    place_of,
    read_list,
    remove_stale,
    write_list,
)
from deepcut_lib.distributed.work import Work
from deepcut_lib.errors import DeepCutError
from deepcut_lib.files import prepare_folder
from deepcut_lib.parameters import check_whole

PER_FILE = 128
"""Pictures of one file of the table: what a lost worker has to do again."""

BLOCKS = 10_000
"""The most pieces that Ray is given to schedule; each is one part or more."""

TOLD = 100
"""Failures that a run tells; all of them are in the table."""


@dataclass(frozen=True)
class Outcome:
    """What a run has come to.

    Attributes:
        table: the folder of Parquet files, which is one table.
        pictures: rows in it.
        kept: those that an earlier run had made.
        failed: those whose `failure` says why they were not done.
        blank: those with nothing to cut.
        told: the first failures.
    """

    table: Path
    pictures: int
    kept: int
    failed: int
    blank: int
    told: tuple[str, ...]


_NOTHING = dict.fromkeys(("pictures", "kept", "failed", "blank"), 0)


class _Worker:
    """An actor; what is sent to it once is the work with the backbone's weights."""

    def __init__(self, work: ray.ObjectRef, listing: Path, out: Path, options: dict[str, Any]) -> None:
        self.work: Work = ray.get(work).on(str(resolve_device(options["device"])))
        self.listing, self.out, self.options = listing, out, options

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Make the part of which the batch has the number."""
        (part,) = batch["item"].tolist()
        start = part * self.options["per_file"]
        try:
            listed = read_list(self.listing, start, start + self.options["per_file"])
            place = place_of(self.out, part)
            result = make_part(self.work, listed, place, overwrite=self.options["overwrite"])
        except DeepCutError as error:  # raised, it would come wrapped in advice on Ray's settings
            result = {**_NOTHING, "told": [], "error": str(error)}
        else:
            result["error"] = ""
        return {name: [value] for name, value in result.items()}


def run(
    pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    work: Work,
    *,
    workers: int | None = None,
    gpus: float = 0.0,
    cluster: str | None = None,
    per_file: int = PER_FILE,
    overwrite: bool = False,
) -> Outcome:
    """Work on many pictures, on one machine or many, and write a table with one row for each.

    Started again, after whatever has ended it, it goes on: rows of the same content and settings are kept.
    The folder ``out/table`` is read as one table by `pandas.read_parquet` or `pyarrow.dataset.dataset`.

    Args:
        pictures: files and folders; or one Parquet file with a column ``path``, whose relative paths are
            relative to its own folder.
        out: the folder of results.
        work: what is done: `Segmenting`, `Labelling` or `Describing`.
        workers: the most actors; by default as many as the cluster has room for. Each takes one CPU.
        gpus: share of a GPU that each takes, such as 0.25, so that four share one: while one reads and writes
            another computes. 0 for the CPU.
        cluster: address of a running Ray cluster; by default that of RAY_ADDRESS, or a new one on this
            machine for as long as this takes. One that this program is connected to already is used.
        per_file: pictures of one file of the table.
        overwrite: do all again.

    Raises:
        ImageError: there are no pictures, or the list is none.
        ValueError: a setting is out of range.
        DeepCutError: the cluster refuses, or has no room for a worker; or a worker could not write, or was
            stopped otherwise. The message says what remains and how to go on.
    """
    check_whole("per_file", per_file, 1)
    if workers is not None:
        check_whole("workers", workers, 1)
    if not 0 <= gpus <= 1:
        raise ValueError(f"gpus must be the share of a GPU of each worker, from 0 to 1, not {gpus!r}")
    work.settings()  # what is out of range is said before any picture is read
    out = Path(out).absolute()
    prepare_folder(out / TABLE)
    listing = _listing(pictures, out)
    parts = -(-count_list(listing) // per_file)
    options = {"device": "cuda" if gpus else "cpu", "per_file": per_file, "overwrite": overwrite}
    with _connected(cluster):
        room = _room(gpus)
        most = min(workers or room, parts)
        sent = ray.put(work.on("cpu"))
        results = ray.data.from_items(list(range(parts)), override_num_blocks=min(parts, BLOCKS)).map_batches(
            _Worker,
            batch_size=1,
            num_cpus=1,
            num_gpus=gpus or None,
            fn_constructor_args=(sent, listing, out, options),
            # A pool that may shrink frees what a worker of a lost node needs to start again elsewhere. What
            # waits at a worker is lost with it for as long, so that is little
            compute=ActorPoolStrategy(
                min_size=1, initial_size=min(most, room), max_size=workers, max_tasks_in_flight_per_actor=2
            ),
        )
        outcome = _gathered(results, out, parts)
    remove_stale(out, parts)
    return outcome


def _listing(pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], out: Path) -> Path:
    paths = [pictures] if isinstance(pictures, str | os.PathLike) else list(pictures)
    if len(paths) == 1 and Path(paths[0]).suffix == ".parquet":
        return Path(paths[0]).absolute()
    return write_list(paths, out)


@contextmanager
def _connected(cluster: str | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    try:
        ray.init(address=cluster, include_dashboard=None if cluster else False)
    except Exception as error:
        where = cluster or os.environ.get("RAY_ADDRESS") or "on this machine"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DeepCutError(
            f"the Ray cluster {where} refuses ({reason}); see `ray status` there, and that Python and Ray "
            "have the same versions here and there"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _room(gpus: float) -> int:
    """How many workers the cluster can hold.

    Raises:
        DeepCutError: none.
    """
    there = ray.cluster_resources()
    cpus, all_gpus = int(there.get("CPU", 0)), there.get("GPU", 0)
    room = min(cpus, int(all_gpus / gpus)) if gpus else cpus
    if not room:
        raise DeepCutError(
            f"the Ray cluster has {cpus} CPUs and {all_gpus:g} GPUs, no room for a worker of 1 CPU and "
            f"{gpus:g} GPUs; add a machine (`ray start`), or ask for less"
        )
    return room


def _gathered(results: ray.data.Dataset, out: Path, parts: int) -> Outcome:
    sums = dict(_NOTHING)
    told: list[str] = []
    try:
        for row in results.iter_rows():
            if row["error"]:
                raise DeepCutError(row["error"])
            for name in sums:
                sums[name] += row[name]
            told += list(row["told"])[: TOLD - len(told)]
    except Exception as error:  # whatever ends Ray's run
        there = len(parts_there(out))
        raise DeepCutError(
            f"{_reason(error)}. {there} of {parts} files of the table are written, and are kept: run the "
            "same again to go on"
        ) from error
    return Outcome(out / TABLE, told=tuple(told), **sums)


def _reason(error: BaseException) -> str:
    """What a worker has said; as it started, within the text of Ray's error."""
    if isinstance(error, DeepCutError) and not isinstance(error, ray.exceptions.RayError):
        return str(error)
    return f"a worker was stopped: {(str(error).strip().splitlines() or [type(error).__name__])[-1]}"
