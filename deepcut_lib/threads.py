"""Threads: how they wait for one another, and pictures made side by side.

They wait briefly, so that processes on one machine do not starve each other.

libgomp, the OpenMP of torch's packages for Linux, lets a thread that waits for its team spin for milliseconds
before it sleeps. Beside other work these spins take the cores from the very threads that are waited for: on
two cores one process cuts 4.3 pictures/s, four at once 1.1 together. With 3000 spins, tens of microseconds,
it is 4.4 for one and 4.4 for four; with 10000 four fall to 2.4, with 1000 or none one falls to 3.9 or 3.4.

libgomp reads the number once, when it is loaded. So the package imports this module before all others, and
the import sets `GOMP_SPINCOUNT`, for child processes too, unless the user has chosen. Where libgomp was there
before (`import torch` first, without the variable), a daemon thread watches how long this process queues for
the cores, and shortens the spins while it does: libgomp spins a hundred times where it manages more threads
than there are cores, so a few that only sleep are enough. Always so brief, one alone is a quarter slower.

On macOS and Windows nothing is done: torch brings another OpenMP there.
"""

import ctypes
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from threadpoolctl import threadpool_info

Item = TypeVar("Item")
Made = TypeVar("Made")

SPINS = "3000"

MOST_SIDE_BY_SIDE = 8
"""Threads that make pictures at once, each with some 0.3 GB at hand."""

_USERS_CHOICE = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
_SPARE = "deepcut spare threads"
_PERIOD = 0.5
"""Seconds between two looks at the queue."""
_CROWDED = 0.25
"""Seconds in the queue, of all threads, per second; 0.01 on a quiet machine, 1 beside a second process."""


def _settle() -> tuple[bool, str]:
    """Make waiting brief in this process; returns whether it is, or the user has chosen, and what holds."""
    if sys.platform != "linux":
        return True, "as torch's OpenMP has it"
    chosen = [f"{name}={os.environ[name]}" for name in _USERS_CHOICE if name in os.environ]
    if chosen:
        return True, f"{', '.join(chosen)}, from the environment"
    loaded = [library["filepath"] for library in threadpool_info() if library["prefix"] == "libgomp"]
    os.environ["GOMP_SPINCOUNT"] = SPINS
    if not loaded:
        return True, f"GOMP_SPINCOUNT={SPINS}, set by deepcut_lib"
    if not Path("/proc/self/schedstat").exists():
        return False, f"spin long: import deepcut_lib before torch, or set GOMP_SPINCOUNT={SPINS}"
    Thread(target=_watch, args=(loaded,), name="deepcut waiting", daemon=True).start()
    return True, "spin briefly while the cores are busy, watched by deepcut_lib: torch was imported before it"


def _watch(libraries: list[str]) -> None:
    """Keep spare threads for as long as this process queues for the cores."""
    release: Event | None = None
    before = _seconds_queued()
    while True:
        time.sleep(_PERIOD)
        now = _seconds_queued()
        crowded = now - before > _CROWDED * _PERIOD
        before = now
        if crowded and release is None:
            release = Event()
            Thread(target=_hold_spares, args=(libraries, release), name=_SPARE, daemon=True).start()
        elif release is not None and not crowded:
            release.set()
            release = None


def _hold_spares(libraries: list[str], release: Event) -> None:
    """Open a team of more threads than cores, which sleeps; libgomp closes it when this thread ends."""
    for path in libraries:
        gomp = ctypes.CDLL(path)
        # A parallel region in which each thread calls a function that does nothing to speak of
        gomp.GOMP_parallel(gomp.omp_get_num_procs, None, gomp.omp_get_num_procs() + 1, 0)
    release.wait()


def _seconds_queued() -> float:
    """How long the threads of this process were ready to run, but had no core."""
    queued = 0
    for path in Path("/proc/self/task").iterdir():
        try:
            queued += int((path / "schedstat").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            continue
    return queued / 1e9


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each made in another thread while the one before it is used."""
    if _metal():
        yield from items
        return
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(_next, source)
        while item := coming.result():
            coming = thread.submit(_next, source)
            yield item[0]


def _next(source: Iterator[Item]) -> tuple[Item] | None:
    """The next item, in a tuple, so that an item that counts as false does not look like the end."""
    for item in source:
        return (item,)
    return None


def side_by_side(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `work` makes of each item, in the items' order, made in several threads at once.

    Each thread computes alone: two pictures side by side take less time than two that share both cores one
    after the other, since reading, writing and small operations have one thread anyway. There are at most
    `MOST_SIDE_BY_SIDE`, and as many items are at hand, however slowly results are taken.
    """
    import torch  # this module is imported before torch, see above

    total = torch.get_num_threads()
    workers = min(total, MOST_SIDE_BY_SIDE)
    if workers == 1 or _metal():
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(total // workers,))
    coming: deque[Future[Made]] = deque()
    try:
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > workers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _metal() -> bool:
    """Whether work may go to Apple's GPU, where two threads crash their process (pytorch issue 197805)."""
    import torch

    return torch.backends.mps.is_available()


brief, in_force = _settle()
