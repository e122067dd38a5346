"""The parent, as a worker sees it."""

from __future__ import annotations

import _thread
import json
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from selfmm.core.errors import SelfmmError
from selfmm.core.files import discard_unfinished
from selfmm.core.jobs.worker import Event, Message
from selfmm.core.machine import collect_rarely

_GRACE = 2.0  # seconds to clean up; a long step notices the interrupt only at its end


class Parent:
    """Sends messages and gets events. Takes over standard output: what libraries print goes to standard error.

    Args:
        gone: called in a thread to end this process when the parent has ended; default: interrupt it, then kill it.
    """

    def __init__(self, gone: Callable[[], None] | None = None) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._gone = gone or self._interrupt
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def report(self, event: str, **content: Any) -> None:
        """Report an event."""
        self.send({"event": event, **content})

    def send(self, message: Message) -> None:
        """Send one JSON object."""
        self._write(json.dumps(message))

    def alive(self) -> None:
        """Give a sign of life."""
        self._write("")

    def receive(self) -> Event:
        """Wait for the next message; raise ``KeyboardInterrupt`` if the parent has ended."""
        message = self._messages.get()
        if message is None:
            raise KeyboardInterrupt
        return message

    def _write(self, line: str) -> None:
        with suppress(BrokenPipeError):  # the parent has ended, which the end of the input shows too
            self._out.write(line + "\n")
            self._out.flush()

    def _read(self) -> None:
        # Unbuffered: a thread that waits in sys.stdin would hold its lock when the interpreter ends.
        rest = b""
        while part := os.read(0, 65536):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._messages.put(json.loads(line))
        self._gone()

    def _interrupt(self) -> None:
        self._messages.put(None)
        _thread.interrupt_main()
        time.sleep(_GRACE)
        discard_unfinished()
        os._exit(130)


def work(do: Callable[[Parent], None]) -> int:
    """Run the job of a worker and return its exit code; report an error as the event ``failed``."""
    collect_rarely()
    parent = Parent()
    try:
        do(parent)
    except SelfmmError as error:
        parent.report("failed", message=str(error))
        return 1
    except KeyboardInterrupt:  # also the end of the input
        return 130
    except Exception as error:  # for example, a device is out of memory
        parent.report("failed", message=in_one_line(error))
        return 1
    return 0


def in_one_line(error: Exception) -> str:
    """Return the type and first line of an unexpected error."""
    first = (str(error).strip() or "no message").splitlines()[0][:300]
    return f"{type(error).__name__}: {first}"
