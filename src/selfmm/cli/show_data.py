"""An inspection, laid out for the terminal."""

from __future__ import annotations

import math
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfmm.api import Inspection
from selfmm.api.parts import LabelScale, Lengths
from selfmm.cli.output import as_options

_BAR = 24  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


def render(inspection: Inspection) -> Group:
    """Lay out an inspection: splits, label histogram, modalities, then problems and notes.

    Text from the data set (names, ids) is never rich markup.
    """
    low, high = inspection.label_range
    parts: list[RenderableType] = [
        Text(f"{inspection.name}  ({inspection.path}), labels in [{low:g}, {high:g}]", style="bold"),
        _splits(inspection),
        _histogram(inspection),
        _modalities(inspection),
        *_ranges(inspection),
        _lengths(inspection),
        *_list("Problems", inspection.problems, "red"),
        *_list("Notes", tuple(map(as_options, inspection.notes)), "yellow"),
    ]
    if not inspection.problems:
        unread = "" if inspection.verified else " (checksums not compared)"
        parts.append(Text(f"No problems found{unread}.", style="green"))
    return Group(*parts)


def _table(title: str, first: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    for name in heads:
        table.add_column(name, justify="right")
    return table


def _splits(inspection: Inspection) -> Table:
    neutral = LabelScale.of(inspection.label_range).neutral
    sides = ("negative", f"neutral ({neutral:g})" if neutral else "zero", "positive")
    heads = ("clips", "videos", "no label", *sides, "mean", "std")
    table = _table("\nSplits", "split", *heads)
    for name, split in inspection.splits.items():
        counts = (split.clips, split.videos, split.unlabelled, split.negative, split.zero, split.positive)
        table.add_row(name, *(f"{n:,}" for n in counts), _number(split.mean), _number(split.std))
    return table


def _histogram(inspection: Inspection) -> Table:
    """Lay out one line per bin: a bar for all splits together, and the count in each split."""
    table = _table("\nLabels", "from ... to", "", *inspection.splits)
    table.columns[1].justify = "left"
    bins = list(zip(*(split.histogram for split in inspection.splits.values()), strict=True))
    longest = max((sum(counts) for counts in bins), default=0)
    for (low, high), counts in zip(pairwise(inspection.bin_edges), bins, strict=False):
        bar = Text(_bar(sum(counts), longest), style="cyan")
        table.add_row(f"{low:+.2f} ... {high:+.2f}", bar, *(f"{n:,}" for n in counts))
    return table


def _bar(count: int, longest: int) -> str:
    eighths = math.ceil(8 * _BAR * count / longest) if longest else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _modalities(inspection: Inspection) -> Table:
    table = _table("\nModalities", "modality", "kind", "dim", "length in all", "missing", "not finite", "constant")
    for name, m in inspection.modalities.items():
        counts = (f"{m.frames:,} {m.unit}", f"{m.missing.count:,}", f"{m.non_finite.count:,}")
        table.add_row(name, m.kind, str(m.dim or "-"), *counts, str(len(m.constant_columns)))
    return table


def _ranges(inspection: Inspection) -> list[Table]:
    """Lay out the values of the features: over all, and of the one with the largest root mean square."""
    table = _table("\nFeatures", "modality", "min", "max", "deviation", "largest (rms)", "min", "max", "deviation")
    for name, modality in inspection.modalities.items():
        if (ranges := modality.ranges) is not None:
            widest = ranges.widest
            overall = (ranges.lowest, ranges.highest, ranges.deviation)
            own = map(_short, (widest.lowest, widest.highest, widest.deviation))
            table.add_row(name, *map(_short, overall), Text(widest.name), *own)
    return [table] if table.rows else []


def _short(value: float) -> str:
    return f"{value:.3g}"


def _lengths(inspection: Inspection) -> Table:
    table = _table("\nLengths", "modality", "split", "shortest", "25 %", "median", "75 %", "95 %", "longest")
    table.columns[1].justify = "left"
    for name, modality in inspection.modalities.items():
        for split, lengths in modality.lengths.items():
            table.add_row(f"{name} ({modality.unit})", split, *_quantiles(lengths))
    return table


def _quantiles(lengths: Lengths) -> tuple[str, ...]:
    values = (lengths.shortest, lengths.quarter, lengths.median, lengths.three_quarters, lengths.p95, lengths.longest)
    return tuple(f"{round(value):,}" for value in values)


def _list(title: str, sentences: tuple[str, ...], style: str) -> list[RenderableType]:
    lines = [Text(f"  - {sentence}") for sentence in sentences]
    return [Text(f"\n{title}", style=style), *lines] if lines else []


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
