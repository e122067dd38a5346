"""What the commands print: settings, a run's results, scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from selfmm.config.settings import StreamSettings
from selfmm.evaluation.metrics import Metrics
from selfmm.evaluation.tables import cell, head, metrics_table
from selfmm.experiments.table import Row, legend
from selfmm.experiments.table import Table as ExperimentTable
from selfmm.runs.trained_model import TrainedModel

_ROWS_SHOWN = 40
_FEW = 25  # clips; a correlation of .6 may then be any from .27 to .80


def settings_table(settings: BaseModel) -> Table:
    """Every setting with its value and meaning; the names are those of ``--set`` and of TOML files."""
    table = Table("setting", "value", "meaning", box=None, pad_edge=False)

    def walk(group: BaseModel, prefix: str) -> None:
        for name, field in type(group).model_fields.items():
            value = getattr(group, name)
            if isinstance(value, BaseModel):
                walk(value, f"{prefix}{name}.")
            elif name == "stream":
                for modality, stream in (value or {"<modality>": StreamSettings()}).items():
                    walk(stream, f"stream.{modality}.")
            else:
                table.add_row(f"{prefix}{name}", Text(_plain(value)), Text(field.description or ""))

    walk(settings, "")
    return table


def run_summary(model: TrainedModel) -> Group:
    """Metrics of a finished run, and where everything lies."""
    content = model.metrics
    rows = {split: metrics_from_json(content["splits"][split]["fusion"]) for split in ("valid", "test")}
    rows = {split: metrics for split, metrics in rows.items() if metrics.count}
    few = [f"{metrics.count} in {split}" for split, metrics in rows.items() if metrics.count < _FEW]
    path = model.folder.path
    epochs = len(model.history)
    labels = "labels.parquet, " if model.info.labels == "generated" else ""
    lines = [
        f"best epoch {content['best_epoch']} of {epochs}, chosen by the validation MAE",
        f"{path}: model, metrics.json, predictions.parquet, {labels}history.jsonl",
    ]
    if few:
        lines.insert(0, f"few clips ({' and '.join(few)}): much of these figures is chance")
    return Group(metrics_table(rows), *(Text(line) for line in lines))


def experiment_table(found: ExperimentTable, width: int) -> Group:
    """Mean and deviation per system, as many metrics as ``width`` characters hold; the files have all."""
    table = Table(title=found.title, box=box.SIMPLE_HEAD, pad_edge=False)
    names = max(len(row.name) for row in found.rows)
    shown = found.metrics[: max(1, (width - names - 20) // 18)]
    for number, name in enumerate(["", *map(head, shown), "Δ MAE", "p"]):
        table.add_column(Text(name), justify="left" if number == 0 else "right")
    for row in found.rows:
        gap = row.difference
        ours = row.kind in ("run", "trivial")  # what is published was measured elsewhere
        best = [ours and row.mean(key) == found.best(key) for key in shown]
        figures = [Text(_figure(row, key), "bold" if bold else "") for key, bold in zip(shown, best, strict=True)]
        facts = [f"{gap.value:+.3f}", f"{row.corrected:.3f}"] if gap else ["", ""]
        style = "dim" if row.kind in ("published", "failed") else ""
        table.add_row(Text(row.name), *figures, *facts, style=style)
    notes = [f"{row.name}: {row.note}" for row in found.rows if row.note]
    notes.append(f"Δ MAE: less that of {found.baseline}, with the p value of a paired permutation test (Holm)")
    return Group(table, *map(Text, [*notes, *legend(found)[:1]]))


def _figure(row: Row, key: str) -> str:
    deviation = row.deviation(key)
    return cell(key, row.mean(key)) + ("" if math.isnan(deviation) else f" ± {cell(key, deviation)}")


def metrics_from_json(entry: Mapping[str, Any]) -> Metrics:
    """A task's entry of ``metrics.json``, where a value that does not exist is null."""
    values = {key: math.nan if value is None else float(value) for key, value in entry["values"].items()}
    return Metrics(values, dict(entry["reasons"]), int(entry["count"]), int(entry["unlabelled"]))


def plain_table(frame: pd.DataFrame) -> Table:
    """The first rows of a frame."""
    shown = frame.head(_ROWS_SHOWN)
    more = len(frame) - len(shown)
    caption = f"{more} more rows; write them all with --out FILE.csv" if more else None
    table = Table(*map(str, shown.columns), caption=caption, caption_justify="left")
    for row in shown.itertuples(index=False):
        table.add_row(*(Text(_plain(value)) for value in row))
    return table


def _plain(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:g}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "all"
    return str(value)
