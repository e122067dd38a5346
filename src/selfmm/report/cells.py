"""Rows and cells of tables, as plain text that the page escapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from selfmm.evaluation.metrics import DESCRIPTIONS as METRICS
from selfmm.evaluation.metrics import describe
from selfmm.evaluation.tables import head
from selfmm.labels.audit.audit import DESCRIPTIONS as AUDIT
from selfmm.labels.audit.audit import Audit

_LONGEST = 400  # characters of a clip's text; some data sets have whole transcripts
_SHARES = {"coverage", "held", "clamped", "same_side", "flipped", "contradiction"}
_SHARES |= {"right", "right_trivial", "flipped_trivial"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

RECOVERY = (
    ("corr", "correlation"),
    ("mae", "mean absolute error"),
    ("rmse", "root mean squared error"),
    ("right", "contradicting clips, right sign"),
    ("flipped", "agreeing clips, wrong sign"),
)
"""Figures of recovery that the m-label also has, with their meaning."""
_EXPECTED = (
    ("expected", "expected error, mean"),
    ("rank_corr", "rank correlation with the error"),
    ("mae_best", "error where the least is expected"),
    ("mae_worst", "error where the most is expected"),
)


@dataclass(frozen=True)
class Row:
    """A row of a table: its name, its meaning, and its cells."""

    name: str
    meaning: str
    cells: Sequence[str]


def number(value: float, key: str = "") -> str:
    """Return a figure as text: shares in per cent, counts as integers, others with three decimals; ``–`` for NaN."""
    if math.isnan(value):
        return "–"
    if key in _SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if key == "clips" else f"{value:.3f}"


def words(value: object) -> str:
    """Return text on one line, without control characters and cut to the length of a cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    text = " ".join(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def audit_rows(audit: Audit) -> list[Row]:
    """Return a row per figure of the audit, with a cell per modality, without figures that no modality has."""
    return [
        Row(key.replace("_", " "), meaning, [number(float(value), key) for value in audit.figures[key]])
        for key, meaning in AUDIT.items()
        if audit.figures[key].notna().any()
    ]


def audit_gaps(audit: Audit) -> list[str]:
    """Return why figures have no value, one sentence per reason."""
    by_reason: dict[str, dict[str, list[str]]] = {}  # reason -> figure -> modalities
    for name, reasons in audit.reasons.items():
        for key, reason in reasons.items():
            by_reason.setdefault(reason, {}).setdefault(key.replace("_", " "), []).append(name)
    lines = []
    for reason, figures in by_reason.items():
        modalities = sorted({name for names in figures.values() for name in names})
        of_all = all(len(names) == len(audit.reasons) for names in figures.values())
        place = "" if of_all else f" of {', '.join(modalities)}"
        lines.append(f"no {', '.join(figures)}{place}: {reason}")
    return lines


def recovery_rows(recovery: pd.DataFrame) -> list[Row]:
    """Return the comparison with the true labels: the u-label, then the m-label as the trivial baseline."""
    rows = [Row("clips with a known label", "", [number(float(value), "clips") for value in recovery["clips"]])]
    for key, meaning in RECOVERY:
        pairs = zip(recovery[key], recovery[f"{key}_trivial"], strict=True)
        rows.append(Row(meaning, "", [f"{number(u, key)} | {number(m, key)}" for u, m in pairs]))
    known = [(key, meaning) for key, meaning in _EXPECTED if recovery[key].notna().any()]
    return rows + [Row(meaning, "", [number(float(value), key) for value in recovery[key]]) for key, meaning in known]


def split_rows(audit: Audit) -> list[Row]:
    """Return the correlation with the true labels per split; no rows if all clips are of one split."""
    if audit.by_split is None or audit.by_split.index.get_level_values("split").nunique() < 2:
        return []
    figures = audit.by_split.to_dict("index")
    splits = dict.fromkeys(audit.by_split.index.get_level_values("split"))
    names = dict.fromkeys(audit.by_split.index.get_level_values("modality"))
    return [Row(f"correlation, {split}", "", [_pair(figures.get((name, split))) for name in names]) for split in splits]


def _pair(figures: Mapping[Any, float] | None) -> str:
    if figures is None:
        return "–"
    return f"{number(figures['corr'])} | {number(figures['corr_trivial'])}"


def verdict_lines(audit: Audit) -> list[tuple[str, str]]:
    """Return each modality with the verdict on its labels, the most trusted first."""
    order = audit.figures["trust"].sort_values(ascending=False, kind="stable").index
    return [(str(name), audit.verdicts[str(name)]) for name in order]


def labels_of(audit: Audit) -> str:
    """Return which labels an audit is about."""
    if audit.epoch == 0:
        return "u-labels, estimated before training"
    best = ", whose weights the model has" if audit.of_model else ""
    return f"u-labels of epoch {audit.epoch}{best}"


def metric_rows(columns: Mapping[str, Mapping[str, float | None]], neutral: float) -> list[Row]:
    """Return a row per metric with its definition and a cell per column, from the values of ``metrics.json``."""
    rows = []
    for key in dict.fromkeys(key for values in columns.values() for key in values):
        plain = key in {"mae", "corr"} or key not in METRICS
        figures = [values.get(key) for values in columns.values()]
        cells = ["–" if value is None else f"{value:.4f}" if plain else f"{100 * value:.2f}" for value in figures]
        rows.append(Row(head(key), describe(key, neutral).partition(": ")[2], cells))
    return rows
