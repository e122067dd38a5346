"""Scores in worker processes: the server itself loads no model and opens no recording.

A worker keeps the runs that it used last in memory. A worker that crashes or takes too long is replaced, and only its
current task fails. When the server ends, for whatever reason, the standard input of the workers closes, and they end.

Sentences go before recordings, and sentences that wait for the same run are scored together.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from selfmm.app.errors import BusyError, ScoringError, StoppingError

_END = 5.0  # seconds that a worker has to end
_PAUSE = 5.0  # seconds to wait after a worker could not be started
_PATIENCE = 20.0  # seconds that a recording waits while sentences go first
_TOGETHER = 64  # largest number of sentences in one call of a model
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # on a busy machine, several threads make a sentence ten times slower
    "PYTHONSAFEPATH": "1",  # never import a file of the current folder
    "HF_HUB_OFFLINE": "1",  # scoring needs no network
}
_SECRET = "SELFMM_TOKEN"
_COMMAND = (sys.executable, "-m")  # the module follows

Event = Mapping[str, Any]


@dataclass(eq=False)
class Task:
    """A request to a worker.

    Attributes:
        request: what to do, see :mod:`selfmm.app.worker`.
        on_event: called in a thread with every event of the worker, in order.
        on_over: called in a thread when the task is over.
        status: its state.
        error, error_kind: why it failed, in a sentence; and the kind, see :class:`selfmm.app.errors.ScoringError`.
    """

    request: Mapping[str, Any]
    on_event: Callable[[Event], None] = lambda event: None
    on_over: Callable[[], None] = lambda: None
    status: Literal["waiting", "running", "finished", "failed", "cancelled"] = "waiting"
    error: str = ""
    error_kind: str = ""
    began: float = field(default_factory=time.monotonic)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: Callable[[], None] | None = None  # while a worker is busy with this task alone

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the task is over, and return whether it is."""
        return self._over.wait(timeout)

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def cancel(self) -> None:
        """Stop the task, and replace the worker if it is working on it."""
        with self._lock:
            if self.over:
                return
            self.status = "cancelled"
            if self._stop is not None:
                self._stop()
        self._end("cancelled")

    def raise_error(self) -> None:
        """Raise ``ScoringError`` if the task failed."""
        if self.status == "failed":
            raise ScoringError(self.error, self.error_kind)

    def _begin(self, stop: Callable[[], None] | None) -> bool:
        """Mark the task as running; return False if it was cancelled."""
        with self._lock:
            if self.over:
                return False
            self.status, self._stop = "running", stop
            return True

    def _end(self, status: Literal["finished", "failed", "cancelled"], error: str = "", kind: str = "") -> None:
        with self._lock:
            self._stop = None
            if self.over:
                return
            if self.status != "cancelled":
                self.status, self.error, self.error_kind = status, error, kind
            self._over.set()
        self.on_over()

    @property
    def _texts(self) -> Sequence[str]:
        texts: Sequence[str] = self.request.get("text", ())
        return texts

    @property
    def _short(self) -> bool:
        """Whether it takes less than a second."""
        return bool(self._texts) or "sentences" in self.request

    def _fits(self, other: Task) -> bool:
        """Return whether the sentences of both can be scored together."""
        mine, theirs = ({**task.request, "text": bool(task._texts)} for task in (self, other))
        return bool(self._texts) and mine == theirs and not self.request.get("options", {}).get("explain")


class Scoring:
    """A queue of tasks, and the workers that do them.

    Args:
        workers: number of processes. Each holds its models: about 1.3 GB with the starter.
        waiting: number of tasks that may wait.
        timeout: seconds that one task may take.
        first: request that every new worker answers before it takes tasks, so that a run is loaded by then. Without it,
            workers start when they are needed.
        module: the program of a worker.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        waiting: int = 32,
        timeout: float = 3600.0,
        first: Mapping[str, Any] | None = None,
        module: str = "selfmm.app.worker",
    ) -> None:
        self.workers, self.timeout, self.most_waiting = workers, timeout, waiting
        self._first, self._module = first, module
        self._changed = threading.Condition()
        self._queue: list[Task] = []
        self._idle = 0  # processes that wait for work
        self._running: list[list[Task]] = []  # what each busy process does
        self._open, self._ended = True, False
        self.hurried = False  # whether the server is to end without finishing what it accepted
        self._ready: list[str] = []  # the problem of each worker that was started first, or ""
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> Task:
        """Add a task to the queue and return it.

        Raises:
            BusyError: if the queue is full.
            StoppingError: if the server is about to end.
        """
        with self._changed:
            self.check()
            self._queue.append(task)
            self._changed.notify_all()
        return task

    def check(self) -> None:
        """Raise the error that :meth:`submit` would raise now; call it before you receive an upload."""
        if not self._open:
            raise StoppingError("The server is shutting down. Try again later.")
        with self._changed:  # a task is always in exactly one of the two
            full = self.waiting + self.running >= self.workers + self.most_waiting
        if full:
            raise BusyError("Too many requests are waiting to be scored. Try again later.")

    @property
    def waiting(self) -> int:
        """The number of tasks that wait."""
        with self._changed:
            return sum(not task.over for task in self._queue)

    @property
    def running(self) -> int:
        """The number of tasks that workers are doing."""
        with self._changed:
            return sum(not task.over for group in self._running for task in group)

    @property
    def stopping(self) -> bool:
        """Whether no more tasks are accepted."""
        return not self._open

    def wait_until_ready(self) -> None:
        """Wait until every worker has answered the first request.

        Raises:
            ScoringError: if one could not.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._first is None or len(self._ready) >= self.workers)
        for problem in filter(None, self._ready):
            raise ScoringError(problem, "CrashError")

    def stop(self, *, hurry: bool = False) -> None:
        """Accept no more tasks; those that were accepted continue, unless there is a ``hurry``."""
        self._open = False
        self.hurried = self.hurried or hurry

    def close(self, patience: float = 10.0) -> None:
        """Finish the tasks that are running, within ``patience`` seconds; cancel those that wait."""
        with self._changed:
            self._open, self._ended = False, True
            waiting, self._queue = self._queue, []
            self._changed.notify_all()
        for task in waiting:
            task.cancel()
        deadline = time.monotonic() + patience
        for task in [task for group in list(self._running) for task in group]:
            if not task.wait(max(deadline - time.monotonic(), 0.0)):
                task.cancel()
        for thread in self._threads:
            thread.join(_END)

    def _take(self, done: list[Task], *, loaded: bool) -> list[Task]:
        """Wait for work, and return the tasks to do next: one, or several with sentences; none at the end.

        Args:
            done: the tasks that this thread took before.
            loaded: whether this thread has a process. If not, it takes work only while all processes are busy.
        """
        with self._changed:
            if done:
                self._running.remove(done)
            self._idle += loaded
            while True:
                self._queue = [task for task in self._queue if not task.over]
                ending = any(all(task.over for task in group) for group in self._running)  # idle in a moment
                if self._queue and (loaded or not (self._idle or ending)):
                    break
                if self._ended:
                    return []
                self._changed.wait()
            self._idle -= loaded
            self._changed.notify_all()  # if more tasks wait, one may need a new process
            first = self._queue[0]
            if time.monotonic() - first.began < _PATIENCE:
                first = next((task for task in self._queue if task._short), first)
            group = [first]
            for task in self._queue:
                if task is not first and first._fits(task):
                    if sum(len(member._texts) for member in [*group, task]) > _TOGETHER:
                        break
                    group.append(task)
            self._queue = [task for task in self._queue if task not in group]
            self._running.append(group)
            return group

    def _work(self) -> None:
        worker = self._warm() if self._first is not None else None
        group: list[Task] = []
        while group := self._take(group, loaded=worker is not None):
            try:
                if worker is not None and not worker.alive:  # it was killed while it was idle
                    worker.kill()
                    worker = None
                worker = worker or _Worker(self._module)
                self._run(group, worker)
            except Exception as error:  # no process can be started, or a callback failed in the middle of a task
                for task in group:
                    task._end("failed", f"{type(error).__name__}: {error}"[:300], "CrashError")
                if worker is not None:
                    worker.kill()
            if worker is not None and not worker.alive:
                worker.kill()  # and reap
                worker = self._replaced() if self._first is not None else None
        if worker is not None:
            worker.close()

    def _replaced(self) -> _Worker | None:
        """Return a new warm worker; None, after a pause, if it cannot be started.

        Without the pause, this thread would take, and fail, tasks that the other workers could do.
        """
        worker = None if self._ended else self._warm()
        if worker is None:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, _PAUSE)
        return worker

    def _warm(self) -> _Worker | None:
        """Return a worker that has answered the first request; None if it could not."""
        problem = "The process that scores ended during its start; see its messages above."
        worker = None
        try:
            worker = _Worker(self._module)
            with self._limited(worker):
                for event in worker.ask(self._first or {}):
                    if event.get("over") or "error" in event:
                        problem = str(event.get("error", ""))
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"[:300]
        if problem and worker is not None:
            worker.kill()
            worker = None
        with self._changed:
            self._ready.append(problem)
            self._changed.notify_all()
        return worker

    def _run(self, group: list[Task], worker: _Worker) -> None:
        """Let a worker do the tasks, and end each of them."""
        alone = len(group) == 1
        begun = [task for task in group if task._begin(worker.kill_now if alone else None)]
        if not begun:
            return
        with self._limited(worker) as late:
            error, kind = self._follow(begun, worker)
        if kind is None:
            for task in begun:
                task._end("finished")
        elif kind == "SourceError" and not alone:  # one sentence was refused: find out which
            for task in begun:
                self._run([task], worker)
        else:
            if late.is_set():
                error, kind = f"Scoring took longer than {self.timeout:g} s. Send less at once.", "TimeoutError"
            for task in begun:
                task._end("failed", error, kind)
        if late.is_set() or (alone and begun[0].status == "cancelled"):
            worker.kill()  # the signal may be on its way: the worker takes no further task

    @contextmanager
    def _limited(self, worker: _Worker) -> Iterator[threading.Event]:
        """Kill a worker that takes too long; the event says whether it did."""
        late = threading.Event()

        def expire() -> None:
            late.set()
            worker.kill_now()

        clock = threading.Timer(self.timeout, expire)
        clock.daemon = True
        clock.start()
        try:
            yield late
        finally:
            clock.cancel()
            clock.join()

    def _follow(self, tasks: Sequence[Task], worker: _Worker) -> tuple[str, str | None]:
        """Send tasks to a worker as one and pass on its events; return the error and its kind, None if it has none."""
        request = dict(tasks[0].request)
        if len(tasks) > 1:
            request["text"] = [text for task in tasks for text in task._texts]
        places = ((task, place) for task in tasks for place in range(1, len(task._texts) + 1))
        for event in worker.ask(request):
            if "error" in event:
                return str(event["error"]), str(event.get("kind", ""))
            if event.get("over"):
                return "", None
            if len(tasks) == 1:
                tasks[0].on_event(event)
            elif "prediction" in event:
                task, place = next(places)
                if not task.over:
                    task.on_event({**event, "prediction": {**event["prediction"], "id": f"text_{place}"}})
        return worker.epitaph(), "CrashError"


class _Worker:
    """A process of :mod:`selfmm.app.worker`, or of another module with the same protocol."""

    def __init__(self, module: str) -> None:
        environment = {**_ENVIRONMENT, **os.environ}
        environment.pop(_SECRET, None)
        self._process = subprocess.Popen(
            [*_COMMAND, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal ends the server, which finishes what is running
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any]) -> Iterator[Event]:
        """Send a request, and yield the events that answer it; the last one has ``error`` or ``over``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:  # it has ended
            return
        for line in self._process.stdout:
            event = json.loads(line)
            yield event
            if "error" in event or event.get("over"):
                return

    def epitaph(self) -> str:
        """Return how the process ended, in a sentence."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        code = self._process.returncode
        if code == -signal.SIGKILL:
            return "The process that scores was killed, perhaps because memory ran out. Send less at once."
        return f"The process that scores ended unexpectedly (code {code}). Try again, or send less at once."

    def kill_now(self) -> None:
        """Kill the process without waiting for its end."""
        with suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        self.kill_now()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()

    def close(self) -> None:
        """End the process, which has no task."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        self.kill()
