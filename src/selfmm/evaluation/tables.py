"""Metrics in tables, and their mean and standard deviation over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from selfmm.core.messages import clips
from selfmm.evaluation.metrics import DESCRIPTIONS, HIGHER_IS_BETTER, Metrics, describe
from selfmm.evaluation.verdicts import HEADS, worth_notes, worth_rows, worth_title
from selfmm.evaluation.worth import RunWorth

_PLAIN = ("mae", "corr")
"""Metrics that are shown as they are. All others are shares, shown in per cent as in papers."""


def head(key: str) -> str:
    """Return the heading of a metric: its name, its unit, and an arrow towards better values.

    >>> head("acc2_has0"), head("mae")
    ('Acc-2 has0 % ↑', 'MAE ↓')
    """
    if key not in DESCRIPTIONS:
        return key
    name = DESCRIPTIONS[key].partition(":")[0]
    return f"{name}{'' if key in _PLAIN else ' %'} {'↑' if HIGHER_IS_BETTER[key] else '↓'}"


def metrics_table(columns: Mapping[str, Metrics], neutral: float = 0.0) -> Table:
    """Return a table for the terminal: a row per metric with its meaning, a column per split, task or model.

    Shares are shown in per cent with two places, MAE and Corr with four. A metric without a value is ``-``, and the
    caption gives the reason.

    Args:
        columns: the metrics of each column, by its name. There is a row for every key that occurs.
        neutral: the label between negative and positive, for the meanings.
    """
    keys = list(dict.fromkeys(key for metrics in columns.values() for key in metrics.values))
    caption = Text("\n".join(_reasons(columns)))
    table = Table(box=box.SIMPLE_HEAD, caption=caption if caption else None, caption_justify="left", pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for name in columns:
        table.add_column(Text(name), justify="right", no_wrap=True)
    table.add_column("meaning", style="dim")
    table.add_row("clips", *(str(metrics.count) for metrics in columns.values()), "with a label")
    for key in keys:
        cells = [cell(key, metrics.values.get(key, math.nan)) for metrics in columns.values()]
        table.add_row(head(key), *cells, Text(describe(key, neutral).partition(": ")[2]))
    return table


def worth_table(worth: RunWorth) -> Table:
    """Return a table for the terminal: what each score is worth. Scores without information are grey."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=worth_title(worth), title_justify="left")
    for place, name in enumerate(HEADS):
        table.add_column(name, justify="right" if place else "left", no_wrap=len(name) < 12)
    for row, score in zip(worth_rows(worth), worth.scores.values(), strict=True):
        table.add_row(*map(Text, row), style="" if score.informs else "dim")
    table.caption, table.caption_justify = Text("\n".join(worth_notes(worth))), "left"
    return table


def summarise(runs: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Return the mean and standard deviation of each metric over runs (seeds).

    Args:
        runs: the metrics of each run, by key. NaN and missing keys are left out.

    Returns:
        One row per key in order of appearance, columns ``mean``, ``std`` (over n - 1; NaN for fewer than two
        values) and ``runs`` (the number of runs with a value).
    """
    keys = list(dict.fromkeys(key for run in runs for key in run))
    table = pd.DataFrame([dict(run) for run in runs], columns=keys, dtype="float64")
    summary = pd.DataFrame({"mean": table.mean(), "std": table.std(ddof=1), "runs": table.count()})
    return summary.rename_axis("metric")


def cell(key: str, value: float) -> str:
    """Return a metric for a table: shares in per cent with two places, all others with four; ``-`` for NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if key in _PLAIN or key not in DESCRIPTIONS else f"{100 * value:.2f}"


def _reasons(columns: Mapping[str, Metrics]) -> list[str]:
    """Return one line per column and reason, with the metrics that it applies to."""
    lines = []
    for name, metrics in columns.items():
        for reason in dict.fromkeys(metrics.reasons.values()):
            keys = [describe(k).partition(":")[0] for k, r in metrics.reasons.items() if r == reason]
            lines.append(f"{name}: no {', '.join(keys)}, because {reason}")
        if metrics.unlabelled:
            lines.append(f"{name}: {clips(metrics.unlabelled)} without a label left out")
    return lines
