"""The picture of one clip's explanation: its modalities, its words, and voice and face over time."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from selfmm.core.errors import OutputError
from selfmm.core.files import atomic_file
from selfmm.data.scales import LabelScale
from selfmm.explain.explanation import Explanation, FrameShares
from selfmm.explain.words import printable, words_in
from selfmm.report.style import INK, MUTED, PALETTE, WIDTH, Picture, drawing, png, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

UP, DOWN = PALETTE[0], PALETTE[1]
"""Colours of what raises and what lowers the score."""

_WIDE = 2 * WIDTH  # inches
_BARS, _HEAD = 6, 0.62  # bars in a chart at most; inches above and below them
_LINE, _SIZE, _GAP = 15.0, 8.5, 3.0  # of the transcript, in points: line height, letter size, space between words
_ROOM = 72 * _WIDE - 22  # in points, for a line
_LONGEST = 22  # characters of a name
_SMALL = 0.03  # of the reach of the labels
_LINES = 40  # of the transcript
# Chinese, Japanese and Korean, as Linux, macOS and Windows have them.
_WIDE_FONTS = ("Noto Sans CJK SC", "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei")


def explanation_picture(explanation: Explanation) -> Picture:
    """Draw a whole explanation, from the top: modalities and strongest words, the transcript, curves over time.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    with drawing(), any_script():
        from matplotlib.figure import Figure

        lines = _lines(explanation)
        rows = [_HEAD + 0.24 * max(_BARS if explanation.words else 0, _bar_count(explanation), 2)]
        rows += [0.45 + len(lines) * _LINE / 72] if lines else []
        rows += [1.7] * len(explanation.frames)
        figure = Figure(figsize=(_WIDE, 0.4 + sum(rows)), layout="constrained")
        figure.suptitle(_title(explanation), x=0.01, ha="left", fontsize=10, fontweight="bold", parse_math=False)
        parts = iter(figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0])
        _streams(next(parts), explanation)
        if lines:
            _transcript(
                next(parts), lines, max([_floor(explanation), *(abs(word.value) for word in explanation.words)])
            )
        for stream in explanation.frames:
            _frames(next(parts), stream, _floor(explanation))
        settle(figure)
    return Picture("explanation", _alt(explanation), figure)


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture as a PNG or an SVG file, according to its name.

    Raises:
        OutputError: if the name has another ending, or the file cannot be written.
    """
    kinds = {".png": png, ".svg": svg}
    if path.suffix not in kinds:
        raise OutputError(f"unknown format of {path}: give a name that ends in {' or '.join(kinds)}.")
    with drawing(), any_script(), atomic_file(path) as temporary:
        temporary.write_bytes(kinds[path.suffix](picture.figure))


@contextmanager
def any_script() -> Iterator[None]:
    """Inside ``drawing``, take characters that matplotlib's font lacks from a font of this machine. Without one they
    are drawn as boxes, with no warning for each."""
    import matplotlib
    from matplotlib.font_manager import get_font_names

    known, log = set(get_font_names()), logging.getLogger("matplotlib.font_manager")
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", *(name for name in _WIDE_FONTS if name in known)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        level = log.level
        log.setLevel(logging.ERROR)  # else it warns that some of them have no bold letters
        try:
            yield
        finally:
            log.setLevel(level)


def settle(figure: Figure) -> None:
    """Fix the layout. The solver leaves noise in the last digits, which an SVG uses in its names."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.p0, part.bbox_relative.p1 = (np.round(end, 6) for end in part.bbox_relative.get_points())
    for axes in figure.axes:
        x, y, width, height = np.round(axes.get_position(original=True).bounds, 6).tolist()
        axes.set_position((x, y, width, height))


def _title(explanation: Explanation) -> str:
    low, high = explanation.label_range
    return f"{_cut(explanation.id, 40)}: score {explanation.score:+.2f} (labels from {low:g} to {high:g})"


def _cut(text: str, longest: int = _LONGEST) -> str:
    """Shorten a text in the middle: names of features differ at both ends."""
    text = printable(text)
    half = longest // 2
    return text if len(text) <= longest else f"{text[: longest - half]}…{text[1 - half :]}"


def _bar_count(explanation: Explanation) -> int:
    return len(explanation.contributions) + len(explanation.lacking) + 1


def _floor(explanation: Explanation) -> float:
    """Return the smallest value that fills a chart: contributions of almost nothing should look like it."""
    return _SMALL * LabelScale.of(explanation.label_range).reach


def _streams(part: SubFigure, explanation: Explanation) -> None:
    left, *right = part.subplots(1, 2 if explanation.words else 1, squeeze=False)[0]
    values = [(stream.modality, stream.value) for stream in explanation.contributions]
    lacking = [(f"{name} (none)", math.nan) for name in explanation.lacking]
    bars = [("with no modality", explanation.base), *values, *lacking]
    _signed_bars(left, "Contributions to the score", bars, _floor(explanation))
    for axes in right:
        strongest = [(word.word, word.value) for word in explanation.strongest_words(_BARS)]
        _signed_bars(axes, "Strongest words", strongest, _floor(explanation))


def _signed_bars(axes: Axes, title: str, bars: Sequence[tuple[str, float]], floor: float) -> None:
    """Draw bars from the top down, each with its name and its number; NaN has neither bar nor number."""
    axes.set_title(title)
    values = np.array([value for _, value in bars])
    places = np.arange(len(bars))
    axes.barh(places, values, height=0.66, color=np.where(values < 0, DOWN, UP).tolist())
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        figure = "–" if math.isnan(value) else f"{value:+.2f}"
        placement: Any = {"xytext": (32, 0), "textcoords": "offset points", "ha": "right", "va": "center_baseline"}
        axes.annotate(figure, (1, place), xycoords=("axes fraction", "data"), **placement)
    most = max(float(np.nanmax(np.abs(values))), floor)
    axes.set_xlim(-most if (values < 0).any() else 0.0, most if not (values < 0).all() else 0.0)
    axes.set_yticks(places, [_cut(name) for name, _ in bars], parse_math=False)
    axes.set_ylim(max(len(bars), 1) - 0.5, -0.5)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


def _lines(explanation: Explanation) -> list[list[tuple[float, str, float | None]]]:
    """Return the transcript in lines of (place in points, word, value); None for words that the model did not read."""
    if not explanation.words:
        return []
    lines: list[list[tuple[float, str, float | None]]] = [[]]
    at, before = 0.0, 0
    for start, end, value in _pieces(explanation):
        word, width = _fitting(explanation.text[start:end])
        at += _GAP if start > before else 0.0  # no space between a word and its punctuation
        if lines[-1] and at + width > _ROOM:
            if len(lines) == _LINES:
                lines[-1].append((at, "…", None))
                break
            lines.append([])
            at = 0.0
        lines[-1].append((at, word, value))
        at, before = at + width + 2, end
    return lines


def _pieces(explanation: Explanation) -> Iterator[tuple[int, int, float | None]]:
    for word in explanation.words:
        yield word.start, word.end, word.value
    last = explanation.words[-1].end
    yield from ((start, end, None) for start, end in words_in(explanation.text) if start >= last)


def _fitting(word: str) -> tuple[str, float]:
    """Return a word and its width in points; cut if no line is long enough."""
    word = printable(word)
    while (width := _width(word)) > _ROOM:
        word = f"{word[: int(len(word) * _ROOM / width) - 1]}…"
    return word, width


def _width(word: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(word, FontProperties(size=_SIZE), False)
    return float(width)


def _transcript(part: SubFigure, lines: list[list[tuple[float, str, float | None]]], most: float) -> None:
    axes = part.subplots()
    axes.set_title("Transcript: blue raises the score, orange lowers it", fontsize=9)
    axes.set_xlim(-2, _ROOM + 8)
    axes.set_ylim(len(lines) * _LINE, 0)
    axes.set_axis_off()
    for number, line in enumerate(lines):
        for at, word, value in line:
            strength = abs(value or 0.0) / most
            box: Any = {
                "boxstyle": "square,pad=0.12",
                "facecolor": (UP if value is not None and value > 0 else DOWN, 0.75 * strength),
                "edgecolor": "none",
            }
            label = axes.text(
                at,
                (number + 0.55) * _LINE,
                word,
                fontsize=_SIZE,
                color=MUTED if value is None else INK,
                va="center_baseline",
                parse_math=False,
                bbox=box,
            )
            label.set_in_layout(False)  # it fits by its measured width


def _frames(part: SubFigure, stream: FrameShares, floor: float) -> None:
    left, right = part.subplots(1, 2)
    rate = stream.rate or 1.0
    values = np.array(stream.curve)
    edges = np.arange(len(values) + 1) / rate
    for colour, side in ((UP, np.maximum(values, 0)), (DOWN, np.minimum(values, 0))):
        left.stairs(side, edges, fill=True, color=colour, linewidth=0)
    left.axhline(0, color=MUTED, linewidth=0.8)
    left.set_xlim(0, edges[-1])
    left.set_title(f"{stream.modality} over time ({values.sum():+.2f})", parse_math=False)
    left.set_xlabel("frame" if stream.rate is None else "seconds")
    left.locator_params(axis="y", nbins=4)
    _signed_bars(right, "Strongest features", stream.columns[: _BARS - 1], floor)


def _alt(explanation: Explanation) -> str:
    streams = ", ".join(f"{part.modality} {part.value:+.2f}" for part in explanation.contributions) or "none"
    words = ", ".join(f"{printable(word.word)} {word.value:+.2f}" for word in explanation.strongest_words(_BARS))
    peaks = "".join(
        f" {stream.modality} changes it most at {stream.peak_place}, through {printable(stream.peak_column)}."
        for stream in explanation.frames
    )
    strongest = f" Strongest words: {words}." if words else ""
    return (
        f"Score {explanation.score:+.2f}; with no modality {explanation.base:+.2f}; modalities: {streams}."
        f"{strongest}{peaks}"
    )
