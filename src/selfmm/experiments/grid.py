"""A grid of trainings (cases times seeds) in one folder: the basis of comparisons and ablations.

=========================== ======================================================================
file                        content
=========================== ======================================================================
<case>/seed-<seed>/         the run folder of each training, see :mod:`selfmm.runs.folder`
=========================== ======================================================================
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import MissingPackageError, SelfmmError, SettingsError
from selfmm.core.files import is_stray
from selfmm.core.folders import claim, only_one
from selfmm.core.jobs.plan import Plan, machine_plan
from selfmm.core.listener import Listener
from selfmm.core.processes import refuse_launcher
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.models import find_model
from selfmm.models.assembly import check_needs, chosen_modalities
from selfmm.models.base import label_source
from selfmm.models.hardware import check_device
from selfmm.runs.folder import RunFolder
from selfmm.training.objective import check_trainable, human_labels
from selfmm.training.seeds import run_figures
from selfmm.training.several import train_several
from selfmm.training.start import assemble_started, started

_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=,-]{0,99}")
_PACKAGES = {"sklearn": "scikit-learn"}  # module -> package


@dataclass(frozen=True)
class Case:
    """One row of a table: a name and the settings to train with.

    Attributes:
        name: name of the case and of its folder.
        settings: settings of its trainings; their seed is ignored.
    """

    name: str
    settings: Settings

    def __post_init__(self) -> None:
        if not _CASE.fullmatch(self.name):
            raise SettingsError(
                [f"{self.name!r} cannot name a case: use letters, digits and _ . + = , - (100 at most), a letter first"]
            )


class RunKey(NamedTuple):
    """A training of a grid: the case and the seed."""

    case: str
    seed: int

    def __str__(self) -> str:
        return f"{self.case} {self.seed}"


@dataclass(frozen=True)
class Grid:
    """The result of a grid of trainings.

    Attributes:
        folder: the folder that holds one folder per case.
        cases: in the order given.
        seeds: the seeds that each case is trained with.
        runs: the finished runs.
        failed: for every other run, the reason why it has no result.
        plan: how the runs shared the machine.
    """

    folder: Path
    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    runs: Mapping[RunKey, RunFolder]
    failed: Mapping[RunKey, str]
    plan: Plan

    def of(self, case: str) -> dict[int, RunFolder]:
        """Return the finished runs of a case, by seed."""
        return {key.seed: run for key, run in self.runs.items() if key.case == case}

    @cached_property
    def figures(self) -> dict[RunKey, dict[str, float]]:
        """Figures of each finished run, see :func:`selfmm.training.seeds.run_figures`."""
        return {key: run_figures(run) for key, run in self.runs.items()}

    def only(self, names: Collection[str]) -> Grid:
        """Return the part of the grid with these cases."""
        cases = tuple(case for case in self.cases if case.name in names)
        runs = {key: run for key, run in self.runs.items() if key.case in names}
        failed = {key: reason for key, reason in self.failed.items() if key.case in names}
        return replace(self, cases=cases, runs=runs, failed=failed)


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
    """Train every case with every seed, in parallel processes.

    A case that does not fit the data is not trained, and is listed in ``failed``; the others still run.

    Args:
        folder: created if needed. With ``resume`` it may hold runs with the same settings, which are kept or continued,
            and runs of other cases, which are left alone.
        jobs: number of runs at once; None: as many as cores and memory allow.
        listener: receives the progress of the runs.
        ours: names of the files that may be next to the folders of the cases.

    Raises:
        SettingsError: if two cases have the same name, or the machine lacks the device.
        OutputError: if the folder holds something else, or runs and ``resume`` is not given.
        RunError: if a run in it was started with other data or settings.
    """
    _check(cases)
    settings_of = {
        RunKey(case.name, seed): case.settings.model_copy(update={"seed": seed}) for case in cases for seed in seeds
    }
    runs = {key: RunFolder(folder / key.case / f"seed-{key.seed}") for key in settings_of}
    with_seed = {key: started(settings, dataset, runs[key]) for key, settings in settings_of.items()}
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
        listener = listener or Listener()
        failed = train_several(dataset, with_seed, possible, plan, folder, resume=resume, listener=listener)
        failed |= {key: unserved[key.case] for key in runs if key.case in unserved}
    done = {key: run for key, run in runs.items() if key not in failed}
    return Grid(folder, tuple(cases), tuple(seeds), done, failed, plan)


def check_packages(command: str, *modules: str) -> None:
    """Raise ``MissingPackageError`` if a module of the extra ``[experiments]`` that ``command`` needs is missing."""
    lacking = [_PACKAGES.get(name, name) for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingPackageError(
            f"{command} needs {' and '.join(lacking)}. Install what is missing with: pip install 'selfmm[experiments]'"
        )


def _check(cases: Sequence[Case]) -> None:
    refuse_launcher("each run gets its own process")
    names = [case.name for case in cases]
    twice = [name for name in names if names.count(name) > 1]
    if twice or not cases:
        raise SettingsError([f"{twice[0]!r} is given twice" if twice else "no case to train was given"])
    for case in cases:
        check_device(case.settings.training.device)


def _is_case(path: Path) -> bool:
    """Return whether a folder holds runs, perhaps with their reports next to them, or nothing yet."""
    names = [child.name for child in path.iterdir() if not is_stray(child.name)] if path.is_dir() else []
    return path.is_dir() and (not names or any(re.fullmatch(r"seed-\d+", name) for name in names))


def check_served(dataset: Dataset, settings: Settings) -> None:
    """Raise the error that training would raise if the data do not fit these settings, without computing anything."""
    model = find_model(settings.model)
    modalities = chosen_modalities(dataset, settings)
    check_needs(model, modalities, settings)
    source = label_source(model, settings)
    check_trainable(dataset, settings, source)
    if source == "human":
        human_labels(dataset, settings, settings.labels.tasks or tuple(modalities), training_rows(dataset, settings))


def _problem(dataset: Dataset, settings: Settings) -> str | None:
    """Return why the data do not fit this case; None if they do."""
    try:
        check_served(dataset, settings)
    except SelfmmError as error:
        return str(error)
    return None


def _encode_once(dataset: Dataset, cases: Sequence[Case]) -> None:
    """Run every frozen text encoder once; the processes then read its output from the cache."""
    encoded = set()
    for case in cases:
        settings, model = case.settings, find_model(case.settings.model)
        kind = (settings.text, settings.start, model.reads_tokens)
        if settings.text.finetune or model.needs.inside or kind in encoded:
            continue
        encoded.add(kind)
        # An error is reported for each run that needs the encoder.
        with suppress(SelfmmError), torch.random.fork_rng(devices=[]):
            assemble_started(dataset, started(settings, dataset))[0].encode_text(dataset)
