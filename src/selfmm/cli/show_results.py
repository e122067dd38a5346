"""Results of training, laid out for the terminal: a run, several seeds, a comparison, a search; and settings."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import typer
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from selfmm.api import Metrics, SeedMetrics, SentimentModel, parts
from selfmm.api.parts import DESCRIPTIONS, cell, count, head, metrics_table
from selfmm.cli.output import as_options
from selfmm.cli.progress import plain
from selfmm.cli.show_settings import plain_value

if TYPE_CHECKING:
    from selfmm.api import (
        SeedRuns,
        Tuning,  # imports Optuna, which is an extra
    )
    from selfmm.api.parts import Table as ExperimentTable

_ROWS_SHOWN = 40
_FEW = 25  # clips; with 25, the 95 % interval of a correlation of .6 is .27 to .80
_FIXED, _COLUMN = 58, 11  # characters: the table of seeds without columns of seeds, and each of these columns
_WORTH = {"skill": "better by", "band": "4 of 5 within ±", "coverage": "held"}
_FACTS = {"best_epoch": "best epoch", "epochs": "epochs", "seconds": "seconds", "peak_memory": "peak memory, GB"}


def run_summary(model: SentimentModel) -> Group:
    """Lay out a finished run: why not to trust it, if so; metrics; what each score is worth; and its files."""
    content = model.metrics
    closed, of_runs = model.info.closed_form, bool(model.info.members)
    splits = ("train", "valid", "test") if closed else ("valid", "test")
    rows = {split: metrics_from_json(content["splits"][split]["fusion"]) for split in splits}
    rows = {split: metrics for split, metrics in rows.items() if metrics.count}
    few = [f"{metrics.count} in {split}" for split, metrics in rows.items() if metrics.count < _FEW]
    files = ["model", "metrics.json", "predictions.parquet"]
    files += ["labels.parquet"] if model.info.labels == "generated" else []
    files += [] if of_runs else ["history.jsonl"]
    lines = [f"{model.folder.path}: {', '.join(files)}"]
    if closed:
        lines.insert(0, "scores of rated clips are left out: fitted without their recording")
    elif not of_runs:
        chosen = f"best epoch {content['best_epoch']} of {len(model.history)}, chosen by the validation MAE"
        lines.insert(0, chosen)
    if few:
        lines.insert(0, f"few clips ({' and '.join(few)}): these figures depend strongly on chance")
    warnings = [Text(f"warning: {line}", style="yellow") for line in parts.cautions(model.worth)]
    tables = [] if not rows else [metrics_table(rows, parts.LabelScale.of(model.info.label_range).neutral)]
    tables += [parts.worth_table(model.worth)] if model.worth else []
    notes = [Text(as_options(line)) for line in content.get("fit", ())]
    notes += [Text(note, style="yellow") for note in model.notes]
    return Group(*warnings, *tables, *(Text(line) for line in lines), *notes)


def experiment_table(results: ExperimentTable, width: int) -> Group:
    """Lay out mean and deviation per system, with as many of the chosen metrics as fit into ``width`` characters."""
    table = Table(title=results.title, box=box.SIMPLE_HEAD, pad_edge=False)
    reasons = list(dict.fromkeys(row.note for row in results.rows if row.note))
    marks = [f" [{reasons.index(row.note) + 1}]" if row.note else "" for row in results.rows]
    names = [row.title + mark for row, mark in zip(results.rows, marks, strict=True)]
    metrics = [key for key in results.columns if key in results.metrics] or results.metrics
    shown = metrics[: max(1, (width - max(map(len, names)) - 20) // 18)]
    for number, name in enumerate(["", *map(head, shown), "Δ MAE", "p"]):
        table.add_column(Text(name), justify="left" if number == 0 else "right", no_wrap=number == 0)
    section = "run"
    for name, row in zip(names, results.rows, strict=True):
        if row.section != section:
            section = row.section
            table.add_section()
            table.add_row(Text(parts.SECTIONS[section].partition(":")[0], style="italic"))
        gap = row.difference
        ours = row.kind in ("run", "trivial")  # published figures were measured elsewhere
        best = [ours and row.mean(key) == results.best(key) for key in shown]
        figures = [
            Text(_figure(key, row.mean(key), row.deviation(key)), "bold" if bold else "")
            for key, bold in zip(shown, best, strict=True)
        ]
        facts = [f"{gap.value:+.3f}", f"{row.corrected:.3f}"] if gap else ["", ""]
        table.add_row(Text(name), *figures, *facts, style="dim" if row.kind in ("published", "failed") else "")
    notes = [f"[{number}] {as_options(note)}" for number, note in enumerate(reasons, start=1)]
    notes.append(f"Δ MAE: difference from {results.baseline}, with its p value after Holm's correction")
    return Group(table, *map(Text, [*notes, *parts.legend(results, shown)[:1]]))


def figure_table(*names: object) -> Table:
    """Return an empty table with a column for names on the left and columns for figures."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(Text(str(name)), justify="right" if place else "left", no_wrap=True)
    return table


def _figure(key: str, mean: float, deviation: float) -> str:
    return cell(key, mean) + ("" if math.isnan(deviation) else f" ± {cell(key, deviation)}")


def metrics_from_json(entry: Mapping[str, Any]) -> Metrics:
    """Read a task's entry of ``metrics.json``, where a missing value is null."""
    values = {key: math.nan if value is None else float(value) for key, value in entry["values"].items()}
    return Metrics(values, dict(entry["reasons"]), int(entry["count"]), int(entry["unlabelled"]))


def first_rows(frame: pd.DataFrame) -> Table:
    """Lay out the first rows of a frame."""
    more = len(frame) - _ROWS_SHOWN
    caption = f"{count(more, 'more row')}; write all of them with --out FILE.csv" if more > 0 else None
    table = Table(*map(str, frame.columns), caption=caption, caption_justify="left")
    for row in frame.head(_ROWS_SHOWN).itertuples(index=False):
        table.add_row(*(Text(plain_value(value)) for value in row))
    return table


def plain_table(frame: pd.DataFrame) -> Table:
    """Lay out a whole frame without lines between its columns."""
    table = Table(*map(str, frame.columns), box=box.SIMPLE_HEAD, pad_edge=False)
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(value)) for value in row))
    return table


def seeds_summary(result: SeedRuns, width: int) -> Group:
    """Lay out mean and deviation per metric, and each seed's figure on the test split if they fit into ``width``."""
    seeds = list(result.runs)
    shown = seeds if _FIXED + _COLUMN * len(seeds) <= width else []
    table = figure_table("metric", "valid", "test", *(f"test {seed}" for seed in shown))
    content = result.summary.join(result.figures.add_prefix("seed_"))
    rows = {str(key): {str(column): float(value) for column, value in row.items()} for key, row in content.iterrows()}
    for key in (key for key in DESCRIPTIONS if f"valid_{key}" in rows):
        splits = (rows[f"{split}_{key}"] for split in ("valid", "test"))
        both = [f"{cell(key, row['mean'])} ± {cell(key, row['std'])}" for row in splits]
        table.add_row(head(key), *both, *(cell(key, rows[f"test_{key}"][f"seed_{seed}"]) for seed in shown))
    for key, name in _WORTH.items():
        if key in rows:
            figures = {column: _share(value, percent=key != "band") for column, value in rows[key].items()}
            own = [figures[f"seed_{seed}"] for seed in shown]
            table.add_row(name, "", f"{figures['mean']} ± {figures['std']}", *own)
    for key, name in _FACTS.items():
        scale = 1e9 if key == "peak_memory" else 1
        figures = {column: _number(value / scale) for column, value in rows[key].items()}
        own = [figures[f"seed_{seed}"] for seed in shown]
        table.add_row(name, "", f"{figures['mean']} ± {figures['std']}", *own)
    over = f"mean ± deviation (n - 1) over {count(len(seeds), 'seed')}, each at its best epoch by the validation MAE"
    if "skill" in rows:
        over += "; better by: than always saying the same number"
    lines = [over, f"{result.folder}: seed-<seed>, summary.csv, summary.json", *parts.describe_failures(result.failed)]
    warnings = [Text(f"warning: {line}", style="yellow") for line in _cautions_of(result)]
    return Group(*warnings, table, *(Text(as_options(line)) for line in lines))


def _cautions_of(result: SeedRuns) -> list[str]:
    """Return the cautions of the runs, each once with the seeds that it is about."""
    seeds: dict[str, list[str]] = {}
    for seed, run in result.runs.items():
        for line in parts.cautions(run.worth()):
            seeds.setdefault(line, []).append(str(seed))
    return [
        line if len(numbers) == len(result.runs) else f"seed {', '.join(numbers)}: {line}"
        for line, numbers in seeds.items()
    ]


def _share(value: float, *, percent: bool) -> str:
    return "-" if math.isnan(value) else f"{value:.0%}" if percent else f"{value:.2f}"


def seed_metrics(metrics: SeedMetrics, split: str, width: int) -> Group:
    """Lay out mean and deviation per metric on a split, and each seed's figure if they fit into ``width``."""
    seeds = list(metrics.by_seed)
    shown = seeds if _FIXED + _COLUMN * len(seeds) <= width else []
    table = figure_table("metric", split, *(f"seed {seed}" for seed in shown))
    for key, row in metrics.summary.iterrows():
        own = [cell(str(key), float(row[f"seed_{seed}"])) for seed in shown]
        table.add_row(head(str(key)), f"{cell(str(key), row['mean'])} ± {cell(str(key), row['std'])}", *own)
    lines = [f"mean ± deviation (n - 1) over {count(len(seeds), 'seed')}; {count(metrics.count, 'clip')} with a label"]
    lines += [f"no {key}, because {reason}" for key, reason in metrics.reasons.items()]
    return Group(table, *map(Text, lines))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}" if abs(value) >= 1 or value == 0 else f"{value:.4f}"


def show_tuning(console: Console, result: Tuning, data: Path, start: Sequence[str]) -> None:
    """Print the settings of the start and of the best trial, which settings mattered, and what to do next.

    Args:
        start: command-line options that the search started from, ``--preset`` and ``--set``.
    """
    from selfmm.api.parts import describe_counts

    console.print(_tuning_table(result))
    seed, model = result.settings.seed, result.search.base.model
    named = ["--model", model] if result.search.base.own_code else []  # selfmm runs no code that is not named
    seeds = ["--seeds", f"{seed + 1}-{seed + 5}"]
    hint = "share: part of the differences between complete trials that a setting explains (fANOVA); only a hint"
    lines = [
        f"{describe_counts(result.counts)}; the best is trial {result.best.number}",
        *([hint] if result.importance else []),
        f"{result.folder}: best.toml, trials.csv",
        "",
    ]
    if result.best.start:
        lines += [
            "No trial was better than the settings at the start, so best.toml holds those. To try more: the same "
            "command with a larger --trials, and --resume."
        ]
    else:
        lines += [
            "The best of several figures on one split is optimistic. Check it with other seeds, then on the test "
            "split:",
            _command("train", data, *named, "--preset", result.preset, *seeds),
            _command("compare", data, "--models", f"{model},{result.preset}", *seeds, *start),
        ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)  # commands can be copied


def _command(*words: object) -> str:
    return f"  selfmm {shlex.join(map(str, words))}"


def _tuning_table(result: Tuning) -> Table:
    table = figure_table("", "start", "best", *(["share"] if result.importance else []))
    start, best = result.start, result.best
    columns: list[Mapping[str, Any]] = [{} if start is None else start.values, best.values]
    table.add_row("valid MAE", *(_mae(None if trial is None else trial.outcome.mae) for trial in (start, best)))
    table.add_row("at epoch", *(plain(None if trial is None else trial.outcome.epoch) for trial in (start, best)))
    for key in sorted(result.search.spaces, key=lambda key: -result.importance.get(key, 0.0)):
        shares = [f"{result.importance[key]:.2f}"] if result.importance else []
        table.add_row(Text(key), *(Text(plain(values.get(key))) for values in columns), *shares)
    return table


def _mae(mae: float | None) -> str:
    return "-" if mae is None else f"{mae:.4f}"


def deliver(table: pd.DataFrame, out: Path | None) -> None:
    """Write a table to a file by its ending; without a file, print it, as CSV unless to a terminal."""
    if out is not None:
        parts.write_table(out, table)
        typer.echo(f"{out}: {parts.count(len(table), 'row')}")
    elif sys.stdout.isatty():
        Console().print(first_rows(table))
    else:
        typer.echo(table.to_csv(index=False), nl=False)
