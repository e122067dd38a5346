"""Trainings side by side: one process each, as many at once as cores and memory allow, and none outlives its parent.

Processes, not one batched model: seeds stop at different epochs, a model stays the plain one, and each run's numbers
are those of a training of its own. A process that dies takes no other with it.
"""

from __future__ import annotations

import queue
import sys
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from selfmm.core.errors import SettingsError
from selfmm.core.memory import Memory, fitting
from selfmm.training.child import Child, environment
from selfmm.training.trainer import EpochRecord

Key = TypeVar("Key", bound=Hashable)
Told = TypeVar("Told", contravariant=True)


@dataclass(frozen=True)
class Plan:
    """How trainings share a machine.

    Attributes:
        jobs: at most so many at once.
        threads: of each, on the CPU. They do not depend on the memory at hand, since the last bits of a result do on
            them.
        devices: what ``CUDA_VISIBLE_DEVICES`` calls the GPUs; empty without one.
        measured: whether memory decides how many of ``jobs`` run at once; else all do, unasked.
    """

    jobs: int
    threads: int
    devices: tuple[str, ...] = ()
    measured: bool = True


def make_plan(seeds: int, jobs: int | None, cores: int, threads: int, devices: Sequence[str] = ()) -> Plan:
    """A process per core, or per device where there are several; ``jobs`` overrules that.

    Args:
        seeds: how many.
        jobs: as many at once as the user says; None to choose.
        cores: that this process may use.
        threads: of a single training.
        devices: GPUs.

    Raises:
        SettingsError: ``jobs`` is below 1.
    """
    if jobs is not None and jobs < 1:
        raise SettingsError([f"jobs = {jobs}: give 1 or more, or leave it away to have it chosen"])
    most = min(seeds, jobs or (len(devices) if len(devices) > 1 else cores))
    return Plan(most, max(1, min(threads, cores // most)), tuple(devices), measured=jobs is None)


class PoolListener(Protocol[Told]):
    """Is told how the trainings go."""

    def planned(self, plan: Plan, waiting: Sequence[Told], finished: Sequence[Told]) -> None: ...

    def started(self, key: Told, max_epochs: int, done: int) -> None: ...

    def epoch(self, key: Told, record: EpochRecord) -> None: ...

    def ended(self, key: Told, problem: str | None) -> None: ...


SeedListener = PoolListener[int]


class Unheard(Generic[Key]):
    """A listener that does nothing."""

    def planned(self, plan: Plan, waiting: Sequence[Key], finished: Sequence[Key]) -> None: ...

    def started(self, key: Key, max_epochs: int, done: int) -> None: ...

    def epoch(self, key: Key, record: EpochRecord) -> None: ...

    def ended(self, key: Key, problem: str | None) -> None: ...


class Pool(Generic[Key]):
    """Runs a process per training; a key tells them apart, a seed for example.

    Args:
        plan: how many at once, and what each may use.
        job: what :mod:`selfmm.training.seed_process` reads, by key.
        listener: is told how they go.
        command: the process; a test may give another.
    """

    def __init__(
        self,
        plan: Plan,
        job: Callable[[Key], Mapping[str, Any]],
        listener: PoolListener[Key],
        command: Sequence[str] = (sys.executable, "-P", "-m", "selfmm.training.seed_process"),
    ) -> None:
        self.plan = plan
        self.job = job
        self.listener = listener
        self.command = list(command)
        self.running: dict[Key, _Process] = {}
        # The first one tells what a training takes.
        self.room = 1 if plan.measured else plan.jobs
        self._events: queue.Queue[tuple[Key, dict[str, Any] | None]] = queue.Queue()
        self._peaks: Counter[str] = Counter()
        self._failed: dict[Key, str] = {}

    def run(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Runs all; returns why each that failed did. However this ends, no process is left."""
        waiting = deque(keys)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.room:
                    self._start(waiting.popleft())
                key, event = self._events.get()
                if event is None:
                    self._end(key)
                else:
                    self._take(key, event)
        finally:
            for process in self.running.values():
                process.let_go()
            for process in self.running.values():
                process.stop()
        return self._failed

    def _start(self, key: Key) -> None:
        own, device = environment(self.plan.threads), None
        if self.plan.devices:
            taken = Counter(process.device for process in self.running.values())
            device = min(self.plan.devices, key=lambda name: taken[name])
            own["CUDA_VISIBLE_DEVICES"] = device
        self.running[key] = _Process(self.command, own, device, self.job(key))
        self.running[key].listen(lambda event: self._events.put((key, event)))

    def _take(self, key: Key, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            self.listener.started(key, event["max_epochs"], event["done"])
        elif event["event"] == "failed":
            self.running[key].problem = event["message"]
        else:
            self.running[key].warming = False
            if self.plan.measured:
                self._measure({place: Memory(**found) for place, found in event["memory"].items()})
            self.listener.epoch(key, EpochRecord(**event["record"]))

    def _measure(self, memory: Mapping[str, Memory]) -> None:
        warming = sum(process.warming for process in self.running.values())
        room = self.plan.jobs
        for place, found in memory.items():
            self._peaks[place] = max(self._peaks[place], found.peak)
            if place == "host" or len(self.plan.devices) == 1:  # of several devices, each has one training
                room = min(room, fitting(found.free, self._peaks[place], len(self.running), warming))
        self.room = room

    def _end(self, key: Key) -> None:
        problem = self.running[key].end()
        del self.running[key]
        if problem is not None:
            self._failed[key] = problem
        self.listener.ended(key, problem)


class _Process(Child):
    """One training's process: on which device it is, and whether it has yet to show what memory it takes."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], device: str | None, job: Mapping[str, Any]
    ) -> None:
        super().__init__(command, environment, job)
        self.device = device
        self.warming = True
