"""The audit of labels, laid out for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfmm.api import Audit
from selfmm.api.parts import (
    Row,
    audit_gaps,
    audit_rows,
    labels_of,
    number,
    recovery_rows,
    split_rows,
    verdict_lines,
    words,
)

_CLIPS_SHOWN = 8
_TEXT = 60  # characters of a clip's text


def render(audit: Audit) -> Group:
    """Lay out figures per modality, the comparison with the truth, the verdicts, and the clips to look at.

    Text from the data set (names, ids, texts) is never rich markup.
    """
    names = [str(name) for name in audit.figures.index]
    parts: list[RenderableType] = [_rows(labels_of(audit), names, audit_rows(audit))]
    if audit.outcomes is not None:
        shares = [
            Row(str(key).replace("_", " "), "", [f"{100 * float(value):.1f} %" for value in audit.outcomes[key]])
            for key in audit.outcomes.columns
        ]
        parts.append(_rows("outcomes, share of the clips", names, shares))
    if audit.recovery is not None:
        known = [str(name) for name in audit.recovery.index]
        title = "compared with the known labels: u-label | m-label, the trivial answer"
        parts.append(_rows(title, known, [*recovery_rows(audit.recovery), *split_rows(audit)]))
    parts += [Text.assemble((f"{name}: ", "bold"), words(verdict)) for name, verdict in verdict_lines(audit)]
    parts.append(Text())
    parts.append(_clips(audit.clips.head(_CLIPS_SHOWN), names))
    parts += [Text(f"note: {words(note)}", style="yellow") for note in (*audit.notes, *audit_gaps(audit))]
    return Group(*parts)


def _table(title: str, first: str, names: Sequence[str]) -> Table:
    table = Table(first, title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(Text(name), justify="right", no_wrap=True)
    return table


def _rows(title: str, names: list[str], rows: Sequence[Row]) -> Table:
    table = _table(title, "figure", names)
    meanings = any(row.meaning for row in rows)
    if meanings:
        table.add_column("meaning", style="dim")
    for row in rows:
        table.add_row(row.name, *row.cells, *([Text(row.meaning)] if meanings else []))
    return table


def _clips(clips: pd.DataFrame, names: list[str]) -> RenderableType:
    if not len(clips):
        return Text("no clip has labels that differ from each other.")
    alone = "clips whose labels are farthest from their m-labels"
    heading = "clips on which the modalities disagree most" if len(names) > 1 else alone
    table = _table(heading, "clip", ["m", *names])
    spoken = "text" in clips and clips["text"].map(words).astype(bool).any()
    if spoken:
        table.add_column("text")
    for row in clips.to_dict("records"):
        figures = [number(float(row[key])) for key in ("m_label", *(f"u_{name}" for name in names))]
        line = words(row.get("text"))
        text = [Text(line if len(line) <= _TEXT else f"{line[: _TEXT - 1]}…")] if spoken else []
        table.add_row(Text(words(row["id"])), *figures, *text)
    return table


def to_values(audit: Audit) -> dict[str, Any]:
    """Return every figure unrounded; a missing value is NaN here, and null in JSON."""
    return {
        "epoch": audit.epoch,
        "modalities": audit.figures.to_dict("index"),
        "reasons": {name: dict(reasons) for name, reasons in audit.reasons.items()},
        "outcomes": None if audit.outcomes is None else audit.outcomes.to_dict("index"),
        "recovery": None if audit.recovery is None else audit.recovery.to_dict("index"),
        "by_split": None if audit.by_split is None else audit.by_split.reset_index().to_dict("records"),
        "verdicts": dict(audit.verdicts),
        "by_epoch": audit.by_epoch.to_dict("records"),
        "clips": audit.clips.astype(object).where(audit.clips.notna(), None).to_dict("records"),
        "notes": list(audit.notes),
    }
