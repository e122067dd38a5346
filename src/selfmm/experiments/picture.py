"""The picture of a table: the MAE of every seed, and the difference from the baseline with its interval."""

from __future__ import annotations

from selfmm.experiments.table import Table
from selfmm.report.style import INK, MUTED, PALETTE, WIDTH, Picture

_ROW, _FRAME = 0.27, 1.0  # inches
_TICKS = 5


def table_picture(table: Table, name: str) -> Picture:
    """Draw the systems of a table from top to bottom, without published figures: those were measured elsewhere.

    Args:
        name: name of the picture's files.
    """
    from matplotlib.figure import Figure

    rows = [row for row in table.rows if row.known("mae") and row.kind != "published"]
    figure = Figure(figsize=(2 * WIDTH, _FRAME + _ROW * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    parts = []
    for place, row in enumerate(rows):
        values, colour = row.known("mae"), PALETTE[0] if row.kind == "run" else MUTED
        if len(values) > 1:
            left.plot(values, [place] * len(values), ".", color=colour, alpha=0.6, markersize=5, zorder=2)
        left.plot(row.mean("mae"), place, "o", color=colour, markersize=7, zorder=3)
        if (gap := row.difference) is not None:
            right.plot([gap.low, gap.high], [place, place], color=PALETTE[0], solid_capstyle="butt", zorder=2)
            right.plot(gap.value, place, "o", color=PALETTE[0], markersize=6, zorder=3)
            parts.append(f"{row.name} {gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})")
    names = [row.title for row in rows]
    left.set_yticks(range(len(rows)), names)
    left.set_ylim(len(rows) - 0.4, -0.6)
    left.set_title("MAE on the test split")
    left.set_xlabel("small: each seed; large: their mean")
    right.axvline(0, color=INK, linewidth=0.8, linestyle="--", zorder=1)
    right.set_title(f"Difference from {table.baseline}")
    right.set_xlabel("left of 0 is better; bars: 95 % interval")
    for axes in (left, right):
        axes.locator_params(axis="x", nbins=_TICKS)
        axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
    means = ", ".join(f"{name} {row.mean('mae'):.3f}" for name, row in zip(names, rows, strict=True))
    compared = f" Difference from {table.baseline}: {'; '.join(parts)}." if parts else ""
    return Picture(name, f"{table.title}. MAE: {means}.{compared}", figure)
