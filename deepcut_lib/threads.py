"""Threads: how they wait for one another, and pictures made side by side.

libgomp, the OpenMP of torch's packages for Linux, lets a thread that waits for its team spin for milliseconds
before it sleeps. On a quiet machine that is right: to wake a thread takes longer than most operations here.
Beside other work these spins take the cores from the very threads that are waited for: on two cores four
processes together cut a fifth of what one alone does. libgomp spins a hundred times only where it manages
more threads than there are cores. So a daemon thread watches how long this process queues for the cores, and
while it does, holds a few threads that only sleep.

Where the system does not tell, and libgomp is not loaded yet, the import sets `GOMP_SPINCOUNT` to 3000 spins,
tens of microseconds: that does as well beside other work, and one process alone is a sixth slower. What the
user has set stays. On macOS and Windows nothing is done: torch brings another OpenMP there.
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

_QUEUES = Path("/proc/self/schedstat")
_USERS_CHOICE = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
_SPARE = "deepcut spare threads"
_PERIOD = 0.5
"""Seconds between two looks at the queue."""
_CROWDED = 0.25
"""Seconds in the queue, of all threads, per second; 0.01 on a quiet machine, 1 beside a second process."""


def _settle() -> tuple[bool, str]:
    """Make waiting brief beside other work; returns whether it is, or the user has chosen, and what holds."""
    if sys.platform != "linux":
        return True, "as torch's OpenMP has it"
    chosen = [f"{name}={os.environ[name]}" for name in _USERS_CHOICE if name in os.environ]
    if chosen:
        return True, f"{', '.join(chosen)}, from the environment"
    if _QUEUES.exists():
        Thread(target=_watch, name="deepcut waiting", daemon=True).start()
        return True, "spin while cores are free, and briefly while they are busy: watched by deepcut_lib"
    if _libgomps():
        return False, f"spin long: import deepcut_lib before torch, or set GOMP_SPINCOUNT={SPINS}"
    os.environ["GOMP_SPINCOUNT"] = SPINS
    return True, f"GOMP_SPINCOUNT={SPINS}, set by deepcut_lib"


def _libgomps() -> list[str]:
    """The files of it that this process has loaded."""
    return [library["filepath"] for library in threadpool_info() if library["prefix"] == "libgomp"]


def _watch() -> None:
    """Keep spare threads for as long as this process queues for the cores."""
    release: Event | None = None
    before = _seconds_queued()
    while True:
        time.sleep(_PERIOD)
        now = _seconds_queued()
        crowded = now - before > _CROWDED * _PERIOD
        before = now
        if crowded and release is None and (libraries := _libgomps()):
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


def at_once(*, gpu: bool = True) -> int:
    """How many threads `side_by_side` has.

    Args:
        gpu: as there.
    """
    import torch  # this module is imported before torch, see above

    # cuDNN plans all convolutions anew in each thread: four seconds of a core for the embedded network
    if gpu and (torch.cuda.is_initialized() or _metal()):
        return 1
    return min(torch.get_num_threads(), MOST_SIDE_BY_SIDE)


def side_by_side(work: Callable[[Item], Made], items: Iterable[Item], *, gpu: bool = True) -> Iterator[Made]:
    """What `work` makes of each item, in the items' order, made in several threads at once.

    Each thread computes alone: two pictures side by side take less time than two that share both cores one
    after the other, since reading, writing and small operations have one thread anyway. There are at most
    `MOST_SIDE_BY_SIDE`, and as many items are at hand, however slowly results are taken.

    Args:
        work: what is done.
        items: to each of them.
        gpu: whether it is done on a GPU where one is in use: then by the thread that asks.
    """
    import torch  # this module is imported before torch, see above

    workers = at_once(gpu=gpu)
    if workers == 1:
        yield from map(work, items)
        return
    threads = torch.get_num_threads() // workers
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,))
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
