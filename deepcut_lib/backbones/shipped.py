"""Files that come with the library: small weights, each with a card beside it in ``deepcut_lib/weights``."""

from pathlib import Path

from deepcut_lib.errors import CheckpointError
from deepcut_lib.files import sha256

WEIGHTS = Path(__file__).parents[1] / "weights"


def shipped(name: str, digest: str) -> Path:
    """The path of a shipped file, seen to be whole.

    Args:
        name: its name.
        digest: its SHA-256, as on its card.

    Raises:
        CheckpointError: it is missing or is not the one that was shipped.
    """
    path = WEIGHTS / name
    try:
        there = sha256(path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); install the library again"
        ) from error
    if there != digest:
        raise CheckpointError(
            f"{path}: its SHA-256 is {there[:12]}…, not {digest[:12]}…; install the library again"
        )
    return path
