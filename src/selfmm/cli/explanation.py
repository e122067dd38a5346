"""An explanation, laid out for the terminal; readable without colours as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfmm.data.scales import LabelScale
from selfmm.explain.explanation import Explanation, FrameShares
from selfmm.explain.words import printable
from selfmm.recordings.prediction import figure

_HALF = 9  # characters of the longest bar
_WORDS_SHOWN, _COLUMNS_SHOWN = 8, 3
_LEAST = 0.005  # what is less prints as 0.00
_UP, _DOWN = "#4a9ad4", "#e07b2a"  # the colour-blind can tell them apart, on dark and on light
_LOUDNESS = ((2 / 3, "bold reverse"), (1 / 3, "bold underline"), (0.1, ""))  # share of the strongest word, and style


def render(explanation: Explanation, spoken: Sequence[float | None] = ()) -> Group:
    """Lays out an explanation: the streams' contributions, the transcript, the words and frames that matter most.

    Text from the data set is never read as rich markup.

    Args:
        explanation: of a clip.
        spoken: when each of its words begins, in seconds, where that is known.
    """
    low, high = explanation.label_range
    head = f"{printable(explanation.id)}  score {figure(explanation.score, (low, high))}"
    scale = f"  (labels from {low:g} to {high:g}, neutral {LabelScale.of((low, high)).neutral:g})"
    parts: list[RenderableType] = [Text.assemble((head, "bold"), (scale, "dim")), _streams(explanation)]
    if explanation.words:
        parts += [Text("\nWords", style="italic"), _transcript(explanation), _strongest(explanation, spoken)]
    if explanation.frames:
        parts.append(_frames(explanation.frames))
    return Group(*parts)


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _streams(explanation: Explanation) -> Table:
    table = _table("\nWhat moves the score", "stream", "by", "", "content", "added", "alone")
    table.columns[2].justify = "left"
    longest = max((abs(part.value) for part in explanation.contributions), default=0.0)
    table.add_row(Text("(no stream)", style="dim"), figure(explanation.base, explanation.label_range), "", "", "", "")
    for part in explanation.contributions:
        figures = (
            _change(part.content),
            _change(part.added),
            "-" if part.alone is None else figure(part.alone, explanation.label_range),
        )
        table.add_row(Text(part.modality), _change(part.value), _bar(part.value, longest), *figures)
    for name in explanation.lacking:
        table.add_row(Text(name), "-", Text("the clip has none", style="dim"), "", "", "")
    table.add_row(
        Text("score", style="bold"),
        Text(figure(explanation.score, explanation.label_range), style="bold"),
        "",
        "",
        "",
        "",
    )
    return table


def _change(value: float) -> str:
    """A difference of scores: it has a sign, whether the labels have one or not."""
    return figure(value, (-1.0, 1.0))


def _bar(value: float, longest: float) -> Text:
    """To the left of the middle what lowers the score, to the right what raises it; in half characters."""
    halves = round(2 * _HALF * abs(value) / longest) if longest else 0
    whole, half = "█" * (halves // 2), halves % 2
    if value < 0:
        return Text(f"{'▐' * half}{whole}".rjust(_HALF) + "│" + " " * _HALF, style=_DOWN)
    return Text(" " * _HALF + "│" + f"{whole}{'▌' * half}".ljust(_HALF), style=_UP)


def _transcript(explanation: Explanation) -> Text:
    """The text; words in reverse or underlined move the score most. What the model did not read is dim."""
    text = Text(printable(explanation.text))
    longest = max(abs(word.value) for word in explanation.words)
    for word in explanation.words:
        loudness = next((style for least, style in _LOUDNESS if abs(word.value) >= max(least * longest, _LEAST)), None)
        if loudness is not None:
            text.stylize(f"{loudness} {_UP if word.value > 0 else _DOWN}", word.start, word.end)
    text.stylize("dim", explanation.words[-1].end)
    return text


def _strongest(explanation: Explanation, spoken: Sequence[float | None]) -> Text:
    times = {id(word): time for word, time in zip(explanation.words, spoken, strict=False) if time is not None}
    words = [
        (printable(word.word) + (f" ({times[id(word)]:.1f} s)" if id(word) in times else ""), word.value)
        for word in explanation.strongest_words(_WORDS_SHOWN)
    ]
    return Text("  ").append_text(_signed(words))


def _signed(values: Iterable[tuple[str, float]]) -> Text:
    """Each with its sign and number; nothing that would print as 0."""
    shown = [
        Text.assemble((_change(value), _UP if value > 0 else _DOWN), f" {name}")
        for name, value in values
        if abs(value) >= _LEAST
    ]
    return Text(",  ").join(shown) if shown else Text("none moves it by as much as 0.01", style="dim")


def _frames(frames: Iterable[FrameShares]) -> Table:
    table = _table("\nFrames", "stream", "by", "features", "strongest at")
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "left", False
    for stream in frames:
        columns = ((printable(name), value) for name, value in stream.columns[:_COLUMNS_SHOWN])
        peak = Text(f"{stream.peak_place}, most by {printable(stream.peak_column)}")
        table.add_row(Text(stream.modality), _change(sum(stream.curve)), _signed(columns), peak)
    return table
