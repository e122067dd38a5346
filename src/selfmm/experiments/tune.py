"""``selfmm.tune``: settings that the validation split likes, found by Optuna.

=================== ================================================================================
file                content
=================== ================================================================================
journal.log         everything that happened, line by line; what ``resume`` goes on from
trials.csv          a row per trial, see :class:`selfmm.experiments.tuning.Tuning`
best.toml           the settings of the best trial, usable as ``--preset``; its head says where they come from
=================== ================================================================================
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm.config.settings import Settings, flatten, load_settings, with_values
from selfmm.core.errors import SettingsError
from selfmm.core.files import claim, only_one, safe_name
from selfmm.core.processes import refuse_launcher
from selfmm.data.corrections import digest
from selfmm.data.store import Dataset, as_dataset
from selfmm.data.writer import fingerprint
from selfmm.experiments.grid import check_served
from selfmm.experiments.parts import check_parts
from selfmm.experiments.search import Search, describe_space, make_search
from selfmm.models import find_model
from selfmm.models.assembly import check_device, chosen_modalities
from selfmm.models.own_code import digest_of
from selfmm.training.seeds import machine_plan

if TYPE_CHECKING:  # they import Optuna, which is an extra
    from selfmm.experiments.crew import Course, TuneListener
    from selfmm.experiments.tuning import Tuning
    from selfmm.training.seed_pool import Plan

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
    listener: TuneListener | None = None,
) -> Tuning:
    """Searches settings of a model for the lowest MAE on the validation split; the test split is not read.

    The first trial are the settings as they are, so that the best is never worse than they.

    Args:
        data: a data-set folder, or one that is open; processes read the folder.
        trials: how many are to be complete or pruned in all.
        model: one of ``selfmm.models.MODELS``, or your own ``path/to/file.py:Class``; default: the preset's.
        preset, text_encoder, overrides: the settings to start from, as of :func:`selfmm.train`. What ``overrides``
            name is not searched.
        spaces: like ``"text.lr=1e-5..1e-3 log"`` or ``"options.heads=2,4,8"``, added to the model's own or in their
            place; ``*`` in a key stands for each modality of frames.
        out: the folder; default ``tune/<data set>-<model>``.
        resume: go on with a search that was interrupted, or is to have more trials; starts one if there is none.
        jobs: processes that train at once. With more than one, what is tried depends on the order in which they end.
        listener: is told how it goes.

    Raises:
        SettingsError, DatasetError, TrainingError, WeightsError, OutputError, RunError: each says the mend.
        MissingPackageError: Optuna or scikit-learn is not installed.
    """
    _check_machine(trials)
    dataset = as_dataset(data)
    given = with_values(overrides, {"model": model, "text.encoder": text_encoder})
    search = _search(dataset, load_settings(preset, given), spaces, given)
    default = Path("tune") / f"{safe_name(dataset.name)}-{safe_name(search.base.model_name)}"
    folder = Path(out) if out is not None else default
    plan = machine_plan(trials, jobs, search.base.training.device)
    claim(
        folder,
        "no search",
        holds="a search",
        ours=lambda path: path.name in ("best.toml", "trials.csv") or path.name.startswith("journal.log"),
        begun=lambda path: path.name == "journal.log",
        resume=resume,
    )
    options: dict[str, Sequence[object]] = {
        "--preset": [preset],
        "--set": given,
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
    listener: TuneListener | None,
) -> Tuning:
    from selfmm.experiments.crew import Course, Unheard
    from selfmm.experiments.study import Study, quiet
    from selfmm.experiments.tuning import Tuning

    with quiet(), only_one(folder):
        study = Study(folder, search, _identity(dataset, search))

        def save() -> None:
            Tuning(folder, search, tuple(study.ended())).write(origin)

        course = Course(study, trials, listener or Unheard(), save)
        course.listener.planned(search, trials, course.done, plan)
        if course.done < trials:
            _train(dataset, search.base, plan, course)
        save()
        return Tuning(folder, search, tuple(study.ended()), study.importance())


def _train(dataset: Dataset, base: Settings, plan: Plan, course: Course) -> None:
    from selfmm.experiments.crew import Crew, train_here
    from selfmm.experiments.trial import Bench

    bench = Bench(dataset, base)
    if plan.jobs == 1:
        train_here(course, bench)
        return
    bench.ask_frozen()
    job = {"data": str(dataset.path.resolve()), "settings": base.model_dump(mode="json")}
    Crew(plan, job).train(course)


def _check_machine(trials: int) -> None:
    check_parts("tune", "optuna", "sklearn")
    if not 1 <= trials <= MOST_TRIALS:
        raise SettingsError([f"trials = {trials}: give a number from 1 to {MOST_TRIALS}"])
    refuse_launcher("trials get processes of their own with --jobs")


def _search(dataset: Dataset, base: Settings, spaces: Sequence[str], given: Sequence[str]) -> Search:
    check_device(base.training.device)
    check_served(dataset, base)
    fixed = {override.partition("=")[0].strip() for override in given}
    return make_search(base, chosen_modalities(dataset, base), spaces, fixed)


def _identity(dataset: Dataset, search: Search) -> dict[str, Any]:
    """What may not change when a search is gone on with, in parts that messages can name."""
    code = digest_of(search.base.model, find_model(search.base.model))
    return {
        "data": {"clips, labels": fingerprint(dataset), "corrections": digest(dataset.corrections)},
        "settings": {**flatten(search.base), **({"the model's code": code} if code else {})},
        "spaces": {key: describe_space(space) for key, space in search.spaces.items()},
    }


def _command(words: Sequence[object], options: dict[str, Sequence[object]]) -> str:
    pairs = [[option, value] for option, values in options.items() for value in values if value is not None]
    return shlex.join(str(word) for word in [*words, *(word for pair in pairs for word in pair)])
