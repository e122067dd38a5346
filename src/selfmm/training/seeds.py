"""Several seeds of one training: a folder of ordinary run folders, with means and deviations over the seeds.

=================== ================================================================================
file                content
=================== ================================================================================
seed-<seed>/        the run folder of each seed, see :mod:`selfmm.runs.folder`
summary.csv         a row per figure: metric, mean, std, runs, seed_<seed>
summary.json        the same, and why seeds failed
=================== ================================================================================
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.config.settings import Settings, each
from selfmm.core.errors import SettingsError, TrainingError
from selfmm.core.files import write_json, write_table
from selfmm.core.folders import claim, only_one
from selfmm.core.jobs.plan import Plan, machine_plan
from selfmm.core.listener import Listener
from selfmm.core.processes import refuse_launcher
from selfmm.data.store import Dataset
from selfmm.evaluation.tables import summarise
from selfmm.evaluation.worth import FUSION
from selfmm.models import find_model
from selfmm.models.base import label_source
from selfmm.models.hardware import check_device
from selfmm.runs.folder import RunFolder
from selfmm.training.objective import check_trainable
from selfmm.training.several import train_several
from selfmm.training.start import started

MOST_SEEDS = 1000
_PART = re.compile(r"\s*(\d{1,20})\s*(?:-\s*(\d{1,20})\s*)?", re.ASCII)
_OURS = re.compile(r"seed-\d+|summary\.(csv|json)")


@dataclass(frozen=True)
class SeedRuns:
    """The results of several seeds.

    Attributes:
        folder: contains the run folders ``seed-<seed>`` and ``summary.csv``, ``summary.json``.
        runs: the finished runs by seed; ``selfmm.load(runs[1111].path)`` returns the model.
        failed: the reason why a seed has no result, by seed.
        plan: how the runs shared the machine.
        figures: a row per figure, a column per seed. ``<split>_<metric>`` is for the fused score and
            ``<split>_<modality>_<metric>`` for that of a modality, in the units of :mod:`selfmm.evaluation.metrics`;
            then, for the fused score and with ``_<modality>`` for the others, ``skill``, ``band`` and ``coverage``, see
            :class:`selfmm.evaluation.worth.Worth`; then ``best_epoch``, ``epochs``, ``seconds``
            (sum over the epochs, including validation), ``peak_memory`` and ``device_peak_memory`` (bytes). NaN if
            there is no value.
    """

    folder: Path
    runs: Mapping[int, RunFolder]
    failed: Mapping[int, str]
    plan: Plan
    figures: pd.DataFrame = field(repr=False)

    @property
    def summary(self) -> pd.DataFrame:
        """A row per figure: ``mean``, ``std`` (over n - 1) and ``runs`` (the number of runs with a value)."""
        return summarise([{str(key): float(value) for key, value in self.figures[s].items()} for s in self.runs])


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read seeds from a list of numbers and ranges.

    Raises:
        SettingsError: if a part is not a seed, or :func:`check_seeds` finds problems; all are listed.

    >>> parse_seeds("1111,1113,1120-1122")
    (1111, 1113, 1120, 1121, 1122)
    """
    problems: list[str] = []
    seeds: list[int] = []
    for part in text.split(","):
        numbers = _PART.fullmatch(part)
        if numbers is None:
            problems.append(f"seeds: {part.strip()!r} is not a seed; write numbers and ranges, like 1111-1115,1120")
            continue
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if last < first:
            problems.append(f"seeds: {part.strip()} is in the wrong order; write {last}-{first}")
        seeds += range(first, min(last, first + MOST_SEEDS) + 1)  # one seed too many is enough for check_seeds
    if problems:
        raise SettingsError(problems)
    return check_seeds(seeds)


def read_seeds(seeds: str | int | Sequence[int], overrides: Sequence[str]) -> tuple[int, ...]:
    """Read seeds from text or numbers; raise ``SettingsError`` if ``overrides`` contain a seed too."""
    if isinstance(seeds, int):
        seeds = (seeds,)
    numbers = parse_seeds(seeds) if isinstance(seeds, str) else check_seeds(seeds)
    if any(override.partition("=")[0].strip() == "seed" for override in each(overrides)):
        raise SettingsError(["seed: give either seed or seeds, not both"])
    return numbers


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds, if they are valid.

    Raises:
        SettingsError: if there are none or more than ``MOST_SEEDS``, or if a seed occurs twice or is not a whole number
            from 0 to 2**32 - 1.
    """
    problems = []
    if not len(seeds):
        problems.append("seeds: none given; write for example 1111-1115")
    if len(seeds) > MOST_SEEDS:
        problems.append(f"seeds: more than {MOST_SEEDS}; give fewer, in several folders")
    twice = [str(seed) for seed, times in Counter(seeds).items() if times > 1]
    if twice:
        problems.append(f"seeds: {', '.join(twice[:5])} given more than once")
    wrong = [seed for seed in seeds if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32]
    if wrong:
        problems.append(f"seeds: {wrong[0]!r} is not a whole number from 0 to {2**32 - 1}")
    if problems:
        raise SettingsError(problems)
    return tuple(map(int, seeds))


def run_seeds(
    dataset: Dataset,
    settings: Settings,
    seeds: Sequence[int],
    folder: Path,
    *,
    resume: bool,
    jobs: int | None,
    listener: Listener,
) -> SeedRuns:
    """Train ``settings`` with each seed, in parallel workers; see :func:`selfmm.train_seeds`."""
    refuse_launcher("seeds: each seed gets its own process")
    check_trainable(dataset, settings, label_source(find_model(settings.model), settings))
    check_device(settings.training.device)
    plan = machine_plan(len(seeds), jobs, settings.training.device)
    runs = {seed: RunFolder(folder / f"seed-{seed}") for seed in seeds}
    seeded = {seed: started(settings.model_copy(update={"seed": seed}), dataset, run) for seed, run in runs.items()}
    claim(
        folder,
        holds="seeds",
        belongs=lambda path: bool(_OURS.fullmatch(path.name)),
        resumable=lambda path: path.name == "summary.json",
        resume=resume,
    )
    with only_one(folder):
        failed = train_several(dataset, seeded, runs, plan, folder, resume=resume, listener=listener)
        return _summary(dataset, folder, runs, failed, plan)


def _summary(
    dataset: Dataset, folder: Path, runs: Mapping[int, RunFolder], failed: Mapping[int, str], plan: Plan
) -> SeedRuns:
    done = {seed: run for seed, run in runs.items() if seed not in failed}
    if not done:
        raise TrainingError("no seed has a result.\n" + "\n".join(describe_failures(failed)))
    figures = pd.DataFrame({seed: run_figures(run) for seed, run in done.items()})
    result = SeedRuns(folder, done, failed, plan, figures.rename_axis(index="metric", columns="seed"))
    table = result.summary.join(result.figures.add_prefix("seed_"))
    write_table(folder / "summary.csv", table.reset_index())
    content = {
        "dataset": dataset.name,
        "seeds": list(done),
        "failed": {str(seed): reason for seed, reason in failed.items()},
        "threads": plan.threads,
        "figures": table.to_dict("index"),
    }
    write_json(folder / "summary.json", content)
    return result


def describe_failures(failed: Mapping[int, str]) -> list[str]:
    """Return one line per reason, with the seeds that failed for it."""
    reasons = {reason: [str(s) for s, other in failed.items() if other == reason] for reason in failed.values()}
    return [f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}: {reason}" for reason, seeds in reasons.items()]


def run_figures(run: RunFolder) -> dict[str, float]:
    """Return the figures of a finished run, as in ``SeedRuns.figures``."""
    content, history, memory = run.metrics(), run.history(), run.peak_memory()
    figures = {
        f"{split}_{key}" if task == "fusion" else f"{split}_{task}_{key}": math.nan if value is None else float(value)
        for split in ("valid", "test")
        for task, metrics in content["splits"][split].items()
        for key, value in metrics["values"].items()
    }
    worth = run.worth()
    for name, score in (worth.scores if worth else {}).items():
        end = "" if name == FUSION else f"_{name}"
        figures |= {f"skill{end}": score.skill, f"band{end}": score.band, f"coverage{end}": score.coverage}
    return figures | {
        "best_epoch": float(content["best_epoch"]),
        "epochs": float(len(history)),
        "seconds": float(history["seconds"].sum()),
        "peak_memory": memory["host"],
        "device_peak_memory": memory["device"],
    }
