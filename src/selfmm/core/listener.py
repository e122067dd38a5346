"""A listener for everything that takes a while: it receives the progress, for example to show a bar."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from selfmm.core.jobs.plan import Plan


class Listener:
    """Receives the progress of work. Every method but ``note`` does nothing; override those you need.

    The types that belong to higher layers are named here, but not imported.
    """

    def note(self, line: str) -> None:
        """There is something to know before the work starts; by default, a Python warning."""
        warnings.warn(line, stacklevel=4)

    # One training: selfmm.train.

    def chose(self, reason: str) -> None:
        """The user named no model; ``reason`` says which one was chosen, and why."""

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        """Training starts, with ``steps`` per epoch; ``done`` epochs were trained before an interruption."""

    def step(self) -> None:
        """The optimizer made a step."""

    def epoch(self, record: Any) -> None:
        """An epoch is over; ``record`` is its :class:`selfmm.training.trainer.EpochRecord`."""

    def finishing(self, stage: str, done: int = 0, total: int = 0) -> None:
        """The epochs are over, and the rest has reached a stage, in a few words for people to read.

        ``done`` of ``total`` clips are over; both are 0 if the stage has no such parts.
        """

    # Several trainings: selfmm.train_seeds, compare and ablate. A key names a run: a seed, or a RunKey.

    def runs_planned(self, plan: Plan, waiting: Sequence[Any], finished: Sequence[Any]) -> None:
        """Training starts, for the keys of the runs to train and of those that were finished before."""

    def run_started(self, key: Any, max_epochs: int, done: int) -> None:
        """A run starts, or resumes after ``done`` epochs."""

    def run_epoch(self, key: Any, record: Any) -> None:
        """A run finished an epoch; see :meth:`epoch`."""

    def run_finishing(self, key: Any, stage: str, done: int, total: int) -> None:
        """The epochs of a run are over; see :meth:`finishing`."""

    def run_ended(self, key: Any, problem: str | None) -> None:
        """A run ended; ``problem`` is the reason if it failed."""

    # Trials: selfmm.tune.

    def trials_planned(self, search: Any, trials: int, done: int, plan: Plan) -> None:
        """A :class:`selfmm.experiments.search.Search` starts, for ``trials`` of which ``done`` are over."""

    def trial_started(self, asked: Any) -> None:
        """A trial starts; ``asked`` is its :class:`selfmm.experiments.study.Asked`."""

    def trial_epoch(self, number: int, epoch: int, mae: float) -> None:
        """A trial finished an epoch with this validation MAE."""

    def trial_ended(self, number: int, outcome: Any) -> None:
        """A trial ended; ``outcome`` is its :class:`selfmm.experiments.trial.Outcome`."""

    # Recordings: selfmm.predict_each. While one is scored, another thread may report on the next.

    def stage(self, clip: Any, name: str) -> None:
        """Work on a :class:`selfmm.features.clips.clip.Clip` reached a stage, in a few words for people to read."""

    def reading(self, clip: Any, seconds: float, total: float | None) -> None:
        """This part of a recording is read; ``total`` is its length, None if the file does not say it."""

    def scored(self, clip: Any, prediction: Any) -> None:
        """The scores of a clip are known, but not their explanation, which takes longer."""

    # Clips: selfmm.extract.

    def clips_planned(self, clips: int) -> None:
        """Extraction of this number of clips starts."""

    def clip(self, clip: Any, kept: bool, problem: str | None) -> None:
        """A :class:`selfmm.features.clips.clip.Clip` is done.

        ``kept``: whether it had been extracted before. ``problem``: why it could not be extracted, if so.
        """
