"""Several models on one data set or on several: their runs, and a table for a paper.

================================ =================================================================
file                             content
================================ =================================================================
<model>/seed-<seed>/             the run folder of each training
comparison.md .tex .html         the table
comparison.bib                   the papers that the .tex cites
comparison.csv                   the table with all columns, without rounding
comparison.json                  data, cases, seeds, and the figures of each run
comparison.svg .png .pdf         a picture of it, if matplotlib is installed
comparison-cases.md .tex .csv    what each model says about single clips of the test split
================================ =================================================================

With several data sets, each has a folder of its own with all of these, and next to these folders are the
``comparison.md``, ``.tex``, ``.bib``, ``.html`` and ``.csv`` of all together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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
from selfmm.experiments.case_study import case_table, cases_html, cases_latex, cases_markdown
from selfmm.experiments.cases import case_names, model_cases
from selfmm.experiments.formats import Part, bibliography_of, notebook_table, to_html, to_latex, to_markdown
from selfmm.experiments.grid import Grid, RunKey, check_packages, run_grid
from selfmm.experiments.paired import Difference, compare_systems, holm
from selfmm.experiments.picture import table_picture
from selfmm.experiments.published import published_rows
from selfmm.experiments.table import FACTS, Row, Table, chosen_columns
from selfmm.models.assembly import POOLED
from selfmm.report.pictures import Group, write_pictures
from selfmm.report.style import drawing, inline_svg
from selfmm.runs.folder import RunFolder
from selfmm.training.seeds import read_seeds

_FILES = re.compile(r"comparison(-cases)?\.(md|tex|bib|html|csv|json|svg|png|pdf)")
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
        return notebook_table(self.table)


def compare(
    data: Dataset | str | Path,
    models: Sequence[str],
    *,
    seeds: str | Sequence[int] = "1111-1115",
    preset: str | Path | None = None,
    overrides: Sequence[str] = (),
    baseline: str | None = None,
    published: str | None = None,
    columns: Sequence[str] = (),
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
        columns: metrics and facts that the tables show, see :func:`selfmm.experiments.table.chosen_columns`; all by
            default.
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
    shown = chosen_columns(columns, metrics_of(dataset))
    folder = _default_folder([dataset], preset) if out is None else Path(out)
    published_figures = [] if published is None else published_rows(published)
    grid = run_grid(dataset, cases, numbers, folder, resume=resume, jobs=jobs, listener=listener, ours=_FILES)
    trivial = trivial_rows(dataset, load_settings(preset, overrides, trust=True))  # reads no model
    further = [*trivial, *published_figures]
    table = make_table(f"Models on {dataset.name}", dataset, grid, reference, further, shown)
    write_results(folder, "comparison", dataset, grid, table)
    return Comparison(folder, grid, table)


@dataclass(frozen=True)
class Comparisons:
    """The result of a comparison on several data sets.

    Attributes:
        folder: the folder that holds a folder for each data set, and the table of all.
        parts: the comparison on each data set, by the name of its folder.
        titles: the name of each data set in the table of all.
    """

    folder: Path
    parts: Mapping[str, Comparison]
    titles: Sequence[str]

    @property
    def tables(self) -> list[Part]:
        """The columns of each data set in the table of all."""
        return [Part(title, part.table) for title, part in zip(self.titles, self.parts.values(), strict=True)]

    def __repr__(self) -> str:
        return f"<Comparisons in {self.folder}: {list(self.parts.values())!r}>"


def compare_all(
    data: Sequence[Dataset | str | Path],
    models: Sequence[str],
    *,
    preset: str | Path | None = None,
    columns: Sequence[str] = (),
    published: str | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> Comparisons:
    """Compare the same models on several data sets, in one table.

    Args:
        data: the data sets; two of one name get numbers.
        columns: as in :func:`compare`; by default MAE, Corr and the accuracies of two classes, and the p values.
        published: as in :func:`compare`; its figures are shown with the data sets whose names contain its name.
        options: the other arguments of :func:`compare`.

    Raises:
        SettingsError, DatasetError, OutputError, RunError, TrainingError: see :func:`compare`.
    """
    datasets = [as_dataset(item) for item in data]
    folder = _default_folder(datasets, preset) if out is None else Path(out)
    titles = _numbered([dataset.name for dataset in datasets])
    names = _numbered([safe_name(title) for title in titles])
    metrics = [metrics_of(dataset) for dataset in datasets]
    columns = chosen_columns(columns or _SEVERAL, list(dict.fromkeys(chain.from_iterable(metrics))))
    figures = [published if published and published in dataset.name.lower() else None for dataset in datasets]
    if published and not any(figures):
        known = ", ".join(dataset.name for dataset in datasets)
        raise SettingsError([f"published = {published!r}: none of the data sets has this name ({known})"])
    parts = {}
    for name, dataset, own, figure in zip(names, datasets, metrics, figures, strict=True):
        shown = [key for key in columns if key in own or key in FACTS]
        place = folder / name
        parts[name] = compare(dataset, models, preset=preset, columns=shown, published=figure, out=place, **options)
    result = Comparisons(folder, parts, titles)
    css = _css()
    write_text(folder / "comparison.md", to_markdown(result.tables))
    write_text(folder / "comparison.tex", to_latex(result.tables, "comparison"))
    write_text(folder / "comparison.bib", bibliography_of(result.tables))
    write_text(folder / "comparison.html", to_html(result.tables, css))
    frames = [part.table.frame().assign(dataset=part.title) for part in result.tables]
    table = pd.concat(frames, ignore_index=True)
    write_table(folder / "comparison.csv", table[["dataset", *table.columns.drop("dataset")]])
    return result


def _numbered(names: Sequence[str]) -> list[str]:
    """Return the names; those that several data sets have get numbers."""
    return [
        name if names.count(name) == 1 else f"{name}-{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


_SEVERAL = ("mae", "corr", "acc2", "p")


def _default_folder(datasets: Sequence[Dataset], preset: str | Path | None) -> Path:
    names = "-".join(safe_name(dataset.name) for dataset in datasets)[:100]
    return Path("comparisons") / f"{names}-{Path(preset).stem if preset else 'default'}"


def metrics_of(dataset: Dataset) -> list[str]:
    """Return the keys of the metrics that labels of this range have."""
    return list(evaluate([0.0, 1.0], [0.0, 1.0], scale_for(dataset.manifest.label_range)).values)


def make_table(
    title: str,
    dataset: Dataset,
    grid: Grid,
    baseline: str,
    further: Sequence[Row],
    columns: tuple[str, ...] = (),
) -> Table:
    """Return the table of a grid, made from its run folders.

    Args:
        baseline: name of the case that the others are compared with.
        further: rows to append.
        columns: the columns that its files show; all if empty.

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
    return Table(title, metrics, (*rows, *further), baseline, neutral=neutral, columns=columns)


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
    """Write the table in every format, its picture, the case study, and a JSON file about what was compared."""
    figures = []
    if find_spec("matplotlib") is not None:  # part of the extra [report]; the tables do not need it
        with drawing():
            picture = table_picture(table, stem)
            figures = [inline_svg(picture.figure, picture.name, picture.alt)]
        write_pictures([Group("", "", [picture])], folder, latex=True)
    scores = {case.name: _test_scores(grid.of(case.name)) for case in grid.cases}
    cases, about = case_table(dataset, scores, table.baseline), f"{table.title}: single clips"
    write_text(folder / f"{stem}.md", to_markdown(table))
    write_text(folder / f"{stem}.tex", to_latex(table, stem))
    write_text(folder / f"{stem}.bib", bibliography_of(table))
    write_text(folder / f"{stem}.html", to_html(table, _css(), figures=figures, more=cases_html(cases, about)))
    write_table(folder / f"{stem}.csv", table.frame())
    write_text(folder / f"{stem}-cases.md", cases_markdown(cases, about))
    write_text(folder / f"{stem}-cases.tex", cases_latex(cases, about))
    write_table(folder / f"{stem}-cases.csv", cases)
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


def _css() -> str:
    return (resources.files("selfmm.report") / "page.css").read_text(encoding="utf-8")
