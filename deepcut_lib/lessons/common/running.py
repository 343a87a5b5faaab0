"""Running what a learner wrote: not for ever, and with an eye on the memory that it takes."""

import ctypes
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LONGEST = 20.0
"""Seconds that a learner's function may take: what exercises ask for takes far less than one."""


class _StopError(BaseException):
    """Thrown into a thread; no `except Exception` of the learner's keeps it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Stop the block where it takes too long, on every system and in any thread.

    Python code is stopped between two of its steps; a single call into compiled code is waited for.

    Raises:
        TimeoutError: it took longer than `seconds`.
    """
    thread, lock = threading.get_ident(), threading.Lock()
    over = stopped = False

    def throw(what: type[BaseException] | None) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), None if what is None else ctypes.py_object(what)
        )

    def stop() -> None:
        nonlocal stopped
        with lock:
            if not over:
                stopped = True
                throw(_StopError)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        try:
            yield
        finally:
            timer.cancel()
            with lock:
                over = True
                if stopped:
                    throw(None)  # if the block was done at this very moment, it is still on its way
    except _StopError:
        raise TimeoutError(f"it is still running after {seconds:g} seconds") from None


@dataclass
class Memory:
    """What a block took, once it is left.

    Attributes:
        peak: the most bytes of arrays, lists and other objects at one time, those of torch's tensors apart,
            beyond what there was before.
    """

    peak: int = 0


@contextmanager
def memory_of_arrays() -> Iterator[Memory]:
    """Note the memory that a block takes for NumPy's arrays and Python's lists.

    Torch's memory is not seen: see `LargestTensor`.
    """
    memory, running = Memory(), tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield memory
    finally:
        memory.peak = tracemalloc.get_traced_memory()[1] - before
        if not running:
            tracemalloc.stop()
