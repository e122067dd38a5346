"""Ablations of one model: what each part contributes, and how damaged data affect the scores.

=========================== ======================================================================
file                        content
=========================== ======================================================================
full/seed-<seed>/           the runs of the unchanged model
<case>/seed-<seed>/         the runs of each variation
<ablation>.md .tex .html    a table per ablation: tasks, rules, modalities, amount
<ablation>.csv .json        the same without rounding, and what was run
<ablation>.svg .png .pdf    a picture of it; <ablation>-cases.* are single clips, as in a comparison
robustness.md .csv .svg     the full runs on damaged clips
=========================== ======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from selfmm.config.settings import each, load_settings
from selfmm.core.errors import SettingsError
from selfmm.core.files import safe_name
from selfmm.core.listener import Listener
from selfmm.core.messages import did_you_mean
from selfmm.data.store import Dataset, as_dataset
from selfmm.experiments.cases import ABLATIONS, FULL, ablation_cases
from selfmm.experiments.compare import make_table, metrics_of, write_results
from selfmm.experiments.curves import Curves, draw_curves
from selfmm.experiments.formats import notebook_table
from selfmm.experiments.grid import Case, Grid, run_grid
from selfmm.experiments.robustness import robustness
from selfmm.experiments.table import Table, chosen_columns
from selfmm.models.assembly import chosen_modalities
from selfmm.training.seeds import read_seeds

ROBUSTNESS = "robustness"
_FILES = re.compile(rf"({'|'.join([*ABLATIONS, ROBUSTNESS])})[\w-]*\.(md|tex|bib|html|csv|json|svg|png|pdf)")


@dataclass(frozen=True)
class Ablation:
    """The results of ablations.

    Attributes:
        folder: the folder that holds the runs and the tables.
        grid: the runs of all ablations.
        tables: one table per ablation.
        curves: the full runs on damaged clips; None unless ``robustness`` was asked for.
    """

    folder: Path
    grid: Grid
    tables: Mapping[str, Table]
    curves: Curves | None

    def __repr__(self) -> str:
        return f"<Ablation in {self.folder}: {list(self.tables.values())!r}>"

    def _repr_html_(self) -> str:
        return "".join(map(notebook_table, self.tables.values()))


def ablate(
    data: Dataset | str | Path,
    what: Sequence[str] = ("tasks",),
    *,
    model: str = "self_mm",
    seeds: str | Sequence[int] = "1111-1115",
    preset: str | Path | None = None,
    overrides: Sequence[str] = (),
    columns: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> Ablation:
    """Train variations of a model with the same seeds; the full model is trained once and shared by all ablations.

    Args:
        data: a data-set folder, or an open data set.
        what: keys of :data:`selfmm.experiments.cases.ABLATIONS`, and ``robustness``.
        model: name of the model.
        seeds, preset, overrides, columns, resume, jobs, listener: see :func:`selfmm.experiments.compare.compare`.
        out: output folder; default ``ablations/<data set>-<model>``.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: raised before any training; the message says what to do.
        TrainingError: if no run has a result.
    """
    dataset = as_dataset(data)
    settings = load_settings(preset, [*each(overrides), f"model={model}"])
    numbers = read_seeds(seeds, overrides)
    modalities = tuple(chosen_modalities(dataset, settings))
    shown, known = chosen_columns(columns, metrics_of(dataset)), [*ABLATIONS, ROBUSTNESS]
    wrong = [f"{name!r} is not an ablation{did_you_mean(name, known)}" for name in what if name not in known]
    if wrong:
        raise SettingsError(wrong)
    chosen = {name: ablation_cases(name, settings, modalities) for name in what if name in ABLATIONS}
    cases = {case.name: case for case in [Case(FULL, settings), *chain.from_iterable(chosen.values())]}
    default = Path("ablations") / f"{safe_name(dataset.name)}-{safe_name(settings.model_name)}"
    folder = Path(out) if out is not None else default
    grid = run_grid(
        dataset, list(cases.values()), numbers, folder, resume=resume, jobs=jobs, listener=listener, ours=_FILES
    )
    tables = {}
    for name, variations in chosen.items():
        part = grid.only([case.name for case in variations])
        tables[name] = make_table(f"{settings.model_name} on {dataset.name}: {name}", dataset, part, FULL, [], shown)
        write_results(folder, name, dataset, part, tables[name])
    return Ablation(folder, grid, tables, _curves(dataset, grid) if ROBUSTNESS in what else None)


def _curves(dataset: Dataset, grid: Grid) -> Curves:
    curves = robustness(list(grid.of(FULL).values()), dataset)
    curves.write(grid.folder)
    if find_spec("matplotlib") is not None:  # part of the extra [report]; the tables do not need it
        draw_curves(curves, grid.folder)
    return curves
