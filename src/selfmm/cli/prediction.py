"""One prediction, laid out for the terminal."""

from __future__ import annotations

import math

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfmm.data.scales import LabelScale
from selfmm.prediction import FUSION, Prediction

_HALF = 10  # cells of the bar on each side of neutral


def card(made: Prediction) -> Group:
    """The scores of a clip with their place among the training clips, the transcript, and what to mind."""
    scale = LabelScale.of(made.label_range)
    low, high = made.label_range
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "score", f"{low:g} ... {high:g}", "against the training clips"):
        table.add_column(column, justify="right" if column == "score" else "left")
    for name, score in {FUSION: made.score, **made.scores}.items():
        title = Text("all together" if name == FUSION else name, style="bold" if name == FUSION else "")
        if score is None:
            table.add_row(title, "-", Text("missing", style="dim"), "")
            continue
        table.add_row(title, f"{score:+.2f}", _bar((score - scale.neutral) / scale.reach), _place(made, name))
    head = Text.assemble((made.id, "bold"), f"  {made.end - made.start:.1f} s")
    said = made.transcript.text
    parts: list[RenderableType] = [head, table]
    parts.append(Text.assemble((_SOURCES[made.transcript.source], "dim"), f"“{said}”") if said else Text("no words"))
    parts += [Text(f"mind: {warning}", style="yellow") for warning in made.warnings]
    if made.explanation is not None:
        from selfmm.cli.explanation import render

        parts += [Text(""), render(made.explanation)]
    return Group(*parts, Text(""))


_SOURCES = {"given": "given words: ", "subtitles": "subtitles: ", "recognised": "recognised words: "}


def _place(made: Prediction, name: str) -> str:
    rank, spread = made.ranks[name], made.spreads.get(name)
    if rank is None or spread is None:
        return ""
    return f"above {rank:.0%} of them ({spread.mean:+.2f} ± {spread.deviation:.2f})"


def _bar(share: float) -> Text:
    """From the middle to the left for negative, to the right for positive."""
    length = min(math.ceil(abs(share) * _HALF), _HALF)
    left = " " * (_HALF - length) + "█" * length if share < 0 else " " * _HALF
    right = "█" * length if share > 0 else ""
    return Text.assemble((left, "red"), "│", (right.ljust(_HALF), "green"))
