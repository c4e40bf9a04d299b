"""How the C library keeps memory that PyTorch has freed on a CPU."""

from __future__ import annotations

import ctypes
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -3, -1, -2
"""Numbers of glibc's options for `mallopt`, as in its header malloc.h."""
NEVER, PAD = 2**30, 64 * 2**20


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory instead of giving it back to the system.

    A training step frees and takes the same large tensors again and again. By default each of them is mapped anew, and
    the system clears its pages: some thousand page faults a step, which take 5 to 9 % of its time at 160 pixels.

    Returns:
        Whether the C library has this option and took it; on other systems nothing is changed.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    options = ((MMAP_THRESHOLD, NEVER), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, PAD))
    return all(set_option(option, value) == 1 for option, value in options)
