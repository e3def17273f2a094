"""Memory that was freed, given back to the system.

glibc keeps what lies below any block that is still in use. After a reset of many projects that may be as much as they
took, until the process asks for it to be given back.
"""

from __future__ import annotations


def trim_heap() -> None:
    """Give freed memory back, where the C library knows how; it takes some milliseconds."""
    import ctypes  # 10 ms, which only a server that was reset spends
    import gc

    gc.collect()  # also lets go what Python keeps of each small type, a block of which keeps a megabyte in use

    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return
    trim(0)
