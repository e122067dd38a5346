"""Rows and cells of tables, as plain text that the page escapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from selfmm.evaluation.metrics import DESCRIPTIONS as METRICS
from selfmm.evaluation.metrics import describe
from selfmm.evaluation.tables import head
from selfmm.labels.audit.audit import DESCRIPTIONS as AUDIT
from selfmm.labels.audit.audit import Audit

_LONGEST = 400  # characters of a clip's text; some data sets have whole transcripts
_SHARES = {"coverage", "held", "clamped", "same_side", "flipped", "right", "right_trivial", "flipped_trivial"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

RECOVERY = (
    ("corr", "correlation with the truth"),
    ("mae", "mean absolute error"),
    ("right", "contradicting clips with the correct sign"),
    ("flipped", "agreeing clips with the wrong sign"),
)
"""Figures of recovery that the m-label also has, with their meaning."""
_PREDICTS = (
    ("rank_corr", "rank correlation of quality and error"),
    ("mae_best", "mean absolute error, best quarter by quality"),
    ("mae_worst", "mean absolute error, worst quarter by quality"),
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
    for key, meaning in _PREDICTS:
        rows.append(Row(meaning, "", [number(float(value), key) for value in recovery[key]]))
    return rows


def metric_rows(columns: Mapping[str, Mapping[str, float | None]], neutral: float) -> list[Row]:
    """Return a row per metric with its definition and a cell per column, from the values of ``metrics.json``."""
    rows = []
    for key in dict.fromkeys(key for values in columns.values() for key in values):
        plain = key in {"mae", "corr"} or key not in METRICS
        figures = [values.get(key) for values in columns.values()]
        cells = ["–" if value is None else f"{value:.4f}" if plain else f"{100 * value:.2f}" for value in figures]
        rows.append(Row(head(key), describe(key, neutral).partition(": ")[2], cells))
    return rows
