"""A process and its parent: lines of JSON both ways, and no child outlives its parent.

The first line on a child's standard input is what it is to do. The end of that input says that the parent is gone,
however it died, and ends the child too.
"""

from __future__ import annotations

import _thread
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_GRACE = 2.0  # seconds to clean up in; a long step does not see the interrupt before its end


class Child:
    """A process, from its parent's side.

    Args:
        command: what to run.
        environment: see :func:`environment`.
        job: the first line that it reads.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], job: Mapping[str, Any]) -> None:
        self.problem: str | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed when the process ends
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        self.say(job)

    def say(self, message: Mapping[str, Any]) -> None:
        """Sends a line; if it died already, its end is told like any other."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def listen(self, tell: Callable[[dict[str, Any] | None], None]) -> None:
        """Calls ``tell``, from a thread, with each event, and with None at the end."""

        def read() -> None:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                with suppress(ValueError):  # a line cut off by the process's death
                    tell(json.loads(line))
            tell(None)

        threading.Thread(target=read, daemon=True).start()

    def end(self) -> str | None:
        """Waits for its end; returns why it failed, None if it did not."""
        code = self._process.wait()
        self.let_go()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", errors="replace").strip().splitlines()
        self._errors.close()
        if code == 0:
            return None
        return self.problem or explain_death(code, said[-1] if said else "")

    def let_go(self) -> None:
        """Tells it to end, by closing what it listens to."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self) -> None:
        """Waits a little for an end in order, then ends it."""
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def environment(threads: int) -> dict[str, str]:
    """This process's, with the interpreter's own paths: a child imports what its parent did, and nothing that lies
    around."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}


def explain_death(code: int, last_words: str) -> str:
    """Why a process failed that could not say it.

    >>> explain_death(-9, "")
    'its process was killed (SIGKILL), most often because memory ran out; give a smaller `jobs=...`'
    """
    if code == -9:
        return "its process was killed (SIGKILL), most often because memory ran out; give a smaller `jobs=...`"
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}{f': {last_words}' if last_words else ''}"


class Parent:
    """The parent, from the process's side. Makes standard output its own: what libraries print goes to standard
    error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, event: str, **content: Any) -> None:
        self._out.write(json.dumps({"event": event, **content}) + "\n")
        self._out.flush()

    def hear(self) -> dict[str, Any]:
        """The next line; waits for it.

        Raises:
            KeyboardInterrupt: the parent is gone.
        """
        said = self._said.get()
        if said is None:
            raise KeyboardInterrupt
        return said

    def _listen(self) -> None:
        # Unbuffered: a thread that waits in sys.stdin would hold its lock when the interpreter ends.
        rest = b""
        while part := os.read(0, 65536):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._said.put(json.loads(line))
        self._said.put(None)
        _thread.interrupt_main()
        time.sleep(_GRACE)
        os._exit(130)
