"""A worker: a child process, as its parent sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from selfmm.core.jobs.template import Forked, Template

Message = Mapping[str, Any]
"""A message of the parent: one JSON object."""

Event = dict[str, Any]
"""An event that a worker reports: one JSON object."""

ALIVE: Event = {"event": "alive"}
"""The event of an empty line."""


class Worker:
    """A child process that reads messages and reports events.

    Args:
        command: what to run, see :func:`module`.
        environment: its environment variables.
        inbox: gets ``(worker, event)`` for each event, and ``(worker, None)`` at the end; workers may share one.
        keep_errors: keep standard error to quote its last line if the process dies, instead of passing it on.
        template: fork the process from this one, which has the same environment, instead of running ``command``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        inbox: SimpleQueue[tuple[Worker, Event | None]] | None = None,
        *,
        keep_errors: bool = True,
        template: Template | None = None,
    ) -> None:
        self.failure: str | None = None
        """The reason for its failure, as the process itself reported it."""
        self._inbox = SimpleQueue() if inbox is None else inbox
        self._last_words = ""
        self._errors = tempfile.TemporaryFile() if keep_errors else None  # noqa: SIM115  closed when the process ends
        forked = None if template is None else template.fork(self._errors)
        self._process: subprocess.Popen[str] | Forked = forked or subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):  # a line that the process's death cut off, or that a library printed
                    self._inbox.put((self, json.loads(line) if line.strip() else ALIVE))
        self._inbox.put((self, None))

    def send(self, message: Message) -> None:
        """Send a message. If the process is dead, its end is reported like any other."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def receive(self, timeout: float | None = None) -> Event | None:
        """Wait for the next event (None: the process has ended); raise ``queue.Empty`` after ``timeout`` seconds."""
        return self._inbox.get(timeout=timeout)[1]

    def close(self) -> None:
        """Ask the process to end, by closing its input."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def wait(self, patience: float | None = None) -> int:
        """Wait for the end of the process, kill it after ``patience`` seconds, and return its exit code."""
        try:
            self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self._process.wait()
        self.close()
        if self._errors is not None:
            self._errors.seek(0)
            self._last_words = "".join(self._errors.read().decode("utf-8", "replace").strip().splitlines()[-1:])
            self._errors.close()
            self._errors = None
        return code

    def problem(self) -> str | None:
        """Wait for the end of the process and return why it failed; None if it did not."""
        code = self.wait()
        return None if code == 0 else self.failure or explain_death(code, self._last_words)


def stop(workers: Collection[Worker], patience: float = 15) -> None:
    """End workers: give them ``patience`` seconds to end on their own, then kill the rest.

    They end within seconds, see :class:`selfmm.core.jobs.parent.Parent`; only one that hangs is killed, which may leave
    a temporary file.
    """
    for worker in workers:
        worker.close()
    deadline = time.monotonic() + patience
    for worker in workers:
        worker.wait(max(0.0, deadline - time.monotonic()))


def module(name: str) -> tuple[str, ...]:
    """Return the command that runs a module in a new process."""
    return (sys.executable, "-P", "-m", name)


def environment(threads: int) -> dict[str, str]:
    """Return this process's environment with the interpreter's own paths: a child imports what its parent did, and
    nothing from the current folder."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}


def explain_death(code: int, last_words: str) -> str:
    """Return why a process failed that could not report it itself.

    >>> explain_death(-9, "")
    'its process was killed (SIGKILL), most often because memory ran out; give a smaller `jobs=...`'
    """
    if code == -9:
        return "its process was killed (SIGKILL), most often because memory ran out; give a smaller `jobs=...`"
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}{f': {last_words}' if last_words else ''}"
