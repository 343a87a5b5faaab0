"""``python -m deepcut_lib``."""

import ctypes
import sys

from deepcut_lib.cli.main import main

_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_ARENA_MAX = -4, -1, -8  # of glibc's malloc.h


def _keep_freed_memory() -> None:
    """Let the process keep what it frees, up to 2 GB, for the next picture's arrays.

    From the system those of tens of MB come page by page, which takes as long as a convolution.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_ARENA_MAX, 1)  # those that threads have of their own give memory back all the same


_keep_freed_memory()
sys.exit(main())
