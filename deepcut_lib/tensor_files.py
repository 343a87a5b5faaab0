"""Files of tensors: safetensors whose metadata name their format."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import safetensors
from torch import Tensor

from deepcut_lib.errors import CheckpointError


@contextmanager
def tensors_of(
    path: str | PathLike[str], file_format: str, kind: str
) -> Iterator[tuple[dict[str, str], dict[str, Tensor]]]:
    """What a file holds, its metadata and tensors by name; for a block that makes something of them.

    Args:
        path: of the file.
        file_format: what its metadata must have as ``format``.
        kind: what it should be and how to get one, as in "a file of X.save; save it again".

    Raises:
        CheckpointError: it is missing, damaged, or another kind of file; also where the block raises
            LookupError, ValueError or TypeError because of what it holds.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file; check the path")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != file_format:
                raise KeyError("format")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        yield metadata, tensors
    except (safetensors.SafetensorError, LookupError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged, or not {kind}") from error
