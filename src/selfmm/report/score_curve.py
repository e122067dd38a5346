"""The picture of the sentiment in a long recording, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import DatasetError
from selfmm.core.messages import count
from selfmm.data.scales import LabelScale
from selfmm.explain.words import printable
from selfmm.report.clip_pictures import DOWN, UP, any_script, settle
from selfmm.report.style import INK, MUTED, WIDTH, Picture, drawing, modality_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

_PREFIX = "score_"
_TALL, _LOW = 2.3, 0.85  # inches: of the fused score, and of a modality
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)  # seconds
_PICKED, _APART = 2, 0.06  # windows marked on each side; their least distance, as a share of the recording
_QUOTE = 84  # characters
_GREY = "#9aa0a6"


def curve_picture(curve: pd.DataFrame, label_range: tuple[float, float]) -> Picture:
    """Draw the fused score over a recording, and the score of each modality, with gaps where a modality is missing.

    Args:
        curve: one row per window, in order: start, end (seconds), score, score_<modality> (NaN where the modality is
            missing) and, optionally, text, and the columns of
            :func:`selfmm.recordings.prediction.trust_columns`. The windows that stand out are numbered and quoted. The
            interval of the fused score is shaded, and a score without information is grey.
        label_range: range of the labels that the model was trained on.

    Raises:
        DatasetError: if the table has no rows, or a column is missing.
        OutputError: if matplotlib is not installed.
    """
    missing = [name for name in ("start", "end", "score") if name not in curve]
    if missing or not len(curve):
        problem = f"lacks the columns {missing}" if missing else "has no rows"
        raise DatasetError(f"the curve {problem}, so there is nothing to draw. It needs start, end and score.")
    neutral = LabelScale.of(label_range).neutral
    modalities = [str(name).removeprefix(_PREFIX) for name in curve if str(name).startswith(_PREFIX)]
    colours = modality_colours(modalities)
    picked = _picked(curve, neutral) if "text" in curve and not _uninformative(curve, "fusion") else []
    with drawing(), any_script():
        from matplotlib.figure import Figure

        heights = [_TALL, *(_LOW for _ in modalities)]
        figure = Figure(figsize=(2 * WIDTH, sum(heights) + 0.5 + 0.2 * len(picked)), layout="constrained")
        rows = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, name in zip(rows, ["fusion", *modalities], strict=True):
            values = curve["score" if name == "fusion" else _PREFIX + name].to_numpy(dtype=np.float64)
            empty = _uninformative(curve, name)
            _draw(axes, curve, values, label_range, _GREY if empty else colours[name], filled=not empty)
            if name == "fusion" and not empty:
                _shade(axes, curve)
            if empty:
                axes.text(0.99, 0.8, "no information", transform=axes.transAxes, ha="right", color=MUTED, fontsize=8)
            axes.set_ylabel("all together" if name == "fusion" else name, parse_math=False)
        for number, row in enumerate(picked, start=1):
            _number(rows[0], number, curve.iloc[row], neutral)
        _time_axis(rows[-1], float(curve["start"].min()), float(curve["end"].max()))
        if picked:
            quotes = "\n".join(_quote(number, curve.iloc[row]) for number, row in enumerate(picked, start=1))
            rows[-1].set_xlabel(quotes, loc="left", fontsize=8, labelpad=8, linespacing=1.5, parse_math=False)
        settle(figure)
    return Picture("curve", _alt(curve, picked), figure)


def _uninformative(curve: pd.DataFrame, name: str) -> bool:
    """Return whether a score is known to carry no information."""
    column = "informs" if name == "fusion" else f"informs_{name}"
    return column in curve and bool((curve[column] == False).all())  # noqa: E712  None is unknown


def _shade(axes: Axes, curve: pd.DataFrame) -> None:
    """Draw the interval that holds the labels of four of five clips."""
    if not {"low", "high"} <= set(curve) or curve["low"].isna().all():
        return
    ends = [_line(curve, curve[name].to_numpy(dtype=np.float64)) for name in ("low", "high")]
    (place, low), (_, high) = ends
    axes.fill_between(place, low, high, color=INK, alpha=0.08, linewidth=0)


def _draw(
    axes: Axes,
    curve: pd.DataFrame,
    values: Array,
    label_range: tuple[float, float],
    colour: str,
    *,
    filled: bool,
) -> None:
    """Draw one score over time; if ``filled``, the area above the neutral label is blue, below it orange."""
    neutral = LabelScale.of(label_range).neutral
    place, score = _line(curve, values)
    for ground, side in ((UP, score >= neutral), (DOWN, score <= neutral)) if filled else ():
        axes.fill_between(place, neutral, score, where=side, interpolate=True, color=ground, alpha=0.25, linewidth=0)
    axes.plot(place, score, color=colour, linewidth=1.8 if colour == INK else 1.2)
    axes.axhline(neutral, color=MUTED, linewidth=0.8, linestyle=":")
    low, high = label_range
    known = score[~np.isnan(score)]
    margin = 0.04 * (high - low)  # keeps a line along the edge visible
    axes.set_ylim(min([low, *known]) - margin, max([high, *known]) + margin)
    axes.set_yticks([low, neutral, high])


def _time_axis(axes: Axes, start: float, end: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(MultipleLocator(next((s for s in _STEPS if (end - start) / s <= 10), _STEPS[-1])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))


def _line(curve: pd.DataFrame, values: Array) -> tuple[Array, Array]:
    """Return the places and values of a line, with gaps where a value or a window is missing.

    Overlapping windows are drawn as a point in their middle, others over their whole width.
    """
    start, end = (curve[name].to_numpy(dtype=np.float64) for name in ("start", "end"))
    if (start[1:] < end[:-1] - 1e-6).any():
        middle = (start + end) / 2
        # A point between two gaps would be invisible, so it gets the width of a step.
        step = float(np.median(np.diff(middle))) / 2
        isolated = ~np.isnan(values) & np.isnan(np.r_[np.nan, values[:-1]]) & np.isnan(np.r_[values[1:], np.nan])
        half = np.where(isolated, step, 0.0)
        return np.stack([middle - half, middle + half], axis=1).ravel(), np.repeat(values, 2)
    gaps = np.flatnonzero(start[1:] > end[:-1] + 1e-6) + 1
    places, twice = np.stack([start, end], axis=1).ravel(), np.repeat(values, 2)
    return np.insert(places, 2 * gaps, start[gaps]), np.insert(twice, 2 * gaps, np.nan)


def _picked(curve: pd.DataFrame, neutral: float) -> list[int]:
    """Return the rows of the most extreme windows with words on each side, in order of time and not too close."""
    middle = ((curve["start"] + curve["end"]) / 2).to_numpy(dtype=np.float64)
    least = _APART * float(curve["end"].max() - curve["start"].min())
    score = curve["score"].to_numpy(dtype=np.float64) - neutral
    has_words = curve["text"].fillna("").str.strip().ne("").to_numpy(dtype=bool)
    picked: list[int] = []
    for side in (1, -1):
        count = 0
        for row in np.argsort(-side * score, kind="stable").tolist():
            if count == _PICKED or not side * score[row] > 0:
                break
            if has_words[row] and all(abs(middle[row] - middle[other]) >= least for other in picked):
                picked.append(row)
                count += 1
    return sorted(picked)


def _number(axes: Axes, number: int, row: pd.Series, neutral: float) -> None:
    score = float(row["score"])
    axes.annotate(
        str(number),
        ((float(row["start"]) + float(row["end"])) / 2, score),
        xytext=(0, 9 if score > neutral else -9),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=7,
        color="white",
        fontweight="bold",
        bbox={"boxstyle": "circle,pad=0.22", "facecolor": "#39424d", "edgecolor": "white", "linewidth": 0.6},
    )


def _quote(number: int, row: pd.Series) -> str:
    text = printable(str(row["text"]).strip())
    text = text if len(text) <= _QUOTE else f"{text[: _QUOTE - 1]}…"
    return f"{number}   {_clock(float(row['start']))}   {float(row['score']):+.2f}   {text}"


def _clock(seconds: float) -> str:
    """
    >>> _clock(75.0), _clock(3675.4)
    ('1:15', '1:01:15')
    """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _alt(curve: pd.DataFrame, picked: list[int]) -> str:
    known = curve["score"].dropna()
    span = f"{_clock(float(curve['start'].min()))} to {_clock(float(curve['end'].max()))}"
    if not len(known):
        return f"Sentiment from {span}: no window has a score."
    quotes = " ".join(_quote(number, curve.iloc[row]) for number, row in enumerate(picked, start=1))
    extremes = f" Most extreme: {quotes}" if quotes else ""
    return (
        f"Sentiment from {span}, {count(len(known), 'window')}: mean {known.mean():+.2f}, lowest {known.min():+.2f}, "
        f"highest {known.max():+.2f}.{extremes}"
    )
