"""Several models on one data set: their runs, and a table for a paper.

=========================== ======================================================================
file                        content
=========================== ======================================================================
<model>/seed-<seed>/        the run folder of each training
comparison.md .tex .html    the table
comparison.csv              the same without rounding
comparison.json             data, cases, seeds, and the figures of each run
=========================== ======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import SettingsError, TrainingError
from selfmm.core.files import safe_name, write_json, write_table, write_text
from selfmm.core.listener import Listener
from selfmm.core.messages import count
from selfmm.core.version import __version__
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset, as_dataset
from selfmm.data.writer import fingerprint
from selfmm.evaluation.metrics import DESCRIPTIONS, evaluate, scale_for
from selfmm.experiments.baselines import trivial_answers
from selfmm.experiments.cases import case_names, model_cases
from selfmm.experiments.grid import Grid, RunKey, check_packages, run_grid
from selfmm.experiments.paired import Difference, compare_systems, holm
from selfmm.experiments.published import published_rows
from selfmm.experiments.table import Row, Table, to_html, to_latex, to_markdown
from selfmm.models.assembly import POOLED
from selfmm.runs.folder import RunFolder
from selfmm.training.seeds import read_seeds

_FILES = re.compile(r"comparison\.(md|tex|html|csv|json)")
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        folder: the folder that holds the runs and the tables.
        grid: the runs.
        table: one row per model, then the trivial baselines and published figures.
    """

    folder: Path
    grid: Grid
    table: Table

    def __repr__(self) -> str:
        return f"<Comparison in {self.folder}: {self.table!r}>"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def compare(
    data: Dataset | str | Path,
    models: Sequence[str],
    *,
    seeds: str | Sequence[int] = "1111-1115",
    preset: str | Path | None = None,
    overrides: Sequence[str] = (),
    baseline: str | None = None,
    published: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> Comparison:
    """Train models with the same seeds on the same clips, and compare them on the test split.

    Args:
        data: a data-set folder, or an open data set.
        models: see :func:`selfmm.experiments.cases.model_cases`; ``["all"]`` for every model.
        seeds: like ``"1111-1115"``, or numbers.
        preset, overrides: settings that all models share.
        baseline: the model that the others are compared with; the first by default.
        published: ``mosi``, ``mosei`` or ``sims``: add rows with figures that others published on it.
        out: output folder; default ``comparisons/<data set>-<preset>``.
        resume: keep the finished runs in the folder and train the missing ones.
        jobs: number of runs at once; None: as many as cores and memory allow.
        listener: receives the progress of the runs.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: raised before any training; the message says what to do.
        TrainingError: if no run has a result.
    """
    dataset = as_dataset(data)
    cases = model_cases(models, preset, overrides)
    numbers = read_seeds(seeds, overrides)
    names = [case.name for case in cases]
    reference = case_names([baseline])[0] if baseline else next(iter(names), "")
    if reference not in names:
        raise SettingsError([f"baseline = {reference!r} is not one of the models: {', '.join(names)}"])
    check_packages("compare", "sklearn")
    default = Path("comparisons") / f"{safe_name(dataset.name)}-{Path(preset).stem if preset else 'default'}"
    folder = default if out is None else Path(out)
    published_figures = [] if published is None else published_rows(published)
    grid = run_grid(dataset, cases, numbers, folder, resume=resume, jobs=jobs, listener=listener, ours=_FILES)
    trivial = trivial_rows(dataset, load_settings(preset, overrides, trust=True))  # reads no model
    table = make_table(f"Models on {dataset.name}", dataset, grid, reference, [*trivial, *published_figures])
    write_results(folder, "comparison", dataset, grid, table)
    return Comparison(folder, grid, table)


def make_table(title: str, dataset: Dataset, grid: Grid, baseline: str, further: Sequence[Row]) -> Table:
    """Return the table of a grid, made from its run folders.

    Args:
        baseline: name of the case that the others are compared with.
        further: rows to append.

    Raises:
        TrainingError: if no run of the grid has a result.
    """
    if not grid.runs:
        reasons = dict.fromkeys(f"{key.case}: {reason}" for key, reason in grid.failed.items())
        raise TrainingError("No run has a result.\n" + "\n".join(reasons))
    scores = {case.name: _test_scores(grid.of(case.name)) for case in grid.cases}
    rows = []
    for case in grid.cases:
        row = _run_row(case.name, grid)
        if case.name != baseline and row.kind == "run" and scores.get(baseline):
            differences = _differences(dataset, scores[case.name], scores[baseline], list(row.figures))
            row = replace(row, difference=differences.pop("mae", None), others=differences)
        rows.append(row)
    corrected = holm([row.difference.p for row in rows if row.difference])
    rows = [replace(row, corrected=corrected.pop(0)) if row.difference else row for row in rows]
    metrics = tuple(key for key in DESCRIPTIONS if any(key in row.figures for row in rows))
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    return Table(title, metrics, (*rows, *further), baseline, neutral=neutral)


def _differences(
    dataset: Dataset, system: list[_Array], baseline: list[_Array], keys: Sequence[str]
) -> dict[str, Difference]:
    """Return the differences of all metrics that both have, on the labelled test clips."""
    rows = dataset.rows("test")
    known = np.isfinite(dataset.labels()[rows])
    own, other = ([seed[known] for seed in runs] for runs in (system, baseline))
    labels = dataset.labels()[rows[known]]
    videos = dataset.samples["video"].to_numpy()[rows[known]] if "video" in dataset.samples else None
    scale, neutral = scale_for(dataset.manifest.label_range), LabelScale.of(dataset.manifest.label_range).neutral
    differences = {
        key: compare_systems(key, own, other, labels, scale, neutral=neutral, groups=videos)
        for key in (keys if known.any() else ())
    }
    return {key: difference for key, difference in differences.items() if difference is not None}


def _test_scores(runs: dict[int, RunFolder]) -> list[_Array]:
    """Return the fused scores of the test clips per seed, in the order of the data set."""
    tables = [run.predictions() for run in runs.values()]
    return [table.loc[table["split"] == "test", "score"].to_numpy(dtype=np.float64) for table in tables]


def _run_row(name: str, grid: Grid) -> Row:
    runs = grid.of(name)
    reasons = dict.fromkeys(reason for key, reason in grid.failed.items() if key.case == name)
    note = " ".join(" ".join(reason.split()) for reason in reasons)
    if not runs:
        return Row(name, "failed", note=note)
    notes = [f"{count(len(grid.seeds) - len(runs), 'seed')} without a result: {note}"] if note else []
    if any(POOLED in run.metrics().get("fit", ()) for run in runs.values()):
        notes.append(POOLED)
    figures, info = [grid.figures[RunKey(name, seed)] for seed in runs], next(iter(runs.values())).info()
    return Row(
        name,
        "run",
        {key: [run[f"test_{key}"] for run in figures] for key in DESCRIPTIONS if f"test_{key}" in figures[0]},
        parameters=info.parameters,
        trained=info.trained_parameters,
        seconds=sum(run["seconds"] for run in figures) / len(figures),
        memory=max(run["peak_memory"] for run in figures),
        note=" ".join(notes),
    )


def trivial_rows(dataset: Dataset, settings: Settings) -> list[Row]:
    """Return rows for the mean label, and for a ridge regression on the text encoder's embeddings."""
    test, scale = dataset.rows("test"), scale_for(dataset.manifest.label_range)
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    labels = dataset.labels()[test]
    rows = []
    for name, predictions in trivial_answers(dataset, settings).items():
        values = evaluate(predictions[test], labels, scale, neutral).values
        rows.append(Row(name, "trivial", {key: [value] for key, value in values.items()}))
    return rows


def write_results(folder: Path, stem: str, dataset: Dataset, grid: Grid, table: Table) -> None:
    """Write the table in every format, and a JSON file about what was compared."""
    css = (resources.files("selfmm.report") / "page.css").read_text(encoding="utf-8")
    write_text(folder / f"{stem}.md", to_markdown(table))
    write_text(folder / f"{stem}.tex", to_latex(table))
    write_text(folder / f"{stem}.html", to_html(table, css))
    write_table(folder / f"{stem}.csv", table.frame())
    content = {
        "selfmm": __version__,
        "dataset": dataset.name,
        "fingerprint": fingerprint(dataset),
        "baseline": table.baseline,
        "seeds": list(grid.seeds),
        "threads": grid.plan.threads,
        "cases": {case.name: case.settings.model_dump(mode="json") for case in grid.cases},
        "failed": {str(key): reason for key, reason in grid.failed.items()},
        "runs": {str(key): figures for key, figures in grid.figures.items()},
    }
    write_json(folder / f"{stem}.json", content)
