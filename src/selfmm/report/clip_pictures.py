"""The picture of one clip's explanation: modalities, words, and the frames over time."""

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
from selfmm.explain.explanation import ADDS_NOTHING, Explanation, FrameShares, signed
from selfmm.explain.words import printable, words_in
from selfmm.report.style import INK, MUTED, PALETTE, WIDTH, Picture, drawing, png, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

UP, DOWN = PALETTE[0], PALETTE[1]
"""Colours for raising and for lowering the score."""

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
    """Draw an explanation, from the top: modalities and strongest words, the transcript, curves over time.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    with drawing(), any_script():
        from matplotlib.figure import Figure

        lines = _lines(explanation)
        bars = max(_BARS if explanation.words else 0, len(explanation.contributions) + len(explanation.lacking) + 1, 2)
        rows = [_HEAD + 0.24 * bars]
        rows += [0.45 + len(lines) * _LINE / 72] if lines else []
        rows += [0.45 if shares.adds_nothing else 1.7 for shares in explanation.frames]
        figure = Figure(figsize=(_WIDE, 0.4 + sum(rows)), layout="constrained")
        figure.suptitle(_title(explanation), x=0.01, ha="left", fontsize=10, fontweight="bold", parse_math=False)
        parts = iter(figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0])
        _modalities(next(parts), explanation)
        if lines:
            most = max([_floor(explanation), *(abs(word.value) for word in explanation.words)])
            _transcript(next(parts), lines, most)
        for shares in explanation.frames:
            _frames(next(parts), shares, _floor(explanation))
        settle(figure)
    return Picture("explanation", _alt(explanation), figure)


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture as a PNG or SVG file, depending on the ending of the name.

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
    """Inside ``drawing``, use this machine's fonts for characters that matplotlib's font lacks; without such a font
    they become boxes, without warnings."""
    import matplotlib
    from matplotlib.font_manager import get_font_names

    known, log = set(get_font_names()), logging.getLogger("matplotlib.font_manager")
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", *(name for name in _WIDE_FONTS if name in known)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        level = log.level
        log.setLevel(logging.ERROR)  # some fonts have no bold letters, which it would warn about
        try:
            yield
        finally:
            log.setLevel(level)


def settle(figure: Figure) -> None:
    """Fix the layout, without the solver's noise in the last digits, which would change the names in an SVG."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.p0, part.bbox_relative.p1 = (np.round(end, 6) for end in part.bbox_relative.get_points())
    for axes in figure.axes:
        x, y, width, height = np.round(axes.get_position(original=True).bounds, 6).tolist()
        axes.set_position((x, y, width, height))


def _title(explanation: Explanation) -> str:
    low, high = explanation.label_range
    return f"{_cut(explanation.id, 40)}: score {signed(explanation.score)} (labels from {low:g} to {high:g})"


def _cut(text: str, longest: int = _LONGEST) -> str:
    """Shorten text in the middle, since names of features differ at both ends."""
    text = printable(text)
    half = longest // 2
    return text if len(text) <= longest else f"{text[: longest - half]}…{text[1 - half :]}"


def _floor(explanation: Explanation) -> float:
    """Return the smallest value that fills a chart, so that tiny contributions look tiny."""
    return _SMALL * LabelScale.of(explanation.label_range).reach


def _modalities(part: SubFigure, explanation: Explanation) -> None:
    left, *right = part.subplots(1, 2 if explanation.words else 1, squeeze=False)[0]
    values = [(modality.modality, modality.value) for modality in explanation.contributions]
    lacking = [(f"{name} (none)", math.nan) for name in explanation.lacking]
    bars = [("with no modality", explanation.base), *values, *lacking]
    _signed_bars(left, "Contributions to the score", bars, _floor(explanation))
    for axes in right:
        strongest = [(word.word, word.value) for word in explanation.strongest_words(_BARS)]
        _signed_bars(axes, "Strongest words", strongest, _floor(explanation))


def _signed_bars(axes: Axes, title: str, bars: Sequence[tuple[str, float]], floor: float) -> None:
    """Draw bars from the top down, with names and numbers; NaN has neither bar nor number."""
    axes.set_title(title)
    values = np.array([value for _, value in bars])
    places = np.arange(len(bars))
    axes.barh(places, values, height=0.66, color=np.where(values < 0, DOWN, UP).tolist())
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        figure = "–" if math.isnan(value) else signed(value)
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
    """Return the transcript as lines of (place in points, word, value); None for words that the model did not read."""
    if not explanation.words:
        return []
    lines: list[list[tuple[float, str, float | None]]] = [[]]
    last = explanation.words[-1].end
    words = [(word.start, word.end, word.value) for word in explanation.words]
    unread = [(start, end, None) for start, end in words_in(explanation.text) if start >= last]
    place, before = 0.0, 0
    for start, end, value in (*words, *unread):
        word, width = _fitting(explanation.text[start:end])
        place += _GAP if start > before else 0.0  # no space between a word and its punctuation
        if lines[-1] and place + width > _ROOM:
            if len(lines) == _LINES:
                lines[-1].append((place, "…", None))
                break
            lines.append([])
            place = 0.0
        lines[-1].append((place, word, value))
        place, before = place + width + 2, end
    return lines


def _fitting(word: str) -> tuple[str, float]:
    """Return a word and its width in points; a word longer than a line is cut."""
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
        for place, word, value in line:
            ground = (UP if value is not None and value > 0 else DOWN, 0.75 * abs(value or 0.0) / most)
            style: Any = {
                "fontsize": _SIZE,
                "color": MUTED if value is None else INK,
                "va": "center_baseline",
                "parse_math": False,
                "bbox": {"boxstyle": "square,pad=0.12", "facecolor": ground, "edgecolor": "none"},
            }
            label = axes.text(place, (number + 0.55) * _LINE, word, **style)
            label.set_in_layout(False)  # its measured width fits


def _frames(part: SubFigure, shares: FrameShares, floor: float) -> None:
    if shares.adds_nothing:
        axes = part.subplots()
        axes.set_axis_off()
        axes.set_title(f"{shares.modality} over time {ADDS_NOTHING}", parse_math=False)
        return
    left, right = part.subplots(1, 2)
    values = np.array(shares.curve)
    edges = np.arange(len(values) + 1) / (shares.rate or 1.0)
    for colour, side in ((UP, np.maximum(values, 0)), (DOWN, np.minimum(values, 0))):
        left.stairs(side, edges, fill=True, color=colour, linewidth=0)
    left.axhline(0, color=MUTED, linewidth=0.8)
    left.set_xlim(0, edges[-1])
    left.set_title(f"{shares.modality} over time ({signed(values.sum())})", parse_math=False)
    left.set_xlabel("frame" if shares.rate is None else "seconds")
    left.locator_params(axis="y", nbins=4)
    _signed_bars(right, "Strongest features", shares.columns[: _BARS - 1], floor)


def _alt(explanation: Explanation) -> str:
    modalities = ", ".join(f"{part.modality} {signed(part.value)}" for part in explanation.contributions) or "none"
    words = ", ".join(f"{printable(word.word)} {signed(word.value)}" for word in explanation.strongest_words(_BARS))
    peaks = "".join(
        f" {shares.modality} {ADDS_NOTHING}."
        if shares.adds_nothing
        else f" {shares.modality} changes it most at {shares.peak_place}, through {printable(shares.peak_column)}."
        for shares in explanation.frames
    )
    strongest = f" Strongest words: {words}." if words else ""
    return (
        f"Score {signed(explanation.score)}; with no modality {signed(explanation.base)}; modalities: {modalities}."
        f"{strongest}{peaks}"
    )
