"""Verdicts help the learner, whatever the answer."""

import numpy as np
import pytest
import torch

from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise


@exercise
def check_double(double: object) -> str:
    agree(call(double, torch.tensor([1.0, -2.0])), [2.0, -4.0], "Twice each number.")
    return "Both signs are doubled."


def test_a_right_answer_passes_in_any_array_type() -> None:
    for answer in (lambda x: 2 * x, lambda x: (2 * x).numpy(), lambda x: (2 * x).tolist()):
        verdict = check_double(answer)
        assert verdict
        assert repr(verdict) == "Right. Both signs are doubled."


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda x: None, "returns None"),
        (lambda x: ..., "missing"),
        (lambda x: x[:1], "shape (1,); it should be (2,)"),
        (lambda x: x / 0, "NaN or infinity"),
        (lambda x: 2 * x.abs(), "at [1], expected -4. Twice each number."),
        (lambda x: "two", "must be numbers"),
        (lambda: 1, "stops with TypeError"),
        (3, "Give the function itself"),
    ],
)
def test_a_wrong_answer_is_told_why(answer: object, part: str) -> None:
    verdict = check_double(answer)
    assert not verdict
    assert repr(verdict).startswith("Not yet. ")
    assert part in verdict.message


def test_the_learner_cannot_change_what_is_compared() -> None:
    values = np.ones(3)
    call(lambda x: x.fill(0) or x, values)
    assert values.sum() == 3


def test_missing_numbers_are_named() -> None:
    with pytest.raises(NotYetError, match="Your guess is still missing"):
        as_array(None, (), "Your guess")
    agree(0.30004, 0.3)
    agree(1000.05, 1000)
