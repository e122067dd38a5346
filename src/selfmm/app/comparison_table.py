"""Comparisons of models in the folder that is shown, written by ``selfmm compare`` and ``selfmm ablate``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from selfmm.api import parts
from selfmm.app.workspace import Workspace

_KIND = {
    "run": "trained here",
    "trivial": "needs no training: what a model must beat",
    "published": "published elsewhere, on other features",
    "failed": "no result",
}


@dataclass(frozen=True)
class ComparisonRow:
    """A row of the table of a comparison.

    Attributes:
        name, kind: of the system; ``kind`` in words.
        cells: mean and deviation of each metric, as texts.
        difference: the MAE minus that of the baseline, with its 95 % interval, as text; empty if unknown.
        verdict: what the difference means.
        runs: the names of its runs in the folder.
        note: its source, or why it failed.
    """

    name: str
    kind: str
    cells: tuple[tuple[str, str], ...]
    difference: str
    verdict: str
    runs: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class ComparisonTable:
    """The table of a comparison; ``problem`` is why it cannot be shown, or empty."""

    name: str
    data: str = ""
    baseline: str = ""
    seeds: int = 0
    heads: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    rows: tuple[ComparisonRow, ...] = ()
    problem: str = ""


def comparison_rows(workspace: Workspace) -> list[ComparisonTable]:
    """Return the table of each comparison, the last changed first."""
    return [_table(workspace, item.name) for item in workspace.items("comparison")]


def _table(workspace: Workspace, name: str) -> ComparisonTable:
    folder = workspace.root / name
    try:
        content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
        frame = pd.read_csv(folder / "comparison.csv")
        metrics = [key for key in parts.DESCRIPTIONS if f"{key}_mean" in frame]
        members: dict[str, list[str]] = {}
        inside = "" if name == "." else f"{name}/"
        for item in workspace.items("run"):
            parent, _, seed = item.name.rpartition("/")
            if parent.startswith(inside) and seed.startswith("seed-"):
                members.setdefault(parent.removeprefix(inside), []).append(item.name)
        rows = tuple(_row(row, metrics, str(content["baseline"]), members) for row in frame.to_dict("records"))
        return ComparisonTable(
            name,
            str(content["dataset"]),
            str(content["baseline"]),
            len(content["seeds"]),
            tuple(map(parts.head, metrics)),
            tuple(parts.DESCRIPTIONS[key].partition(": ")[2] for key in metrics),
            rows,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path of the file
        return ComparisonTable(name, problem=f"It cannot be read: {reason}. Run selfmm compare again with --resume.")


def _row(row: Mapping[Any, Any], metrics: list[str], baseline: str, members: Mapping[str, list[str]]) -> ComparisonRow:
    name, cells = str(row["system"]), []
    for key in metrics:
        spread = float(row.get(f"{key}_std", math.nan))
        more = "" if math.isnan(spread) else f"± {parts.cell(key, spread)}"
        text = parts.cell(key, float(row[f"{key}_mean"]))
        cells.append(("–" if text == "-" else text, more))
    difference, verdict = _difference(row, baseline)
    note = row.get("note")
    return ComparisonRow(
        name,
        _KIND.get(str(row["kind"]), str(row["kind"])),
        tuple(cells),
        difference,
        verdict,
        tuple(sorted(members.get(parts.safe_name(name), members.get(name, [])))),
        "" if not isinstance(note, str) else note,
    )


def _difference(row: Mapping[Any, Any], baseline: str) -> tuple[str, str]:
    value, low, high = (float(row.get(f"mae_difference{end}", math.nan)) for end in ("", "_low", "_high"))
    if str(row["system"]) == baseline:
        return "", "the others are compared with this one"
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return "", ""
    text = f"{value:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "−")
    if low > 0:
        return text, f"worse than {baseline}"
    if high < 0:
        return text, f"better than {baseline}"
    return text, f"may be as good as {baseline}"
