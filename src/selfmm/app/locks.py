"""Locks of jobs. The commands that a process starts can hold its lock too; it is free only when all have ended."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_EVERY = 0.05  # seconds between two tries


def acquire(file: Path, patience: float = 0.0) -> int | None:
    """Take a lock and return its file descriptor; None if it is not free within ``patience`` seconds.

    The lock ends when every process has closed the descriptor, or has ended. ``subprocess.Popen`` passes it on with
    ``pass_fds``.

    Raises:
        OSError: if the file cannot be made.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_EVERY)
        else:
            return descriptor


def is_held(file: Path) -> bool:
    """Return whether some process holds a lock. Looking at it does not take it from another one that looks."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(descriptor)


def seems_held(file: Path) -> bool | None:
    """Return whether some process holds a lock, without touching it; None where the system does not tell.

    For locks of others, who would take a moment's look for another training and give up.
    """
    try:
        number = str(file.stat().st_ino)
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    places = [line.split()[5] for line in lines if " FLOCK " in line and len(line.split()) > 5 and "->" not in line]
    return any(place.rpartition(":")[2] == number for place in places)
