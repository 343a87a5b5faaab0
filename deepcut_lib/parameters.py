"""Parameters that are numbers, checked where they enter."""

import math
import numbers


def is_whole(value: object) -> bool:
    """Whether it is a whole number, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """A parameter that must be a whole number, of Python's or NumPy's.

    Raises:
        ValueError: it is none, or out of range; the message names it.
    """
    whole = is_whole(value)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        kind = "" if whole else "a whole number, "
        limit = "" if most is None else f" and at most {most}"
        raise ValueError(f"{name} must be {kind}at least {least}{limit}, not {value!r}")
    return int(value)  # type: ignore[call-overload]


def check_positive(name: str, value: object) -> float:
    """A parameter that must be a positive, finite number.

    Raises:
        ValueError: it is not; the message names it.
    """
    try:
        number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:  # a whole number beyond all floats
        number = math.inf
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, not {value!r}")
    return number
