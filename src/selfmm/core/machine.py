"""What this process may use of the machine."""

from __future__ import annotations

import atexit
import gc
import os

_GARBAGE = 20_000  # objects that may cling together before Python looks which of them nobody needs; it says 700


def cores() -> int:
    """Cores that this process may run on, which a container or a batch system may have made fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collect_rarely() -> None:
    """For processes that are ours alone: makes Python start and end sooner.

    Importing torch and transformers makes a million objects, nearly all of which stay. Looking through them again and
    again takes a fifth of the time that the imports take, and a second at the end for what goes with the process.
    """
    gc.set_threshold(_GARBAGE)
    atexit.register(gc.freeze)
