"""What learners write is stopped where it does not end, and what memory it takes is seen."""

import time
from contextlib import suppress

import numpy as np
import pytest

from deepcut_lib.lessons.common import verdict
from deepcut_lib.lessons.common.running import at_most, memory_of_arrays


def for_ever(*_: object) -> None:
    while True:
        with suppress(Exception):  # a learner's own net must not keep it running
            time.sleep(0.001)


def test_what_does_not_end_is_stopped() -> None:
    with pytest.raises(TimeoutError, match=r"after 0\.05 seconds"), at_most(0.05):
        for_ever()


def test_what_ends_in_time_goes_on_undisturbed() -> None:
    with at_most(0.05):
        total = sum(range(1000))
    time.sleep(0.1)
    assert total == 499500
    with pytest.raises(ZeroDivisionError), at_most(10):
        _ = 1 / 0


def test_memory_of_arrays_and_lists_is_seen() -> None:
    with memory_of_arrays() as small:
        _ = np.ones(100)
    with memory_of_arrays() as large:
        _ = np.ones((500, 500))
    with memory_of_arrays() as lists:
        _ = [[float(i + j) for i in range(100)] for j in range(100)]
    assert small.peak < 50_000 < lists.peak
    assert 2_000_000 <= large.peak < 2_100_000


def test_a_verdict_is_given_on_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "LONGEST", 0.05)

    @verdict.exercise
    def check(answer: object) -> str:
        verdict.as_array(verdict.call(answer), ())
        return "A number."

    def leave() -> None:
        raise SystemExit

    assert "still running" in check(for_ever).message
    assert "SystemExit" in check(leave).message
    assert "too large" in check(lambda: 10**400).message
    assert check(lambda: 3)
