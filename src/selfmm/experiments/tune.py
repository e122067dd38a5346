"""Search for the settings with the lowest validation MAE, with Optuna.

=================== ================================================================================
file                content
=================== ================================================================================
journal.log         everything that happened, line by line; ``resume`` continues from it
trials.csv          one row per trial, see :class:`selfmm.experiments.tuning.Tuning`
best.toml           the settings of the best trial, for ``--preset``; a comment at the top describes the search
=================== ================================================================================
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm.config.settings import Settings, flatten, load_settings, with_values
from selfmm.core.errors import SettingsError
from selfmm.core.files import safe_name
from selfmm.core.folders import claim, only_one
from selfmm.core.jobs.plan import Plan, machine_plan
from selfmm.core.jobs.pool import Pool
from selfmm.core.jobs.worker import module
from selfmm.core.listener import Listener
from selfmm.core.machine import why_slow
from selfmm.core.processes import refuse_launcher
from selfmm.data.corrections import digest
from selfmm.data.store import Dataset, as_dataset
from selfmm.data.writer import fingerprint
from selfmm.experiments.grid import check_packages, check_served
from selfmm.experiments.search import Search, describe_space, make_search
from selfmm.models import find_model
from selfmm.models.assembly import chosen_modalities
from selfmm.models.hardware import check_device
from selfmm.models.own_code import digest_of
from selfmm.training.start import started

if TYPE_CHECKING:  # these import Optuna, which is an extra
    from selfmm.experiments.course import Course
    from selfmm.experiments.tuning import Tuning

MOST_TRIALS = 100_000


def tune(
    data: Dataset | str | Path,
    *,
    trials: int,
    model: str | None = None,
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
    spaces: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int = 1,
    listener: Listener | None = None,
) -> Tuning:
    """Search the settings of a model for the lowest MAE on the validation split; the test split is not read.

    The first trial uses the settings as they are, so the best trial is never worse than these.

    Args:
        data: a data-set folder, or an open data set; worker processes read the folder.
        trials: total number of complete or pruned trials.
        model: one of ``selfmm.models.MODELS``, or your own ``path/to/file.py:Class``; default: the preset's.
        preset, text_encoder, overrides: the settings to start from, see :func:`selfmm.train`. Settings given in
            ``overrides`` are not searched.
        spaces: like ``"text.lr=1e-5..1e-3 log"`` or ``"options.heads=2,4,8"``; they extend or replace the model's own
            spaces; ``*`` in a key stands for each modality with frames.
        out: output folder; default ``tune/<data set>-<model>``.
        resume: continue an interrupted search, or add trials to it; start one if the folder has none.
        jobs: number of worker processes. With several, the values tried depend on the order in which trials end.
        listener: receives the progress.

    Raises:
        SettingsError, DatasetError, TrainingError, WeightsError, OutputError, RunError: the message says what to do.
        MissingPackageError: if Optuna or scikit-learn is not installed.
    """
    check_packages("tune", "optuna", "sklearn")
    if not 1 <= trials <= MOST_TRIALS:
        raise SettingsError([f"trials = {trials}: give a number from 1 to {MOST_TRIALS}"])
    refuse_launcher("with `jobs=...`, trials run in their own processes")
    dataset = as_dataset(data)
    spaces = (spaces,) if isinstance(spaces, str) else spaces
    fixed = with_values(overrides, {"model": model, "text.encoder": text_encoder})
    search = _search(dataset, started(load_settings(preset, fixed), dataset), spaces, fixed)
    default = Path("tune") / f"{safe_name(dataset.name)}-{safe_name(search.base.model_name)}"
    folder = Path(out) if out is not None else default
    plan = machine_plan(trials, jobs, search.base.training.device)
    claim(
        folder,
        holds="trials",
        belongs=lambda path: path.name in ("best.toml", "trials.csv") or path.name.startswith("journal.log"),
        resumable=lambda path: path.name == "journal.log",
        resume=resume,
    )
    options: dict[str, Sequence[object]] = {
        "--preset": [preset],
        "--set": fixed,
        "--space": spaces,
        "--jobs": [jobs] if jobs > 1 else [],
    }
    origin = [
        f"data: {dataset.name}, fingerprint {fingerprint(dataset)}",
        f"model: {search.base.model}",
        f"command: {_command(['selfmm', 'tune', dataset.path, '--trials', trials, '--out', folder], options)}",
    ]
    return _run(dataset, search, folder, origin, plan, trials, listener)


def _run(
    dataset: Dataset,
    search: Search,
    folder: Path,
    origin: list[str],
    plan: Plan,
    trials: int,
    listener: Listener | None,
) -> Tuning:
    from selfmm.experiments.course import Course
    from selfmm.experiments.study import Study, quiet
    from selfmm.experiments.tuning import Tuning

    with quiet(), only_one(folder):
        study = Study(folder, search, _identity(dataset, search))

        def save() -> None:
            Tuning(folder, search, tuple(study.ended())).write(origin)

        course = Course(study, trials, listener or Listener(), save)
        course.listener.trials_planned(search, trials, course.complete, plan)
        if course.complete < trials:
            if not plan.devices and (warning := why_slow(plan.threads, plan.jobs)):
                course.listener.note(warning)
            _train(dataset, search.base, plan, course)
        save()
        return Tuning(folder, search, tuple(study.ended()), study.importance())


def _train(dataset: Dataset, base: Settings, plan: Plan, course: Course) -> None:
    from selfmm.experiments.course import train_here
    from selfmm.experiments.trial import TrialTrainer

    trainer = TrialTrainer(dataset, base)
    if plan.jobs == 1:
        train_here(course, trainer)
        return
    trainer.encode_frozen()
    setup = {"data": str(dataset.path.resolve()), "settings": base.model_dump(mode="json")}
    Pool[int](plan, module("selfmm.experiments.tune_worker"), setup).run(course)


def _search(dataset: Dataset, base: Settings, spaces: Sequence[str], fixed: Sequence[str]) -> Search:
    check_device(base.training.device)
    check_served(dataset, base)
    keys = {override.partition("=")[0].strip() for override in fixed}
    return make_search(base, chosen_modalities(dataset, base), spaces, keys)


def _identity(dataset: Dataset, search: Search) -> dict[str, Any]:
    """Return what must not change when a search is resumed, in parts that messages can name."""
    code = digest_of(search.base.model, find_model(search.base.model))
    return {
        "data": {"clips, labels": fingerprint(dataset), "corrections": digest(dataset.corrections)},
        "settings": {**flatten(search.base), **({"the model's code": code} if code else {})},
        "spaces": {key: describe_space(space) for key, space in search.spaces.items()},
    }


def _command(words: Sequence[object], options: dict[str, Sequence[object]]) -> str:
    pairs = [(option, value) for option, values in options.items() for value in values if value is not None]
    return shlex.join(map(str, chain(words, *pairs)))
