"""Several trainings in parallel, each in its own process.

They are not one batched model, because runs stop at different epochs and each must get the figures that it gets alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selfmm.config.settings import Settings
from selfmm.core.errors import WeightsError
from selfmm.core.folders import sweep
from selfmm.core.jobs.plan import Plan
from selfmm.core.jobs.pool import Key, Pool, Tasks
from selfmm.core.jobs.worker import Event, Message, module
from selfmm.core.listener import Listener
from selfmm.core.machine import why_slow
from selfmm.data.store import Dataset
from selfmm.models.assembly import chosen_modalities, reads_words
from selfmm.models.text import check_on_hand
from selfmm.runs.folder import RunFolder
from selfmm.training.run import Run
from selfmm.training.trainer import EpochRecord

_SHARED = ".frozen"
_WORKER = "selfmm.training.run_worker"


@dataclass
class Trainings(Tasks[Key]):
    """Trainings as tasks of a pool: a message to :mod:`selfmm.training.run_worker` for each, and why some failed."""

    waiting: dict[Key, Message]
    listener: Listener
    problems: dict[Key, str] = field(default_factory=dict)

    def next(self) -> tuple[Key, Message] | None:
        key = next(iter(self.waiting), None)
        return None if key is None else (key, self.waiting.pop(key))

    def event(self, key: Key, event: Event) -> None:
        if event["event"] == "started":
            self.listener.run_started(key, event["max_epochs"], event["done"])
        elif event["event"] == "epoch":
            self.listener.run_epoch(key, EpochRecord(**event["record"]))
        elif event["event"] == "finishing":
            self.listener.run_finishing(key, event["stage"], event["done"], event["total"])

    def ended(self, key: Key, result: Event, problem: str | None) -> None:
        if problem is not None:
            self.problems[key] = problem
        self.listener.run_ended(key, problem)


def train_several(
    dataset: Dataset,
    settings: Mapping[Key, Settings],
    runs: Mapping[Key, RunFolder],
    plan: Plan,
    shared: Path,
    *,
    resume: bool,
    listener: Listener,
) -> dict[Key, str]:
    """Train the runs that are not finished; return, by key, why a run has no result.

    Args:
        settings, runs: settings and folder of each run, by key.
        shared: a folder that contains all runs; a hidden folder in it holds weights that they share.
    """
    finished = [key for key in runs if Run(dataset, settings[key], runs[key], Listener()).finished(resume=resume)]
    waiting: Sequence[Key] = [key for key in runs if key not in finished]
    listener.runs_planned(plan, waiting, finished)
    if waiting and not plan.devices and (warning := why_slow(plan.threads, plan.jobs)):
        listener.note(warning)
    problems = _without_encoder(dataset, {key: settings[key] for key in waiting})
    if not finished and len(problems) == len(waiting) > 0:
        raise WeightsError(next(iter(problems.values())))
    sweep(shared / _SHARED)
    common = {"data": str(dataset.path.resolve()), "shared": str(shared.resolve() / _SHARED)}
    trainings = Trainings(
        {
            key: {**common, "out": str(runs[key].path.resolve()), "settings": settings[key].model_dump(mode="json")}
            for key in waiting
            if key not in problems
        },
        listener,
    )
    for key, problem in problems.items():
        trainings.ended(key, {}, problem)
    Pool[Key](plan, module(_WORKER), forks=_WORKER).run(trainings)
    return {key: trainings.problems[key] for key in runs if key in trainings.problems}  # they end in any order


def _without_encoder(dataset: Dataset, settings: Mapping[Key, Settings]) -> dict[Key, str]:
    """Return, by key, why the text encoder of a training cannot be loaded. Each is looked for once."""
    encoders = {key: of.text.encoder for key, of in settings.items() if reads_words(chosen_modalities(dataset, of))}
    problems = {}
    for name in set(encoders.values()):
        try:
            check_on_hand(name)
        except WeightsError as error:
            problems[name] = str(error)
    return {key: problems[name] for key, name in encoders.items() if name in problems}
