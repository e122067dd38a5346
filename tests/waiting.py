"""Waiting for events in other processes.

No test measures the wall time of what it tests: on a busy machine everything takes longer. Tests wait for events, and
:data:`PATIENCE` only keeps a test that would never end from hanging.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 300.0
"""Seconds after which a test gives up waiting."""

FOREVER = 3600.0
"""Seconds for which a child process sleeps that is to be ended: far more than :data:`PATIENCE`."""


def wait_until(happened: Callable[[], bool], *, poll: Callable[[], int | None] = lambda: None) -> None:
    """Return as soon as ``happened()`` is true.

    Args:
        happened: is called again and again, every few milliseconds.
        poll: returns the exit code of the process that should make it happen; None while it runs.

    Raises:
        AssertionError: if the process ends before, or nothing happens for :data:`PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while not happened():
        code = poll()
        # The last moment counts too: a process may do what is waited for and end.
        assert code is None or happened(), f"the process ended with exit code {code} before it happened"
        assert time.monotonic() < end, f"it did not happen within {PATIENCE:g} s"
        time.sleep(0.002)
