"""What this process may use of the machine."""

from __future__ import annotations

import atexit
import gc
import os

_GARBAGE = 20_000  # new objects before Python looks for garbage; its default is 700


def cores() -> int:
    """Return the number of cores that this process may use; a container or batch system may allow fewer than exist."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collect_rarely() -> None:
    """Make Python start and end sooner, in processes that run nothing but selfmm.

    Importing torch and transformers makes a million objects, and nearly all of them stay. Searching them repeatedly for
    garbage takes a fifth of the time of the imports, and another second at the end of the process.
    """
    gc.set_threshold(_GARBAGE)
    atexit.register(gc.freeze)
