"""A grid of trainings, cases times seeds, in one folder: what a comparison and an ablation are made of.

=========================== ======================================================================
file                        content
=========================== ======================================================================
<case>/seed-<seed>/         the run folder of each training, see :mod:`selfmm.runs.folder`
=========================== ======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import SelfmmError, SettingsError
from selfmm.core.folders import claim, only_one
from selfmm.core.jobs.plan import Plan, machine_plan
from selfmm.core.listener import Listener
from selfmm.core.processes import refuse_launcher
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.models import find_model
from selfmm.models.assembly import assemble, check_device, chosen_modalities
from selfmm.models.base import label_source
from selfmm.models.needs import check_needs
from selfmm.runs.folder import RunFolder
from selfmm.training.objective import check_trainable, human_labels
from selfmm.training.seeds import run_figures
from selfmm.training.several import train_several

_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=,-]{0,99}")


@dataclass(frozen=True)
class Case:
    """One line of a table.

    Attributes:
        name: of the case, and of its folder.
        settings: of its trainings; their seed does not count.
    """

    name: str
    settings: Settings

    def __post_init__(self) -> None:
        if not _CASE.fullmatch(self.name):
            raise SettingsError(
                [f"{self.name!r} names no case: take letters, digits and _ . + = , - , at most 100, a letter first"]
            )


class RunKey(NamedTuple):
    """Which training of a grid."""

    case: str
    seed: int

    def __str__(self) -> str:
        return f"{self.case} {self.seed}"


@dataclass(frozen=True)
class Grid:
    """What a grid came to.

    Attributes:
        folder: holds a folder per case.
        cases: in the order given.
        seeds: of each case.
        runs: the finished ones.
        failed: why each other one has no result.
        plan: how they shared the machine.
    """

    folder: Path
    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    runs: Mapping[RunKey, RunFolder]
    failed: Mapping[RunKey, str]
    plan: Plan

    def of(self, case: str) -> dict[int, RunFolder]:
        """The finished runs of a case by seed."""
        return {key.seed: run for key, run in self.runs.items() if key.case == case}

    @cached_property
    def figures(self) -> dict[RunKey, dict[str, float]]:
        """Of each finished run, as of :func:`selfmm.training.seeds.run_figures`."""
        return {key: run_figures(run) for key, run in self.runs.items()}

    def only(self, names: Collection[str]) -> Grid:
        """Of some of the cases."""
        cases = tuple(case for case in self.cases if case.name in names)
        runs = {key: run for key, run in self.runs.items() if key.case in names}
        return replace(
            self, cases=cases, runs=runs, failed={k: why for k, why in self.failed.items() if k.case in names}
        )


def run_grid(
    dataset: Dataset,
    cases: Sequence[Case],
    seeds: Sequence[int],
    folder: Path,
    *,
    resume: bool,
    jobs: int | None,
    listener: Listener | None,
    ours: re.Pattern[str],
) -> Grid:
    """Trains every case with every seed, in processes side by side.

    A case that the data do not serve is not trained and told in ``failed``; it stops no other.

    Args:
        folder: made if need be. With ``resume`` it may hold runs of the same settings, which are kept or gone on with,
            and runs of other cases, which are let be.
        jobs: so many at once; None as cores and memory allow.
        listener: is told how they go.
        ours: names of the files that may lie beside the cases' folders.

    Raises:
        SettingsError: two cases have one name, or the machine lacks the device.
        OutputError: the folder is of something else, or holds runs and ``resume`` is not given.
        RunError: a run in it was begun with other data or settings.
    """
    _check(cases)
    with_seed = {
        RunKey(case.name, seed): case.settings.model_copy(update={"seed": seed}) for case in cases for seed in seeds
    }
    runs = {key: RunFolder(folder / key.case / f"seed-{key.seed}") for key in with_seed}
    claim(
        folder,
        holds="runs",
        belongs=lambda path: bool(ours.fullmatch(path.name)) or _is_case(path),
        resumable=lambda path: True,
        resume=resume,
    )
    plan = machine_plan(len(with_seed), jobs, cases[0].settings.training.device)
    with only_one(folder):
        unserved = {case.name: problem for case in cases if (problem := _problem(dataset, case.settings)) is not None}
        possible = {key: run for key, run in runs.items() if key.case not in unserved}
        _encode_once(dataset, [case for case in cases if case.name not in unserved])
        heard = listener or Listener()
        failed = train_several(dataset, with_seed, possible, plan, folder, resume=resume, listener=heard)
        failed |= {key: unserved[key.case] for key in runs if key.case in unserved}
    done = {key: run for key, run in runs.items() if key not in failed}
    return Grid(folder, tuple(cases), tuple(seeds), done, failed, plan)


def _check(cases: Sequence[Case]) -> None:
    refuse_launcher("each run gets a process of its own")
    names = [case.name for case in cases]
    twice = [name for name in names if names.count(name) > 1]
    if twice or not cases:
        raise SettingsError([f"{twice[0]!r} is given twice" if twice else "there is no case to train"])
    for case in cases:
        check_device(case.settings.training.device)


def _is_case(path: Path) -> bool:
    return path.is_dir() and all(re.fullmatch(r"seed-\d+|\..*", each.name) for each in path.iterdir())


def check_served(dataset: Dataset, settings: Settings) -> None:
    """Raises what training would, where the data do not serve these settings, before anything is computed."""
    model = find_model(settings.model)
    modalities = chosen_modalities(dataset, settings)
    check_needs(model, modalities, settings)
    source = label_source(model, settings)
    check_trainable(dataset, settings, source)
    if source == "human":
        human_labels(dataset, settings, settings.labels.tasks or tuple(modalities), training_rows(dataset, settings))


def _problem(dataset: Dataset, settings: Settings) -> str | None:
    """Why the data do not serve this case; None if they do."""
    try:
        check_served(dataset, settings)
    except SelfmmError as error:
        return str(error)
    return None


def _encode_once(dataset: Dataset, cases: Sequence[Case]) -> None:
    """Asks every frozen text encoder before the processes start, which then all read its answers from the cache."""
    asked = set()
    for case in cases:
        settings, model = case.settings, find_model(case.settings.model)
        kind = (settings.text, model.reads_tokens)
        if settings.text.finetune or model.needs.inside or kind in asked:
            continue
        asked.add(kind)
        try:
            with torch.random.fork_rng(devices=[]):
                assemble(dataset, settings).ask_frozen(dataset)
        except SelfmmError:  # it is told of each run that needs it
            continue
