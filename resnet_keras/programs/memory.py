"""Keeps memory that a program has freed and will need again in the next update."""

import ctypes
import sys
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
KEPT = 2**30
"""Bytes: arrays up to this size come from memory that the process keeps."""


def keep_freed_memory() -> None:
    """Has glibc keep freed memory, so that the arrays of each update need no new pages; does nothing elsewhere.

    Upstream lacks: by default glibc returns the end of its memory to the system as soon as arrays there are freed, and
    the system clears new pages for the next ones (docs/performance.md). The variables MALLOC_MMAP_THRESHOLD_ and
    MALLOC_TRIM_THRESHOLD_ do the same, but only if set before a process starts. Delete when: TensorFlow and PyTorch
    keep arrays on a CPU, as they do on a GPU.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # a C library other than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT) or mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that glibc accepts before 2.35
        mallopt(M_TRIM_THRESHOLD, KEPT)
