"""Where tensors live, and in what precision they are multiplied: one path for CPU, CUDA and MPS."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_KINDS = ("cpu", "cuda", "mps")


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn ``"auto"`` into the best device at hand (CUDA, then MPS, then CPU); check any other name.

    Raises:
        ValueError: the device is unknown or not present on this machine.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device {str(device)!r} cannot be used here ({reason}); try 'auto' or 'cpu'"
        ) from error
    return chosen


@contextmanager
def without_autocast() -> Iterator[None]:
    """Multiply in float32 whatever the caller has set; also a decorator.

    A caller's autocast is for networks: in halves, N-cuts of different starts look alike, and the sum of a
    graph's affinities can be infinite.
    """
    with ExitStack() as stack:
        for kind in _KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
