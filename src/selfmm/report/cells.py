"""Figures and words as they stand in the tables of a page; everything is plain text, which the page escapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from selfmm.evaluation.metrics import DESCRIPTIONS as METRICS
from selfmm.evaluation.tables import head
from selfmm.labels.audit.audit import DESCRIPTIONS as AUDIT
from selfmm.labels.audit.audit import Audit

_LONGEST = 400  # characters of a clip's text; some data sets hold whole transcripts
_SHARES = {"coverage", "held", "clamped", "same_side", "flipped", "right", "right_trivial", "flipped_trivial"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

RECOVERY = (
    ("corr", "correlation with the truth"),
    ("mae", "mean absolute error"),
    ("right", "contradicting clips on the right side"),
    ("flipped", "agreeing clips on the wrong side"),
)
"""Figures of recovery that the m-label has as well, and their meaning."""
_PREDICTS = (
    ("rank_corr", "quality against error: rank correlation"),
    ("mae_best", "mean absolute error, best quarter by quality"),
    ("mae_worst", "mean absolute error, worst quarter by quality"),
)


@dataclass(frozen=True)
class Row:
    """A line of a table: its head, what it means, and its cells."""

    name: str
    meaning: str
    cells: Sequence[str]


def number(value: float, key: str = "") -> str:
    """A figure for reading: shares in per cent, counts whole, all else with three places; ``–`` where there is none."""
    if math.isnan(value):
        return "–"
    if key in _SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if key == "clips" else f"{value:.3f}"


def words(value: object) -> str:
    """A stranger's text on one line: without control characters, and not longer than a cell can bear."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    text = " ".join(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def audit_rows(audit: Audit) -> list[Row]:
    """One line per figure of the audit, a cell per modality. Figures that no modality has are left out."""
    rows = []
    for key, meaning in AUDIT.items():
        values = audit.figures[key]
        if values.notna().any():
            rows.append(Row(key.replace("_", " "), meaning, [number(float(value), key) for value in values]))
    return rows


def audit_gaps(audit: Audit) -> list[str]:
    """Why figures have no value, one sentence per reason."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, reasons in audit.reasons.items():
        for key, reason in reasons.items():
            found.setdefault(reason, {}).setdefault(key.replace("_", " "), []).append(name)
    total = len(audit.reasons)
    lines = []
    for reason, keys in found.items():
        of = sorted({name for names in keys.values() for name in names})
        whom = "" if all(len(names) == total for names in keys.values()) else f" of {', '.join(of)}"
        lines.append(f"no {', '.join(keys)}{whom}: {reason}")
    return lines


def recovery_rows(found: pd.DataFrame) -> list[Row]:
    """The comparison with the truth: u-label first, then the m-label as the trivial answer."""
    rows = [Row("clips with a known truth", "", [number(float(value), "clips") for value in found["clips"]])]
    for key, meaning in RECOVERY:
        pairs = zip(found[key], found[f"{key}_trivial"], strict=True)
        rows.append(Row(meaning, "", [f"{number(u, key)} | {number(m, key)}" for u, m in pairs]))
    for key, meaning in _PREDICTS:
        rows.append(Row(meaning, "", [number(float(value), key) for value in found[key]]))
    return rows


def metric_rows(columns: Mapping[str, Mapping[str, float | None]]) -> list[Row]:
    """One line per metric with its definition, a cell per column; the values are those of ``metrics.json``."""
    keys = list(dict.fromkeys(key for values in columns.values() for key in values))
    rows = []
    for key in keys:
        cells = []
        for values in columns.values():
            value = values.get(key)
            plain = key in {"mae", "corr"} or key not in METRICS
            cells.append("–" if value is None else f"{value:.4f}" if plain else f"{100 * value:.2f}")
        rows.append(Row(head(key), METRICS.get(key, key).partition(": ")[2], cells))
    return rows
