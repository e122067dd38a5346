"""One model with parts of it taken away: what each is worth, and what damage to the data costs.

=========================== ======================================================================
file                        content
=========================== ======================================================================
full/seed-<seed>/           the runs in which nothing is varied
<case>/seed-<seed>/         those of each variation
<ablation>.md .tex .html    a table per ablation: tasks, rules, modalities, amount
<ablation>.csv .json        the same, unrounded; and what was run
robustness.md .csv .svg     how the full runs fare on damaged clips
=========================== ======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from selfmm.config.settings import load_settings
from selfmm.core.errors import SettingsError
from selfmm.core.files import safe_name
from selfmm.core.messages import did_you_mean
from selfmm.data.store import Dataset, as_dataset
from selfmm.experiments.cases import ABLATIONS, FULL, ablation_cases
from selfmm.experiments.compare import make_table, write_results
from selfmm.experiments.curves import Curves, draw_curves
from selfmm.experiments.grid import Case, Grid, RunKey, run_grid
from selfmm.experiments.robustness import robustness
from selfmm.experiments.table import Table
from selfmm.models.assembly import chosen_modalities
from selfmm.training.seed_pool import PoolListener
from selfmm.training.seeds import read_seeds

ROBUSTNESS = "robustness"
_FILES = re.compile(rf"({'|'.join([*ABLATIONS, ROBUSTNESS])})[\w-]*\.(md|tex|html|csv|json|svg|png)")


@dataclass(frozen=True)
class Ablation:
    """What ablations came to.

    Attributes:
        folder: holds everything.
        grid: the runs of all of them.
        tables: one per ablation.
        curves: of the full runs on damaged clips; None if they were not asked for.
    """

    folder: Path
    grid: Grid
    tables: Mapping[str, Table]
    curves: Curves | None


def ablate(
    data: Dataset | str | Path,
    what: Sequence[str] = ("tasks",),
    *,
    model: str = "self_mm",
    seeds: str | Sequence[int] = "1111-1115",
    preset: str | Path | None = None,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: PoolListener[RunKey] | None = None,
) -> Ablation:
    """Trains variations of a model with the same seeds; the full one is trained once for all.

    Args:
        data: a data-set folder, or one that is open.
        what: keys of :data:`selfmm.experiments.cases.ABLATIONS`, and ``robustness``.
        model: which.
        seeds, preset, overrides, resume, jobs, listener: as of :func:`selfmm.experiments.compare.compare`.
        out: default ``ablations/<data set>-<model>``.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: before anything is trained; each says the mend.
        TrainingError: no run has a result.
    """
    dataset = as_dataset(data)
    settings = load_settings(preset, [*overrides, f"model={model}"])
    numbers = read_seeds(seeds, overrides)
    modalities = tuple(chosen_modalities(dataset, settings))
    known = [*ABLATIONS, ROBUSTNESS]
    wrong = [f"{name!r} is no ablation{did_you_mean(name, known)}" for name in what if name not in known]
    if wrong:
        raise SettingsError(wrong)
    each = {name: ablation_cases(name, settings, modalities) for name in what if name in ABLATIONS}
    cases = {case.name: case for case in [Case(FULL, settings), *(one for found in each.values() for one in found)]}
    default = Path("ablations") / f"{safe_name(dataset.name)}-{safe_name(settings.model_name)}"
    folder = Path(out) if out is not None else default
    grid = run_grid(
        dataset,
        list(cases.values()),
        numbers,
        folder,
        resume=resume,
        jobs=jobs,
        listener=listener,
        ours=_FILES,
    )
    tables = {}
    for name, found in each.items():
        part = grid.only([case.name for case in found])
        tables[name] = make_table(f"{settings.model_name} on {dataset.name}: {name}", dataset, part, FULL, [])
        write_results(folder, name, dataset, part, tables[name])
    return Ablation(folder, grid, tables, _curves(dataset, grid) if ROBUSTNESS in what else None)


def _curves(dataset: Dataset, grid: Grid) -> Curves:
    found = robustness(list(grid.of(FULL).values()), dataset)
    found.write(grid.folder)
    if find_spec("matplotlib") is not None:  # of the extra [report]; the numbers do not wait for it
        draw_curves(found, grid.folder)
    return found
