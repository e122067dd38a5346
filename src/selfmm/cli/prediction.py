"""Predictions of recordings, laid out for the terminal: one as a card, many as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfmm.data.scales import LabelScale
from selfmm.explain.words import printable
from selfmm.recordings.prediction import FUSION, Prediction, figure

_WIDE, _NARROW = 10, 5  # cells of a bar on each side of neutral
_SOURCES = {"given": "given words: ", "subtitles": "subtitles: ", "recognised": "recognised words: "}


def card(made: Prediction) -> Group:
    """The scores of a clip with their place among the training clips, the transcript, and what to mind."""
    low, high = made.label_range
    scores = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "score", f"{low:g} ... {high:g}", "training clips"):
        scores.add_column(column, justify="right" if column == "score" else "left")
    for name, score in {FUSION: made.score, **made.scores}.items():
        title = Text("all together" if name == FUSION else name, style="bold" if name == FUSION else "")
        if score is None:
            scores.add_row(title, "-", Text("missing", style="dim"), "")
        else:
            scores.add_row(title, figure(score, made.label_range), _bar(score, made.label_range), _place(made, name))
    head = Text.assemble((printable(made.id), "bold"), f"  {made.end - made.start:.1f} s")
    said = printable(made.transcript.text)
    parts: list[RenderableType] = [head, scores]
    parts.append(Text.assemble((_SOURCES[made.transcript.source], "dim"), f"“{said}”") if said else Text("no words"))
    parts += [Text(f"mind: {warning}", style="yellow") for warning in made.warnings]
    if made.explanation is not None:
        from selfmm.cli.explanation import render

        parts += [Text(""), render(made.explanation, made.spoken)]
    return Group(*parts, Text(""))


def table(made: Sequence[Prediction], *, curve: bool) -> Table:
    """One line each, as wide as the terminal: what is said is cut where it does not fit.

    Args:
        made: at least one prediction.
        curve: these are spans of one recording, told apart by their times; otherwise clips, by their names.
    """
    low, high = made[0].label_range
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    rows.add_column("seconds" if curve else "clip", no_wrap=True, justify="right" if curve else "left")
    rows.add_column("score", no_wrap=True, justify="right")
    if curve:
        rows.add_column(f"{low:g} ... {high:g}", no_wrap=True)
    for name in made[0].scores:
        rows.add_column(name, no_wrap=True, justify="right")
    rows.add_column("said", no_wrap=True, overflow="ellipsis", ratio=1)
    rows.add_column("mind", no_wrap=True, justify="right")
    for one in made:
        first, *alone = [_figure(score, one.label_range) for score in (one.score, *one.scores.values())]
        bar = [_bar(one.score, one.label_range, _NARROW)] if curve else []
        title = Text(f"{one.start:.1f} - {one.end:.1f}" if curve else printable(one.id))
        said = Text(" ".join(printable(one.transcript.text).split()), overflow="ellipsis")
        rows.add_row(title, first, *bar, *alone, said, Text(str(len(one.warnings) or ""), style="yellow"))
    if any(one.warnings for one in made):
        rows.caption = "mind: so many warnings, which --json and --csv spell out"
        rows.caption_justify = "left"
    return rows


def _figure(score: float | None, label_range: tuple[float, float]) -> Text:
    return Text("-", style="dim") if score is None else Text(figure(score, label_range))


def _place(made: Prediction, name: str) -> str:
    rank, spread = made.ranks[name], made.spreads.get(name)
    if rank is None or spread is None:
        return ""
    return f"above {rank:.0%} ({figure(spread.mean, made.label_range)} ± {spread.deviation:.2f})"


def _bar(score: float | None, label_range: tuple[float, float], half: int = _WIDE) -> Text:
    """From neutral in the middle to the left for lower scores, to the right for higher ones."""
    scale = LabelScale.of(label_range)
    share = 0.0 if score is None else (score - scale.neutral) / scale.reach
    length = min(round(abs(share) * half), half)
    left, right = ("█" * length, "") if share < 0 else ("", "█" * length)
    return Text.assemble((left.rjust(half), "red"), "│", (right.ljust(half), "green"))
