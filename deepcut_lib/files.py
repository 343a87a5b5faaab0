"""Files that appear whole or not at all."""

import contextlib
import os
from pathlib import Path

from deepcut_lib.errors import DeepCutError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name and move it into place, making its folder if need be.

    Raises:
        DeepCutError: it could not be written (full disk, no permission); what was under `path` before is
            untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise DeepCutError(
            f"{path}: could not be written ({error.strerror}); free some space or choose another --out, then "
            "run the same command again: finished pictures are kept"
        ) from error
