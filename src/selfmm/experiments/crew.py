"""The course of a search: trials asked for, trained here or in processes side by side, and taken down.

This process alone reads and writes the journal, so that there is nothing to lock and no order but that in which trials
end. The others train.
"""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from selfmm.core.errors import TrainingError
from selfmm.experiments.search import Search
from selfmm.experiments.study import Asked, Study
from selfmm.experiments.trial import Bench, Outcome
from selfmm.training.child import Child, environment
from selfmm.training.seed_pool import Plan

_FAILURES = 15  # in a row, after which it is not the single value that is wrong


class TuneListener(Protocol):
    """Is told how a search goes."""

    def planned(self, search: Search, trials: int, done: int, plan: Plan) -> None: ...

    def started(self, asked: Asked) -> None: ...

    def epoch(self, number: int, epoch: int, mae: float) -> None: ...

    def ended(self, number: int, outcome: Outcome) -> None: ...


class Unheard:
    """A listener that does nothing."""

    def planned(self, search: Search, trials: int, done: int, plan: Plan) -> None: ...

    def started(self, asked: Asked) -> None: ...

    def epoch(self, number: int, epoch: int, mae: float) -> None: ...

    def ended(self, number: int, outcome: Outcome) -> None: ...


@dataclass
class Course:
    """Until ``trials`` are complete or pruned.

    Attributes:
        study: asks and takes down.
        trials: how many there are to be in all.
        listener: is told how it goes.
        save: called when a trial has ended.
    """

    study: Study
    trials: int
    listener: TuneListener
    save: Callable[[], None]
    failures: int = 0

    @property
    def done(self) -> int:
        counts = self.study.counts()
        return counts["complete"] + counts["pruned"]

    def next(self) -> Asked | None:
        """A trial that has to be trained; None while those under way may be the last."""
        while self.done + self.study.counts()["running"] < self.trials:
            asked = self.study.ask()
            self.listener.started(asked)
            outcome = self.study.known(asked)
            if outcome is None:
                return asked
            self.end(asked.number, outcome)
        return None

    def heard(self, number: int, epoch: int, mae: float) -> bool:
        """Takes down an epoch; returns whether the trial may go on."""
        self.listener.epoch(number, epoch, mae)
        return self.study.heard(number, epoch, mae)

    def end(self, number: int, outcome: Outcome) -> None:
        """Takes down how a trial ended.

        Raises:
            TrainingError: nothing but failures any more.
        """
        self.study.tell(number, outcome)
        self.listener.ended(number, outcome)
        self.save()
        self.failures = self.failures + 1 if outcome.state == "failed" else 0
        if self.failures == _FAILURES:
            raise TrainingError(
                f"{_FAILURES} trials in a row failed, the last of them: {outcome.reason}\n"
                "Search other spaces or from other settings, with another `out=...`."
            )


def train_here(course: Course, bench: Bench) -> None:
    """One trial after the other, in this process."""
    while (asked := course.next()) is not None:
        course.end(asked.number, bench.run(asked.values, partial(course.heard, asked.number)))


class Crew:
    """Processes that train.

    Args:
        plan: how many, and what each may use.
        job: the first line that each reads.
        command: the process; a test may give another.
    """

    def __init__(
        self,
        plan: Plan,
        job: Mapping[str, Any],
        command: tuple[str, ...] = (sys.executable, "-P", "-m", "selfmm.experiments.tune_process"),
    ) -> None:
        self.plan = plan
        self.job = job
        self.command = list(command)
        self.workers: dict[int, Child] = {}
        self.trials: dict[int, int] = {}
        """Number of the trial that each busy one trains."""
        self._events: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        self._hired = 0

    def train(self, course: Course) -> None:
        """Trains to the end. However this ends, no process is left."""
        try:
            self._employ(course)
            while self.trials:
                worker, event = self._events.get()
                self._take(course, worker, event)
                self._employ(course)
        finally:
            for child in self.workers.values():
                child.let_go()
            for child in self.workers.values():
                child.stop()

    def _employ(self, course: Course) -> None:
        """Gives a trial to each that has none, as long as there are trials."""
        while len(self.trials) < self.plan.jobs and (asked := course.next()) is not None:
            idle = [worker for worker in self.workers if worker not in self.trials]
            worker = idle[0] if idle else self._hire()
            self.trials[worker] = asked.number
            self.workers[worker].say({"values": dict(asked.values)})

    def _hire(self) -> int:
        own, worker = environment(self.plan.threads), self._hired
        if self.plan.devices:
            own["CUDA_VISIBLE_DEVICES"] = self.plan.devices[worker % len(self.plan.devices)]
        self._hired += 1
        self.workers[worker] = Child(self.command, own, self.job)
        self.workers[worker].listen(lambda event: self._events.put((worker, event)))
        return worker

    def _take(self, course: Course, worker: int, event: dict[str, Any] | None) -> None:
        if event is None:
            reason = self.workers.pop(worker).end() or "its process ended before it"
            if worker in self.trials:
                course.end(self.trials.pop(worker), Outcome("failed", reason=reason))
        elif event["event"] == "broken":
            raise TrainingError(event["message"])
        elif event["event"] == "epoch":
            go_on = course.heard(self.trials[worker], event["epoch"], event["mae"])
            self.workers[worker].say({"go_on": go_on})
        else:
            course.end(self.trials.pop(worker), Outcome(**event["outcome"]))
