"""Threads wait briefly beside other work, whatever is imported first, and a user's own setting stays."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from deepcut_lib import threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libgomp is on Linux alone")


UNTOLD = """
import pathlib
there = pathlib.Path.exists
pathlib.Path.exists = lambda path: there(path) and path.name != "schedstat"
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in which libgomp says what it has read when it is loaded."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    environment = kept | {"OMP_DISPLAY_ENV": "verbose"} | variables
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def test_where_the_system_tells_no_queue_the_package_sets_the_spins_before_libgomp_is_loaded() -> None:
    ended = run(UNTOLD + "from deepcut_lib import threads; import torch; print(threads.in_force)")
    assert "GOMP_SPINCOUNT = '3000'" in ended.stderr
    assert "GOMP_SPINCOUNT = '300000'" not in ended.stderr
    assert "set by deepcut_lib" in ended.stdout
    ended = run(
        UNTOLD + "import torch; from deepcut_lib import threads; print(threads.brief, threads.in_force)"
    )
    assert ended.stdout.startswith("False spin long: import deepcut_lib before torch")


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "77"), ("OMP_WAIT_POLICY", "PASSIVE")])
def test_a_users_own_setting_stays(name: str, value: str) -> None:
    ended = run("from deepcut_lib import threads; import torch; print(threads.in_force)", **{name: value})
    assert f"{name} = '{value}'" in ended.stderr
    assert "GOMP_SPINCOUNT = '3000'" not in ended.stderr
    assert f"{name}={value}" in ended.stdout


WATCHED = """
import os, threading, time

def wait_until_spares(there):
    while there != any(thread.name == threads._SPARE for thread in threading.enumerate()):
        time.sleep(0.01)

print(threads.in_force)
threads._PERIOD = 0.01
queued = 0.0
threads._seconds_queued = lambda: queued
wait_until_spares(False)

def busy():
    global queued
    queued += 1.0
    return queued
threads._seconds_queued = busy
wait_until_spares(True)
if os.fork() == 0:
    os._exit(torch.ones(1 << 20).sum() != 1 << 20)
assert os.wait()[1] == 0
threads._seconds_queued = lambda: queued
wait_until_spares(False)
"""


@pytest.mark.parametrize(
    "order",
    ["from deepcut_lib import threads; import torch", "import torch; from deepcut_lib import threads"],
)
def test_spare_threads_are_held_while_the_cores_are_busy(order: str) -> None:
    ended = run(order + WATCHED)
    assert "GOMP_SPINCOUNT = '300000'" in ended.stderr
    assert "watched by deepcut_lib" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_crowd_before_libgomp_is_there_does_no_harm() -> None:
    ended = run(
        """
import time
from deepcut_lib import threads
assert not threads._libgomps()
threads._PERIOD = 0.01
threads._seconds_queued = time.perf_counter
time.sleep(0.1)
import threading, torch
while not any(thread.name == threads._SPARE for thread in threading.enumerate()):
    time.sleep(0.01)
"""
    )
    assert "Traceback" not in ended.stderr


def test_the_time_in_the_queue_is_that_of_this_process() -> None:
    first = threads._seconds_queued()
    assert 0 <= first <= threads._seconds_queued()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_side_by_side_keeps_the_order_and_the_number_of_threads(two_threads: None) -> None:
    def work(number: int) -> tuple[int, int]:
        time.sleep(0.02 * (number % 3))
        return number, torch.get_num_threads()

    assert list(threads.side_by_side(work, range(9))) == [(number, 1) for number in range(9)]
    assert torch.get_num_threads() == 2


def test_side_by_side_takes_few_items_ahead_and_stops_at_a_fault(two_threads: None) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number == 3:
            raise OSError("disk full")
        return number

    made = threads.side_by_side(work, items())
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="disk full"):
        next(made)
    assert len(taken) <= 7
    assert torch.get_num_threads() == 2


def test_a_gpu_is_left_to_one_thread_and_other_work_is_not(
    two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    here, started = threading.get_ident(), threading.Barrier(2)
    assert set(threads.side_by_side(lambda _: threading.get_ident(), range(4))) == {here}

    def met(_: int) -> int:
        started.wait(10)  # passes only where two are at work
        return threading.get_ident()

    assert len(set(threads.side_by_side(met, range(4), gpu=False))) == 2


def test_on_apples_gpu_there_is_one_thread(two_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    here = threading.get_ident()
    assert set(threads.side_by_side(lambda _: threading.get_ident(), range(4))) == {here}
    assert set(threads.ahead(threading.get_ident() for _ in range(4))) == {here}
