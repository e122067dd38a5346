"""Predictions of recordings and explanations, laid out for the terminal; also readable without colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfmm.api import Explanation, Prediction
from selfmm.api.parts import (
    ADDS_NOTHING,
    FUSION,
    FrameShares,
    LabelScale,
    band_text,
    cautions,
    count,
    figure,
    language_name,
    printable,
    signed,
    title,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.api.parts import RunWorth, Transcript

_WIDE, _NARROW = 10, 5  # cells of a bar on each side of neutral
_HALF = 9  # characters of the longest bar of an explanation
_WORDS_SHOWN, _COLUMNS_SHOWN = 8, 3
_LEAST = 0.005  # smaller values print as 0.00
_UP, _DOWN = "#4a9ad4", "#e07b2a"  # the colour-blind can tell them apart, on dark and on light
_LOUDNESS = ((2 / 3, "bold reverse"), (1 / 3, "bold underline"), (0.1, ""))  # share of the strongest word, and style
_SOURCES = {"given": "given words", "subtitles": "subtitles", "recognised": "recognised words"}


def card(prediction: Prediction) -> Group:
    """Lay out a clip: why not to trust the run, if so; what came out; the scores; the transcript; and warnings."""
    low, high = prediction.label_range
    scores = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "score", f"{low:g} ... {high:g}", "4 of 5 within", "higher than"):
        scores.add_column(column, justify="right" if column == "score" else "left")
    for name, score in prediction.all_scores.items():
        heading = Text(title(name), style="bold" if name == FUSION else "")
        if score is None:
            scores.add_row(heading, "-", Text("missing", style="dim"), "", "")
        elif words := prediction.verdict(name):
            scores.add_row(Text(title(name), style="dim"), "", Text(words, style="dim"), "", "")
        else:
            shown = figure(score, (low, high)), _bar(score, (low, high)), prediction.interval_text(name)
            scores.add_row(heading, *shown, _place(prediction, name))
    for name, reason in prediction.unscored.items():
        scores.add_row(Text(title(name), style="dim"), "-", Text(printable(reason), style="dim"), "", "")
    if any(column for column in scores.columns[-1].cells):
        scores.caption, scores.caption_justify = "higher than: share of the training clips with a lower score", "left"
    else:
        scores.columns.pop()  # a model that comes with selfmm has no training clips to compare with
    head = Text.assemble((printable(prediction.id), "bold"), f"  {prediction.end - prediction.start:.1f} s")
    words = printable(prediction.transcript.text)
    source = _source(prediction.transcript)
    parts: list[RenderableType] = [Text(f"warning: {line}", style="yellow") for line in cautions(prediction.worth)]
    parts += [head, Text(prediction.sentence), scores]
    parts.append(Text.assemble((source, "dim"), f"“{words}”") if words else Text("no words"))
    parts += [Text(f"warning: {warning}", style="yellow") for warning in prediction.warnings]
    if prediction.explanation is not None:
        verdicts = {name: prediction.verdict(name) for name in prediction.all_scores}
        parts += [Text(""), render(prediction.explanation, prediction.spoken, verdicts)]
    return Group(*parts, Text(""))


def _source(transcript: Transcript) -> str:
    """Return where the words come from: also their language if it is not English, and an unusual recogniser."""
    language, recogniser = transcript.language, Path(transcript.recogniser).name
    how = [] if not recogniser or language in (None, "en") else [language_name(language)]
    how += [] if recogniser in ("", "tiny.en") else [f"by {printable(recogniser)}"]
    shown = f" ({', '.join(how)})" if how else ""
    return f"{_SOURCES[transcript.source]}{shown}: "


def table(predictions: Sequence[Prediction], *, curve: bool) -> Table:
    """Lay out one line per prediction, as wide as the terminal; words that do not fit are cut.

    Args:
        predictions: at least one.
        curve: whether these are spans of one recording, listed by their times; otherwise clips, listed by their names.
    """
    low, high = predictions[0].label_range
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    rows.add_column("seconds" if curve else "clip", no_wrap=True, justify="right" if curve else "left")
    rows.add_column("score", no_wrap=True, justify="right")
    if curve:
        rows.add_column(f"{low:g} ... {high:g}", no_wrap=True)
    for name in predictions[0].scores:
        rows.add_column(name, no_wrap=True, justify="right")
    rows.add_column("words", no_wrap=True, overflow="ellipsis", ratio=1)
    rows.add_column("warnings", no_wrap=True, justify="right")
    for prediction in predictions:
        first, *alone = [_figure(prediction, name) for name in prediction.all_scores]
        drawn = None if prediction.informs(FUSION) is False else prediction.score
        bar = [_bar(drawn, prediction.label_range, _NARROW)] if curve else []
        place = Text(f"{prediction.start:.1f} - {prediction.end:.1f}" if curve else printable(prediction.id))
        words = Text(" ".join(printable(prediction.transcript.text).split()), overflow="ellipsis")
        rows.add_row(place, first, *bar, *alone, words, Text(str(len(prediction.warnings) or ""), style="yellow"))
    rows.caption, rows.caption_justify = Text("\n".join(_remarks(predictions, curve=curve))), "left"
    return rows


def readable(table: pd.DataFrame, worth: RunWorth) -> pd.DataFrame:
    """Return a table of scores for a terminal: a score without information is replaced by the reason, and of the
    intervals only that of the fused score is left. Numbers are rounded, and labels are left out if there are none."""
    shown = table.drop(columns=[name for name in table if str(name).startswith(("low_", "high_", "informs"))])
    shown = shown.drop(columns=[name for name in ("label",) if name in shown and shown[name].isna().all()]).round(2)
    for name, score in worth.scores.items():
        column = "score" if name == FUSION else f"score_{name}"
        if column in shown and not score.informs:
            shown[column] = shown[column].astype(object).where(shown[column].isna(), verdict(score))
            shown = shown.drop(columns=["low", "high"]) if name == FUSION else shown
    return shown


def _remarks(predictions: Sequence[Prediction], *, curve: bool) -> list[str]:
    first = predictions[0]
    empty = [f"{title(name)} ({words})" for name in first.all_scores if (words := first.verdict(name))]
    lines = [f"?: {', '.join(empty)}"] if empty else []
    if first.worth is not None and first.worth.informs(FUSION):
        whose = "labels of whole clips" if curve else "labels"
        lines.append(f"four of five {whose} are within {band_text(first.worth.scores[FUSION].band)} of the score")
    if warnings := sum(len(prediction.warnings) for prediction in predictions):
        lines.append(f"{count(warnings, 'warning')}; see --json or --csv")
    return lines


def _figure(prediction: Prediction, name: str) -> Text:
    score = prediction.all_scores[name]
    if score is None:
        return Text("-", style="dim")
    if prediction.informs(name) is False:
        return Text("?", style="dim")
    return Text(figure(score, prediction.label_range))


def _place(prediction: Prediction, name: str) -> str:
    rank = prediction.ranks.get(name)
    return "" if rank is None else f"{rank:.0%}"


def _bar(score: float | None, label_range: tuple[float, float], half: int = _WIDE) -> Text:
    """Draw a bar from neutral in the middle: to the left for lower scores, to the right for higher ones."""
    scale = LabelScale.of(label_range)
    share = 0.0 if score is None else (score - scale.neutral) / scale.reach
    length = min(round(abs(share) * half), half)
    left, right = ("█" * length, "") if share < 0 else ("", "█" * length)
    return Text.assemble((left.rjust(half), "red"), "│", (right.ljust(half), "green"))


def render(
    explanation: Explanation, spoken: Sequence[float | None] = (), verdicts: Mapping[str, str] | None = None
) -> Group:
    """Lay out an explanation: the modalities' contributions, the transcript, the words and frames that matter most.

    Text from the data set is never rich markup.

    Args:
        explanation: the explanation of a clip.
        spoken: the start of each of its words in seconds; None if unknown.
        verdicts: why not to use a score, by its name, instead of which it is shown; empty or None: use it.
    """
    empty = verdicts or {}
    low, high = explanation.label_range
    shown = f": {empty[FUSION]}" if empty.get(FUSION) else f" {figure(explanation.score, (low, high))}"
    head = f"{printable(explanation.id)}  score{shown}"
    scale = f"  (labels from {low:g} to {high:g}, neutral {LabelScale.of((low, high)).neutral:g})"
    parts: list[RenderableType] = [Text.assemble((head, "bold"), (scale, "dim"))]
    if empty.get(FUSION):
        parts.append(Text("what follows is how the model makes the score, not a fact about the clip", "yellow"))
    parts.append(_modalities(explanation, empty))
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


def _modalities(explanation: Explanation, verdicts: Mapping[str, str]) -> Table:
    table = _table("\nWhat moves the score", "modality", "by", "", "content", "added", "alone")
    table.columns[2].justify = "left"
    longest = max((abs(part.value) for part in explanation.contributions), default=0.0)
    table.add_row(Text("(no modality)", style="dim"), figure(explanation.base, explanation.label_range), "", "", "", "")
    for part in explanation.contributions:
        known = "-" if part.alone is None else figure(part.alone, explanation.label_range)
        alone = Text(words, "dim") if (words := verdicts.get(part.modality)) else Text(known)
        figures = signed(part.content), signed(part.added), alone
        table.add_row(Text(part.modality), signed(part.value), _push(part.value, longest), *figures)
    for name in explanation.lacking:
        table.add_row(Text(name), "-", Text("the clip has none", style="dim"), "", "", "")
    score = figure(explanation.score, explanation.label_range)
    style = "dim" if verdicts.get(FUSION) else "bold"
    table.add_row(Text("score", style=style), Text(score, style=style), "", "", "", "")
    return table


def _push(value: float, longest: float) -> Text:
    """Draw a bar in half characters: to the left if the value lowers the score, to the right if it raises it."""
    halves = round(2 * _HALF * abs(value) / longest) if longest else 0
    whole, half = "█" * (halves // 2), halves % 2
    if value < 0:
        return Text(f"{'▐' * half}{whole}".rjust(_HALF) + "│" + " " * _HALF, style=_DOWN)
    return Text(" " * _HALF + "│" + f"{whole}{'▌' * half}".ljust(_HALF), style=_UP)


def _transcript(explanation: Explanation) -> Text:
    """Return the text. Reverse or underlined words move the score most; words that the model did not read are dim."""
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
    """Write the values with their names, without those that would print as 0."""
    shown = [
        Text.assemble((signed(value), _UP if value > 0 else _DOWN), f" {name}")
        for name, value in values
        if abs(value) >= _LEAST
    ]
    return Text(",  ").join(shown) if shown else Text("each moves it by less than 0.01", style="dim")


def _frames(frames: Iterable[FrameShares]) -> Table:
    table = _table("\nFrames", "modality", "by", "features", "strongest at")
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "left", False
    for shares in frames:
        if shares.adds_nothing:
            table.add_row(Text(shares.modality), signed(0.0), Text(ADDS_NOTHING, style="dim"), "")
            continue
        columns = ((printable(name), value) for name, value in shares.columns[:_COLUMNS_SHOWN])
        peak = Text(f"{shares.peak_place}, most by {printable(shares.peak_column)}")
        table.add_row(Text(shares.modality), signed(sum(shares.curve)), _signed(columns), peak)
    return table
