"""Memory that was freed, given back to the system.

glibc keeps what lies below any block that is still in use. After a reset of many projects that may be as much as they
took, until the process asks for it to be given back. Python itself keeps each megabyte in which one small object is
still in use: a text that is remembered only to be quick is enough. So such texts are forgotten first.
"""

from __future__ import annotations

import gc
import sys
from functools import _lru_cache_wrapper

OURS = ("mockserver.", "proxy.")


def clear_caches() -> None:
    """Forget what this package remembers of its latest callers only to be quick; what is made once for all stays."""
    for module in [module for name, module in list(sys.modules.items()) if name.startswith(OURS)]:
        for cache in [value for value in list(vars(module).values()) if isinstance(value, _lru_cache_wrapper)]:
            is_ours = str(getattr(cache, "__module__", "")).startswith(OURS)
            if is_ours and cache.cache_parameters()["maxsize"] is not None:
                cache.cache_clear()


def trim_heap() -> None:
    """Give freed memory back, where the C library knows how; it takes some milliseconds."""
    import ctypes  # 10 ms, which only a server that was reset spends

    clear_caches()
    gc.collect()  # also lets go what Python keeps of each small type, a block of which keeps a megabyte in use

    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return
    trim(0)
