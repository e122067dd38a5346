"""The table of an experiment: its rows, its columns, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.evaluation.metrics import DESCRIPTIONS, HIGHER_IS_BETTER, describe
from selfmm.experiments.paired import Difference

Kind = Literal["run", "trivial", "published", "failed"]
Section = Literal["run", "trivial", "published"]
SECTIONS: Mapping[Section, str] = {
    "run": "Trained here",
    "trivial": "Trivial baselines",
    "published": "Published by others: other features, splits and machines",
}
"""The parts of a table, in their order, and their titles."""

FACTS = ("difference", "p", "parameters", "seconds", "memory")
"""Columns besides the metrics: the difference in MAE from the baseline, its p value, and the cost."""
_FAMILIES = {"acc2": ("acc2_has0", "acc2_non0", "acc2"), "f1": ("f1_has0", "f1_non0", "f1")}


@dataclass(frozen=True)
class Row:
    """The row of one system.

    Attributes:
        name: the system's name.
        kind: trained here (``run``), a trivial baseline, published elsewhere, or without a result (``failed``).
        figures: values per metric, one per seed; shares in [0, 1].
        difference: its MAE minus the baseline's; None for the baseline itself, or if it cannot be computed.
        others: the same for further metrics, by key; their p values are not corrected.
        corrected: ``difference.p`` after Holm's correction over all rows.
        parameters, trained: number of parameters, and of those that were trained; None if unknown.
        seconds, memory: training time (mean over seeds) and peak memory in bytes; None if unknown.
        note: source of a published row, or the reason why a run failed.
        source: who published the figures, in a word or two.
        cites: keys of ``papers.bib`` of the publications that report the figures, besides the paper of the model.
    """

    name: str
    kind: Kind
    figures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    difference: Difference | None = None
    others: Mapping[str, Difference] = field(default_factory=dict)
    corrected: float | None = None
    parameters: int | None = None
    trained: int | None = None
    seconds: float | None = None
    memory: float | None = None
    note: str = ""
    source: str = ""
    cites: tuple[str, ...] = ()

    @property
    def section(self) -> Section:
        """The part of the table to which the row belongs."""
        return "run" if self.kind == "failed" else self.kind

    @property
    def title(self) -> str:
        """The name, with what the row is if it is not a system trained here."""
        published = f"published, {self.source}" if self.source else "published"
        what = {"published": published, "trivial": "trivial", "failed": "no result"}.get(self.kind)
        return f"{self.name} ({what})" if what else self.name

    @property
    def seeds(self) -> int:
        return max((len(values) for values in self.figures.values()), default=0)

    def known(self, key: str) -> list[float]:
        """Return the values of a metric that are not NaN."""
        return [value for value in self.figures.get(key, ()) if not math.isnan(value)]

    def mean(self, key: str) -> float:
        """Return the mean over the seeds; NaN without a value."""
        return float(np.mean(values)) if (values := self.known(key)) else math.nan

    def deviation(self, key: str) -> float:
        """Return the standard deviation (n - 1); NaN for fewer than two values."""
        return float(np.std(values, ddof=1)) if len(values := self.known(key)) > 1 else math.nan


@dataclass(frozen=True)
class Table:
    """The table of an experiment.

    Attributes:
        title: one line.
        metrics: keys of the metric columns.
        rows: in the order shown.
        baseline: name of the row that the others are compared with.
        remarks: sentences below the table.
        neutral: the label between negative and positive, for the meanings of metrics.
        columns: the metrics and facts that its files show; all if empty. The CSV file has them all.
    """

    title: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    baseline: str
    remarks: tuple[str, ...] = ()
    neutral: float = 0.0
    columns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Table {self.title!r}: {', '.join(row.name for row in self.rows)}>"

    def shown(self, *, facts: Sequence[str] = FACTS) -> tuple[str, ...]:
        """Return the chosen columns; without a choice, all metrics and these facts."""
        return self.columns or (*self.metrics, *facts)

    def best(self, key: str) -> float:
        """Return the best mean of a metric, without published rows: those were measured elsewhere."""
        means = [row.mean(key) for row in self.rows if row.kind in ("run", "trivial") and not math.isnan(row.mean(key))]
        if not means:
            return math.nan
        return max(means) if HIGHER_IS_BETTER.get(key, True) else min(means)

    def frame(self) -> pd.DataFrame:
        """Return one unrounded row per system: ``<metric>_mean``, ``_std``, ``_runs``, differences, sizes, notes."""
        return pd.DataFrame([_flat(row, self.metrics) for row in self.rows])


def _flat(row: Row, metrics: Sequence[str]) -> dict[str, object]:
    flat: dict[str, object] = {"system": row.name, "kind": row.kind, "seeds": row.seeds}
    for key in metrics:
        flat |= {f"{key}_mean": row.mean(key), f"{key}_std": row.deviation(key), f"{key}_runs": len(row.known(key))}
    unknown = Difference(*[math.nan] * 4)
    differences = {**{key: row.others.get(key) for key in metrics if key != "mae"}, "mae": row.difference}
    for key, difference in differences.items():
        difference = difference or unknown
        flat |= {
            f"{key}_difference": difference.value,
            f"{key}_difference_low": difference.low,
            f"{key}_difference_high": difference.high,
            "p" if key == "mae" else f"{key}_p": difference.p,
        }
    return flat | {
        "p_holm": math.nan if row.corrected is None else row.corrected,
        "parameters": row.parameters,
        "trained_parameters": row.trained,
        "seconds": row.seconds,
        "peak_memory_bytes": row.memory,
        "note": row.note,
    }


def legend(table: Table, columns: Sequence[str]) -> list[str]:
    """Return the meaning of these columns, one line each."""
    seeds = sorted({row.seeds for row in table.rows if row.kind == "run"})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "no"
    noun = "seed" if seeds == [1] else "seeds"
    lines = [
        f"Test split. Mean ± standard deviation (n - 1) over {count} {noun}, each at its best epoch by validation MAE; "
        "the best mean of each column is bold, published figures excluded.",
        *(describe(key, table.neutral) + "." for key in columns if key in DESCRIPTIONS),
    ]
    if any(row.difference for row in table.rows):
        if "difference" in columns:
            lines.append(
                f"MAE minus {table.baseline}'s: below 0 is better; in brackets its 95 % interval by a paired bootstrap "
                "over videos and seeds, not corrected for the number of rows."
            )
        if "p" in columns:
            lines.append(
                f"p: of the difference in MAE from {table.baseline}, the larger of two p values, by a paired "
                "permutation test over videos and by the bootstrap over videos and seeds, with Holm's correction over "
                "the rows. So p below .05 never goes with an interval that holds 0; an interval without 0 can go with "
                "p above .05, because only p is corrected."
            )
    if "seconds" in columns or "memory" in columns:
        lines.append("s: seconds to train one seed, with other runs in parallel; GB: peak memory of its process.")
    return lines


def chosen_columns(columns: Sequence[str], metrics: Collection[str]) -> tuple[str, ...]:
    """Return the columns that a user chose; ``acc2`` and ``f1`` stand for all of their kind.

    Args:
        columns: keys of metrics, ``acc2``, ``f1``, or ``FACTS``.
        metrics: the metrics that the table has.

    Raises:
        SettingsError: if a column does not exist.

    >>> chosen_columns(["mae", "acc2", "p"], ["mae", "corr", "acc2_has0", "acc2_non0"])
    ('mae', 'acc2_has0', 'acc2_non0', 'p')
    """
    known = [*metrics, *(name for name, members in _FAMILIES.items() if {*members} & {*metrics}), *FACTS]
    wrong = [f"columns: {name!r} is not a column{did_you_mean(name, known)}" for name in columns if name not in known]
    if wrong:
        raise SettingsError(wrong)
    expanded = [key for name in columns for key in _FAMILIES.get(name, (name,)) if key in known]
    return tuple(dict.fromkeys(key for key in expanded if key in metrics or key in FACTS))
