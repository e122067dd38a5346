"""Figures as tables: of several splits or tasks for the terminal, and mean and deviation over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from selfmm.evaluation.metrics import DESCRIPTIONS, HIGHER_IS_BETTER, Metrics

_PLAIN = ("mae", "corr")
"""Shown as they are; all others are shares and shown in per cent, as papers do."""


def head(key: str) -> str:
    """What a metric is called: name, unit, and which way is better.

    >>> head("acc2_has0"), head("mae")
    ('Acc-2 has0 % ↑', 'MAE ↓')
    """
    if key not in DESCRIPTIONS:
        return key
    name = DESCRIPTIONS[key].partition(":")[0]
    return f"{name}{'' if key in _PLAIN else ' %'} {'↑' if HIGHER_IS_BETTER[key] else '↓'}"


def metrics_table(columns: Mapping[str, Metrics]) -> Table:
    """A row per metric with its meaning, a column per name (a split, a task, a model), for the terminal.

    Shares are shown in per cent with two places, MAE and Corr with four; a figure without a value is ``-``, and
    the caption says why.

    Args:
        columns: name -> its figures. Rows are all the keys that occur.
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
        table.add_row(head(key), *cells, Text(DESCRIPTIONS.get(key, key).partition(": ")[2]))
    return table


def summarise(runs: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Mean and standard deviation of each figure over runs (seeds).

    Args:
        runs: per run, key -> figure. NaN, and a key that a run lacks, are left out.

    Returns:
        One row per key in order of appearance, columns ``mean``, ``std`` (over n - 1; NaN for fewer than two
        values) and ``runs`` (how many had a value).
    """
    keys = list(dict.fromkeys(key for run in runs for key in run))
    table = pd.DataFrame([dict(run) for run in runs], columns=keys, dtype="float64")
    summary = pd.DataFrame({"mean": table.mean(), "std": table.std(ddof=1), "runs": table.count()})
    return summary.rename_axis("metric")


def cell(key: str, value: float) -> str:
    """A figure as it is shown: shares in per cent with two places, all others with four; ``-`` without a value."""
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if key in _PLAIN or key not in DESCRIPTIONS else f"{100 * value:.2f}"


def _reasons(rows: Mapping[str, Metrics]) -> list[str]:
    """One line per row and reason, naming the columns it explains."""
    lines = []
    for name, metrics in rows.items():
        for reason in dict.fromkeys(metrics.reasons.values()):
            columns = [DESCRIPTIONS.get(k, k).partition(":")[0] for k, r in metrics.reasons.items() if r == reason]
            lines.append(f"{name}: no {', '.join(columns)}, because {reason}")
        if metrics.unlabelled:
            lines.append(f"{name}: {metrics.unlabelled} clips have no label and are left out")
    return lines
