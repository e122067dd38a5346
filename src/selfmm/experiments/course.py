"""The course of a search: trials are asked for, trained here or in workers side by side, and recorded.

This process alone reads and writes the journal, so nothing has to be locked, and the only order is that in which
trials end. Workers only train. (Optuna's own workers would each ask for trials from the journal themselves. Then what
a search tries would depend on how often it was resumed, equal trials would be trained twice, and nobody would see
that all trials fail.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from selfmm.core.errors import TrainingError
from selfmm.core.jobs.pool import Tasks
from selfmm.core.jobs.worker import Event, Message
from selfmm.core.listener import Listener
from selfmm.experiments.study import Asked, Study
from selfmm.experiments.trial import Bench, Outcome

_FAILURES = 15  # in a row, after which the values of single settings are not the cause


@dataclass
class Course(Tasks[int]):
    """Trials until ``trials`` are complete or pruned; as tasks of a pool, their keys are their numbers.

    Attributes:
        study: suggests and records trials.
        trials: how many there are to be in all.
        listener: is told how it goes.
        save: called when a trial has ended.
    """

    study: Study
    trials: int
    listener: Listener
    save: Callable[[], None]
    failures: int = 0

    @property
    def complete(self) -> int:
        """How many trials are complete or pruned."""
        counts = self.study.counts()
        return counts["complete"] + counts["pruned"]

    def ask(self) -> Asked | None:
        """Return a trial that has to be trained; None while the running ones may be the last."""
        while self.complete + self.study.counts()["running"] < self.trials:
            asked = self.study.ask()
            self.listener.trial_started(asked)
            outcome = self.study.known(asked)
            if outcome is None:
                return asked
            self.end(asked.number, outcome)
        return None

    def heard(self, number: int, epoch: int, mae: float) -> bool:
        """Record an epoch; return whether the trial may go on."""
        self.listener.trial_epoch(number, epoch, mae)
        return self.study.heard(number, epoch, mae)

    def end(self, number: int, outcome: Outcome) -> None:
        """Record how a trial ended.

        Raises:
            TrainingError: if too many trials in a row failed.
        """
        self.study.tell(number, outcome)
        self.listener.trial_ended(number, outcome)
        self.save()
        self.failures = self.failures + 1 if outcome.state == "failed" else 0
        if self.failures == _FAILURES:
            raise TrainingError(
                f"{_FAILURES} trials in a row failed, the last of them: {outcome.reason}\n"
                "Search other spaces or start from other settings, with another `out=...`."
            )

    def next(self) -> tuple[int, Message] | None:
        asked = self.ask()
        return None if asked is None else (asked.number, {"values": dict(asked.values)})

    def event(self, key: int, event: Event) -> Message:
        if event["event"] == "failed":  # the cause is not the trial
            raise TrainingError(event["message"])
        return {"go_on": self.heard(key, event["epoch"], event["mae"])}

    def ended(self, key: int, result: Event, problem: str | None) -> None:
        self.end(key, Outcome(**result["outcome"]) if problem is None else Outcome("failed", reason=problem))


def train_here(course: Course, bench: Bench) -> None:
    """Train one trial after the other in this process."""
    while (asked := course.ask()) is not None:
        course.end(asked.number, bench.run(asked.values, partial(course.heard, asked.number)))
