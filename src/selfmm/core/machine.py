"""What this process may use of the machine."""

from __future__ import annotations

import atexit
import gc
import os
from contextlib import suppress
from pathlib import Path

_LOAD, _OWN = Path("/proc/loadavg"), Path("/proc/self/task")
_GARBAGE = 20_000  # new objects before Python looks for garbage; its default is 700

_NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def cores() -> int:
    """Return the number of cores that this process may use; a container or batch system may allow fewer than exist."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def why_slow(threads: int, jobs: int = 1) -> str:
    """Return a warning if computing would have to share its cores with other programs; empty if not, or unknown.

    Several threads of one computation wait for each other: on two busy cores, an epoch with two threads took up to nine
    times as long as with one. Nothing is changed here, because the last digits of all figures depend on the number of
    threads, and the load of a machine must not.

    Args:
        threads: of each computation.
        jobs: computations at once.
    """
    total = os.cpu_count() or 1
    busy = _busy() if threads > 1 else 0
    if busy + jobs * threads <= total or not busy:
        return ""
    return (
        f"other programs use {min(busy, total)} of the {total} cores of this machine, and training uses "
        f"{jobs * threads} threads that wait for each other: an epoch can take several times as long as with "
        "OMP_NUM_THREADS=1, which is not chosen for you because it changes the last digits of the figures."
    )


def _busy() -> int:
    """Return how many other threads compute, both now and on average over the last minute; 0 if that is unknown."""
    if not hasattr(os, "getloadavg"):
        return 0
    lately = round(os.getloadavg()[0])
    if lately and _LOAD.is_file():  # a program that has just ended still counts in the average
        now = int(_LOAD.read_text(encoding="ascii").split()[3].partition("/")[0])
        # Threads of this process wait for each other in loops, for a moment after they have computed.
        own = sum(_computes(task / "stat") for task in _OWN.iterdir())
        return max(0, min(lately, now - own))
    return lately


def _computes(stat: Path) -> bool:
    with suppress(OSError):  # the thread has ended since
        return stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "R"
    return False


def collect_rarely() -> None:
    """Make Python start and end sooner, in processes that run nothing but selfmm.

    Importing torch and transformers makes a million objects, and nearly all of them stay. Searching them repeatedly for
    garbage takes a fifth of the time of the imports, and another second at the end of the process.
    """
    gc.set_threshold(_GARBAGE)
    atexit.register(gc.freeze)


def send_nothing() -> None:
    """Keep libraries from reporting their use to their vendors, which some do unless they are told not to.

    They read these variables when they are imported; child processes inherit them. A user's own value stays.
    """
    for variable, value in _NO_TELEMETRY.items():
        os.environ.setdefault(variable, value)
