"""What a check says of an answer, and the tools that checks are made of."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from deepcut_lib.files import write_whole
from deepcut_lib.lessons.common.running import LONGEST, at_most

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and why, or what to look at."""

    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return ("Right. " if self.passed else "Not yet. ") + self.message


LATEST: dict[str, Verdict] = {}
"""What each check has said last in this kernel."""


def save_answers(path: str | Path = "answers.json") -> Path:
    """Save what each check has said last, for a teacher to look at; marks come from running the checks again.

    Raises:
        DeepCutError: the file could not be written.
    """
    answers = {name: {"passed": it.passed, "message": it.message} for name, it in LATEST.items()}
    write_whole(Path(path), json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    return Path(path)


class NotYetError(Exception):
    """Raised inside a check: what is wrong with the answer, in words for the learner."""


def exercise(check: Callable[[Answer], str]) -> Callable[[Answer], Verdict]:
    """Turn a check, which returns a sentence on what was right or raises `NotYetError`, into one that gives a
    `Verdict` and never fails."""

    @wraps(check)
    def judged(answer: Answer) -> Verdict:
        try:
            verdict = Verdict(True, check(answer))
        except NotYetError as problem:
            verdict = Verdict(False, str(problem))
        except Exception as problem:  # an answer can be anything
            verdict = Verdict(False, f"This answer cannot be read ({type(problem).__name__}: {problem}).")
        LATEST[check.__name__] = verdict
        return verdict

    return judged


def call(function: Any, *arguments: Any) -> Any:
    """The learner's function on copies of the arguments.

    Raises:
        NotYetError: it is no function, it raises, it does not end, or it returns nothing.
    """
    if not callable(function):
        raise NotYetError(f"Give the function itself, without calling it; this is {function!r}.")
    try:
        with at_most(LONGEST):
            result = function(*deepcopy(arguments))
    except NotYetError:
        raise
    except (Exception, SystemExit) as problem:
        raise NotYetError(
            f"Your function stops with {type(problem).__name__}: {str(problem) or 'no message'}."
        ) from problem
    if result is None:
        raise NotYetError("Your function returns None: is there a return at its end?")
    return result


def as_array(value: Any, shape: tuple[int, ...], what: str = "The result") -> np.ndarray:
    """An answer as a float array of the shape that it must have.

    Raises:
        NotYetError: it is missing, holds no finite numbers, or has another shape.
    """
    if value is None or value is Ellipsis:
        raise NotYetError(f"{what} is still missing: put it in place of {value!r}.")
    try:
        plain = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        array = np.asarray(plain)
        if array.dtype.kind == "c":  # it would be cast
            raise TypeError
        array = array.astype(np.float64)
    except OverflowError:
        raise NotYetError(f"{what} holds a number too large to reckon with.") from None
    except Exception:  # whatever an odd object raises
        raise NotYetError(f"{what} must be numbers, not {type(value).__name__}.") from None
    if array.shape != shape:
        raise NotYetError(f"{what} has shape {array.shape}; it should be {shape}.")
    if not np.isfinite(array).all():
        raise NotYetError(f"{what} holds NaN or infinity: is something divided by zero?")
    return array


def agree(
    value: Any, expected: Any, hint: str = "", *, what: str = "The result", tolerance: float = 1e-4
) -> None:
    """Compare an answer with the expected numbers, in shape and value.

    Args:
        value: the answer.
        expected: what it should be.
        hint: a sentence added where the values differ.
        what: what the answer is called in the message.
        tolerance: the largest difference allowed, absolute below 1 and relative above.

    Raises:
        NotYetError: it differs; the message says where and by how much.
    """
    wanted = as_array(expected, tuple(np.shape(expected)))
    array = as_array(value, wanted.shape, what)
    off = np.abs(array - wanted) / np.maximum(np.abs(wanted), 1)
    if off.max(initial=0) > tolerance:
        where = tuple(int(i) for i in np.unravel_index(off.argmax(), off.shape))
        place = f" at {list(where)}" if where else ""
        raise NotYetError(
            f"{what} is {array[where]:.4g}{place}, expected {wanted[where]:.4g}. {hint}".rstrip()
        )


class LargestTensor(TorchFunctionMode):
    """Within it, notes how many numbers the largest tensor holds that torch's functions return.

    Shows whether an answer builds the n×n matrix that it should do without.
    """

    numbers = 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result
