"""Scores in worker processes: the server itself loads no model and opens no recording.

A worker keeps the runs that it used last in memory. One that crashes, or that takes too long, is replaced; only the
task it was working on fails. Workers end with the server, however it ends, because their standard input closes.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from selfmm.app.errors import BusyError

_END = 5.0  # seconds that a worker has to end

Event = Mapping[str, Any]


@dataclass(eq=False)
class Task:
    """A request to a worker.

    Attributes:
        request: what to do, see :mod:`selfmm.app.worker`.
        on_event: called in a thread with every event of the worker, in order.
        status: how far it is.
        error: why it failed, a sentence, and its kind, the name of an exception of :mod:`selfmm.api`.
    """

    request: Mapping[str, Any]
    on_event: Callable[[Event], None] = lambda event: None
    status: Literal["waiting", "running", "finished", "failed", "cancelled"] = "waiting"
    error: str = ""
    error_kind: str = ""
    began: float = field(default_factory=time.monotonic)
    _over: threading.Event = field(default_factory=threading.Event)
    _worker: _Worker | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the task is over, and return whether it is."""
        return self._over.wait(timeout)

    def cancel(self) -> None:
        """Stop the task. A worker that is working on it is replaced."""
        if self._over.is_set():
            return
        self.status = "cancelled"
        if self._worker is not None:
            self._worker.kill()

    def _end(self, status: Literal["finished", "failed"], error: str = "", kind: str = "") -> None:
        if self.status != "cancelled":
            self.status, self.error, self.error_kind = status, error, kind
        self._over.set()


class Scoring:
    """A queue of tasks, and the workers that take them.

    Args:
        workers: number of processes. Each holds its models: about 1.3 GB with the starter.
        waiting: number of tasks that may wait.
        timeout: seconds that one task may take.
        module: the program of a worker.
    """

    def __init__(
        self, *, workers: int = 1, waiting: int = 32, timeout: float = 3600.0, module: str = "selfmm.app.worker"
    ) -> None:
        self.workers, self.timeout, self._module = workers, timeout, module
        self._queue: queue.Queue[Task | None] = queue.Queue(waiting)
        self._running: set[Task] = set()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        self._open = True
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> Task:
        """Put a task into the queue and return it.

        Raises:
            BusyError: if the queue is full, or the server is about to end.
        """
        if not self._open:
            raise BusyError("The server is about to end.")
        try:
            self._queue.put_nowait(task)
        except queue.Full:
            raise BusyError("Too many recordings are waiting to be scored. Try again in a while.") from None
        return task

    @property
    def waiting(self) -> int:
        """The number of tasks that wait."""
        return self._queue.qsize()

    @property
    def running(self) -> int:
        """The number of tasks that are being worked on."""
        return len(self._running)

    def close(self, patience: float = 10.0) -> None:
        """Finish the tasks that are running, within ``patience`` seconds; cancel those that wait."""
        self._open = False
        with suppress(queue.Empty):
            while True:
                if (task := self._queue.get_nowait()) is not None:
                    task.cancel()
                    task._end("failed")
        deadline = time.monotonic() + patience
        for task in list(self._running):
            if not task.wait(max(deadline - time.monotonic(), 0.0)):
                task.cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(_END)

    def _work(self) -> None:
        worker: _Worker | None = None
        while (task := self._queue.get()) is not None:
            if task.status == "cancelled":
                task._end("failed")
                continue
            if worker is None or not worker.alive:
                worker = _Worker(self._module)
            self._running.add(task)
            task.status, task._worker = "running", worker
            clock = threading.Timer(self.timeout, worker.kill)
            clock.daemon = True
            clock.start()
            began = time.monotonic()
            try:
                self._follow(task, worker)
            except Exception as error:  # of a callback; the worker may be in the middle of the task
                worker.kill()
                task._end("failed", f"{type(error).__name__}: {error}"[:300], "SelfmmError")
            finally:
                clock.cancel()
                self._running.discard(task)
            if not task._over.is_set():
                late = time.monotonic() - began >= self.timeout
                why = f"Scoring took longer than {self.timeout:g} s" if late else "The process that scores ended"
                task._end("failed", f"{why}. Try a shorter recording.", "TimeoutError" if late else "SelfmmError")
        if worker is not None:
            worker.close()

    def _follow(self, task: Task, worker: _Worker) -> None:
        """Send a task to a worker and pass on its events, until the task is over or the worker ends."""
        for event in worker.ask(task.request):
            if "error" in event:
                task._end("failed", str(event["error"]), str(event.get("kind", "")))
            elif event.get("over"):
                task._end("finished")
            else:
                task.on_event(event)


class _Worker:
    """A process of :mod:`selfmm.app.worker`, or of another module with the same manners."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C in the terminal ends the server, which finishes what is running
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Send a request, and yield the events that answer it; the last one has ``error`` or ``over``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:  # it ended while it was idle
            return
        for line in self._process.stdout:
            event = json.loads(line)
            yield event
            if "error" in event or event.get("over"):
                return

    def kill(self) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)

    def close(self) -> None:
        """End the process, which has no task."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self.kill()
