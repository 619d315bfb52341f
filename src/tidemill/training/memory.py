"""Memory that a training frees stays with the process, and the next step uses it again."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of `mallopt(3)`."""


def keep_freed() -> None:
    """Let glibc return nothing to the system; where there is another C library, all stays as it is.

    By default it returns each large tensor, and the next step pays for fresh pages: a tenth of the time of a small
    language model's step (`benchmarks/README.md`).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
