"""Runs tasks in workers, as many at once as cores and memory allow. A failed task does not stop the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

from selfmm.core.jobs.plan import Plan
from selfmm.core.jobs.template import Template, can_fork
from selfmm.core.jobs.worker import Event, Message, Worker, environment, stop
from selfmm.core.memory import Memory, fitting

Key = TypeVar("Key", bound=Hashable)


class Tasks(Generic[Key]):
    """The tasks of a pool. Subclasses define the tasks and handle the events of workers.

    A key names a task. An error in a method ends the pool.
    """

    def next(self) -> tuple[Key, Message] | None:
        """Return the key of the next task and the message to its worker; None if no task is ready."""
        raise NotImplementedError

    def event(self, key: Key, event: Event) -> Message | None:
        """Handle an event of a running task, and return the answer to send, if any."""
        raise NotImplementedError

    def ended(self, key: Key, result: Event, problem: str | None) -> None:
        """Handle the end of a task; ``problem`` is the reason if it failed."""
        raise NotImplementedError


class Pool(Generic[Key]):
    """Runs tasks in workers.

    The event ``done`` ends a task and is its result; ``failed`` has the ``message`` to use when the process then ends;
    ``memory`` in any event is the memory of the worker by place, see :class:`selfmm.core.memory.Memory`.

    Args:
        plan: number of tasks at once, and what each may use.
        command: the command that starts a worker.
        setup: the first message to each worker, which then does many tasks. With None, a worker does one task
            and ends, so that the memory it measures is that of this task alone.
        forks: a module from which to fork workers without a GPU, see :class:`selfmm.core.jobs.template.Template`, where
            that is possible; ``command`` runs the same module.
    """

    def __init__(
        self, plan: Plan, command: Sequence[str], setup: Message | None = None, *, forks: str | None = None
    ) -> None:
        self.plan = plan
        self.command = command
        self.setup = setup
        self._forks = forks if can_fork() and not plan.devices else None
        self._template: Template | None = None
        self.running: dict[Key, Worker] = {}
        """The worker of each running task, by its key."""
        # The first task shows how much memory one takes.
        self.room = 1 if plan.measured else plan.jobs
        self._devices: dict[Worker, str | None] = {}
        self._warming: set[Worker] = set()  # those that have yet to show what memory they take
        self._peaks: Counter[str] = Counter()
        self._inbox: SimpleQueue[tuple[Worker, Event | None]] = SimpleQueue()

    def run(self, tasks: Tasks[Key]) -> None:
        """Run all tasks. However this ends, no process is left."""
        try:
            self._feed(tasks)
            while self.running:
                self._handle(tasks, *self._inbox.get())
                self._feed(tasks)
        finally:
            stop(self._devices)
            if self._template is not None:
                self._template.close()

    def _feed(self, tasks: Tasks[Key]) -> None:
        while len(self.running) < self.room and (task := tasks.next()) is not None:
            key, message = task
            busy = set(self.running.values())
            idle = [worker for worker in self._devices if worker not in busy] if self.setup is not None else []
            self.running[key] = idle[0] if idle else self._start()
            self.running[key].send(message)

    def _start(self) -> Worker:
        variables, device = environment(self.plan.threads), None
        if self.plan.devices:
            taken = Counter(self._devices.values())
            device = min(self.plan.devices, key=lambda name: taken[name])
            variables["CUDA_VISIBLE_DEVICES"] = device
        if self._forks is not None and self._template is None:
            self._template = Template(self._forks, variables)
        worker = Worker(self.command, variables, self._inbox, template=self._template)
        self._devices[worker] = device
        self._warming.add(worker)
        if self.setup is not None:
            worker.send(self.setup)
        return worker

    def _handle(self, tasks: Tasks[Key], worker: Worker, event: Event | None) -> None:
        key = next((key for key, busy in self.running.items() if busy is worker), None)
        if event is None:
            self._end(tasks, key, worker)
        elif key is not None and event["event"] == "done":
            del self.running[key]
            tasks.ended(key, event, None)
        elif key is not None:
            if event["event"] == "failed":
                worker.failure = event["message"]
            if "memory" in event:
                self._measure(worker, {place: Memory(**memory) for place, memory in event["memory"].items()})
            answer = tasks.event(key, event)
            if answer is not None:
                worker.send(answer)

    def _measure(self, worker: Worker, memory: Mapping[str, Memory]) -> None:
        self._warming.discard(worker)
        if not self.plan.measured:
            return
        room = self.plan.jobs
        for place, now in memory.items():
            self._peaks[place] = max(self._peaks[place], now.peak)
            if place == "host" or len(self.plan.devices) == 1:  # if there are several devices, each has one task
                room = min(room, fitting(now.free, self._peaks[place], len(self.running), len(self._warming)))
        self.room = room

    def _end(self, tasks: Tasks[Key], key: Key | None, worker: Worker) -> None:
        problem = worker.problem()
        del self._devices[worker]
        self._warming.discard(worker)
        if key is not None:
            del self.running[key]
            if problem is None and self.setup is not None:
                problem = "its process ended before it was done"
            tasks.ended(key, {}, problem)
