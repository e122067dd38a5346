"""Signals end a command wherever they arrive."""

from __future__ import annotations

import subprocess
import sys

import pytest

from waiting import FOREVER


@pytest.mark.parametrize(("number", "kind"), [("SIGTERM", "Terminated"), ("SIGINT", "KeyboardInterrupt")])
def test_a_signal_that_arrives_in_a_destructor_is_not_lost(number: str, kind: str) -> None:
    """Python drops an exception that is raised there, and the command would go on."""
    code = f"""
import signal, time
from selfmm.cli.output import heeding_sigterm

signal.signal(signal.SIGINT, signal.default_int_handler)

class Ends:
    def __del__(self):
        signal.raise_signal(signal.{number})

with heeding_sigterm():
    try:
        Ends()
        time.sleep({FOREVER})
    except KeyboardInterrupt as interrupt:
        print(type(interrupt).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == kind, done.stderr
    assert done.returncode == 0
