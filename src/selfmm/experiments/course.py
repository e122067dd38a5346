"""The course of a search: trials are suggested, trained here or in parallel workers, and recorded.

Only this process reads and writes the journal, so it needs no lock, and only the order in which trials end matters.
Workers only train. (Optuna's own workers would each take trials from the journal. Then the values tried would depend on
how often the search was resumed, equal trials would be trained twice, and nothing would notice that all trials fail.)
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
from selfmm.experiments.trial import Outcome, TrialTrainer

_FAILURES = 15  # in a row; that many are not caused by the values of single settings


@dataclass
class Course(Tasks[int]):
    """Trials until ``trials`` are complete or pruned; as tasks of a pool, their keys are their numbers.

    Attributes:
        study: suggests and records trials.
        trials: total number of complete or pruned trials.
        listener: receives the progress.
        save: called after each trial.
        failures: number of trials that failed in a row.
    """

    study: Study
    trials: int
    listener: Listener
    save: Callable[[], None]
    failures: int = 0

    @property
    def complete(self) -> int:
        """Number of complete or pruned trials."""
        counts = self.study.counts()
        return counts["complete"] + counts["pruned"]

    def ask(self) -> Asked | None:
        """Return the next trial to train; None while the running ones may be the last."""
        while self.complete + self.study.counts()["running"] < self.trials:
            asked = self.study.ask()
            self.listener.trial_started(asked)
            outcome = self.study.known(asked)
            if outcome is None:
                return asked
            self.end(asked.number, outcome)
        return None

    def record_epoch(self, number: int, epoch: int, mae: float) -> bool:
        """Record an epoch of a trial, and return whether the trial should continue."""
        self.listener.trial_epoch(number, epoch, mae)
        return self.study.record_epoch(number, epoch, mae)

    def end(self, number: int, outcome: Outcome) -> None:
        """Record the outcome of a trial.

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
        return {"go_on": self.record_epoch(key, event["epoch"], event["mae"])}

    def ended(self, key: int, result: Event, problem: str | None) -> None:
        self.end(key, Outcome(**result["outcome"]) if problem is None else Outcome("failed", reason=problem))


def train_here(course: Course, trainer: TrialTrainer) -> None:
    """Train one trial after the other in this process."""
    while (asked := course.ask()) is not None:
        course.end(asked.number, trainer.run(asked.values, partial(course.record_epoch, asked.number)))
