"""Lanes: voice and face over time, on one clock, to show next to a score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.features.analysis import Features, Signals
from selfmm.features.streams import Floats, Track
from selfmm.features.voice.loudness import FLOOR

STEP = 0.05
"""Seconds between the samples of lanes that were not thinned."""

VOICE = ("energy", "pitch", "speech")
FACE = ("smile", "brow", "face", "left", "top", "right", "bottom")
NAMES = (*VOICE, *FACE)
"""The lanes, see `Lanes`."""

_BLENDSHAPES = {"smile": ("mouthSmileLeft", "mouthSmileRight"), "brow": ("browDownLeft", "browDownRight")}
_BOX = ("left", "top", "right", "bottom")
_SPEECH = 0.5  # probability
_EPSILON = 1e-6  # samples; the rounding of times


@dataclass(frozen=True)
class Lanes:
    """Lanes of a span, which share one clock: sample i of each is for the time ``start + i * step``.

    Attributes:
        start: time of the first sample, seconds; a multiple of ``step``, unless the lanes were thinned.
        step: seconds between samples.
        values: for each of ``NAMES``, (n,) float32; None if the recording or the recipe has no such lane. ``energy``:
            dBFS, -100 to 0. ``pitch``: Hz, NaN where the voice is unvoiced. ``speech``: 1 where somebody speaks, 0
            elsewhere. ``smile`` and ``brow`` (lowered, as in a frown): blendshapes, 0 to 1, NaN without a face.
            ``face``: 1 where the face that was chosen is found, 0 elsewhere. ``left``, ``top``, ``right``, ``bottom``:
            its box, in widths and heights of the picture, NaN without a face. NaN also in the gaps between spans.
        missing: why a lane is None, one phrase for each.
    """

    start: float
    step: float
    values: Mapping[str, Floats | None]
    missing: Mapping[str, str]

    def __len__(self) -> int:
        return max((len(lane) for lane in self.values.values() if lane is not None), default=0)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(n,) time of each sample, seconds."""
        return _clock(len(self), self.step, self.start)

    def thinned(self, points: int) -> Lanes:
        """Return the lanes with ``points`` samples at most, which include every peak and every low.

        Each group of neighbours is reduced to its lowest and its highest value, in their order; to NaN if it has no
        value. The box of a group is the first that was measured.

        Raises:
            ValueError: if ``points`` is less than 2.
        """
        if points < 2:
            raise ValueError(f"lanes keep 2 points or more, not {points}")
        if len(self) <= points:
            return self
        group = math.ceil(len(self) / (points // 2))
        return replace(
            self,
            step=self.step * group / 2,
            values={
                name: None if lane is None else (_first if name in _BOX else _extremes)(_grouped(lane, group))
                for name, lane in self.values.items()
            },
        )

    def part(self, start: float, end: float) -> Lanes:
        """Return the samples with ``start`` <= time < ``end``."""
        first, last = (max(math.ceil((time - self.start) / self.step - _EPSILON), 0) for time in (start, end))
        values = {name: None if lane is None else lane[first:last] for name, lane in self.values.items()}
        return replace(self, start=self.start + first * self.step, values=values)

    def to_json(self) -> dict[str, Any]:
        """Return ``start``, ``step``, ``missing`` and ``lanes``: lists by name, without the lanes that are None.

        Numbers have 4 significant digits; NaN is null.
        """
        lanes = {name: _numbers(lane) for name, lane in self.values.items() if lane is not None}
        own = {"start": round(self.start, 4), "step": round(self.step, 6), "missing": dict(self.missing)}
        return {**own, "lanes": lanes}


def lanes_of(features: Features) -> Lanes | None:
    """Return the lanes of a span; None if its signals were not measured."""
    signals = features.signals
    if signals is None:
        return None
    first = math.ceil(features.start / STEP - _EPSILON)
    last = max(math.ceil(features.end / STEP - _EPSILON), first)
    clock = _clock(last - first, STEP, first * STEP)
    values: dict[str, Floats | None] = dict.fromkeys(NAMES)
    missing: dict[str, str] = {}
    if signals.level is None:
        missing |= dict.fromkeys(VOICE, "the recording has no sound")
    else:
        values |= _voice(signals, clock)
    if signals.face is None:
        reason = "the recording has no pictures, or the run does not read the face"
        missing |= dict.fromkeys(FACE, reason)
    else:
        values |= _face(signals.face, features.tracks.get("vision"), clock)
        missing |= {
            name: "the run reads the face with an encoder, which does not measure it"
            for name in _BLENDSHAPES
            if values[name] is None
        }
    return Lanes(float(first * STEP), STEP, values, missing)


def merged(parts: Iterable[Lanes]) -> Lanes | None:
    """Return the lanes of several spans on one clock; None without any.

    Spans may overlap, and there may be gaps between them, which are NaN. Where spans overlap, the later one counts if
    it has a value. A lane exists if one of the spans has it.

    Raises:
        ValueError: if lanes were thinned, so that their clocks differ.
    """
    lanes = list(parts)
    if not lanes:
        return None
    step = lanes[0].step
    places = [round(part.start / step) for part in lanes]
    if any(part.step != step for part in lanes):
        raise ValueError("lanes with different steps do not share a clock; merge them before you thin them")
    first = min(places)
    length = max(place + len(part) for place, part in zip(places, lanes, strict=True)) - first
    values: dict[str, Floats | None] = {}
    for name in NAMES:
        whole = np.full(length, np.nan, dtype=np.float32)
        for place, part in zip(places, lanes, strict=True):
            lane = part.values[name]
            if lane is not None:
                there = whole[place - first : place - first + len(lane)]
                there[:] = np.where(np.isnan(lane), there, lane)
        values[name] = whole if any(part.values[name] is not None for part in lanes) else None
    missing = {name: reason for part in lanes for name, reason in part.missing.items() if values[name] is None}
    return Lanes(first * step, step, values, missing)


def _clock(samples: int, step: float, start: float) -> npt.NDArray[np.float64]:
    return start + np.arange(samples, dtype=np.float64) * step


def _voice(signals: Signals, clock: npt.NDArray[np.float64]) -> dict[str, Floats | None]:
    level, pitch, speech = signals.level, signals.pitch, signals.speech
    assert level is not None
    assert pitch is not None
    assert speech is not None
    samples, squares = (_within(level, name, clock, np.nansum) for name in ("samples", "squares"))
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = np.maximum(10 * np.log10(squares / samples), FLOOR)
    probability = _at(speech, clock + STEP / 2)[:, speech.columns.index("speech")]
    return {
        "energy": energy.astype(np.float32),
        "pitch": _within(pitch, "pitch", clock, _pitch),
        "speech": np.where(np.isnan(probability), np.nan, probability >= _SPEECH).astype(np.float32),
    }


def _face(box: Track, track: Track | None, clock: npt.NDArray[np.float64]) -> dict[str, Floats | None]:
    boxes = _at(box, clock)
    values: dict[str, Floats | None] = {name: boxes[:, place] for place, name in enumerate(box.columns)}
    values["face"] = np.isfinite(boxes[:, 0]).astype(np.float32)
    for name, sides in _BLENDSHAPES.items():
        if not np.isfinite(box.values).any():
            values[name] = np.full(len(clock), np.nan, dtype=np.float32)
        elif track is not None and set(sides) <= set(track.columns):
            columns = [track.columns.index(side) for side in sides]
            values[name] = _at(track, clock)[:, columns].mean(axis=1)
    return values


def _at(track: Track, times: npt.NDArray[np.float64]) -> Floats:
    """Return (n, d) the rows at these times; NaN where there is none."""
    rows = np.floor((times - track.start) * track.rate + _EPSILON).astype(int)
    rows[rows == -1] = 0  # a span begins between two rows
    known = (rows >= 0) & (rows < len(track))
    values = np.full((len(times), len(track.columns)), np.nan, dtype=np.float32)
    values[known] = track.values[rows[known]]
    return values


def _within(
    track: Track, name: str, clock: npt.NDArray[np.float64], reduce: Callable[..., npt.NDArray[np.floating]]
) -> Floats:
    """Return (n,) ``reduce`` over the five rows within each step of the clock."""
    per = round(STEP * track.rate)
    first = round((float(clock[0]) - track.start) * track.rate) if len(clock) else 0
    padded = np.full(len(clock) * per, np.nan, dtype=np.float32)
    rows = track.column(name)[max(first, 0) : first + len(padded)]
    at = max(-first, 0)
    padded[at : at + len(rows)] = rows
    return np.asarray(reduce(padded.reshape(-1, per), axis=1), dtype=np.float32)


def _pitch(rows: Floats, axis: int) -> npt.NDArray[np.floating]:
    """Return the median of the voiced frames of each step; NaN if fewer than half are voiced."""
    voiced = np.isfinite(rows).sum(axis=axis) * 2 >= rows.shape[axis]
    result = np.full(len(rows), np.nan, dtype=np.float32)
    result[voiced] = np.nanmedian(rows[voiced], axis=axis)
    return result


def _grouped(lane: Floats, group: int) -> Floats:
    missing = -len(lane) % group
    return np.concatenate([lane, np.full(missing, np.nan, dtype=np.float32)]).reshape(-1, group)


def _extremes(groups: Floats) -> Floats:
    """Return (2 n,) the lowest and highest value of each group (n, k), in their order."""
    unknown = np.isnan(groups)
    lows, highs = np.where(unknown, np.inf, groups).argmin(axis=1), np.where(unknown, -np.inf, groups).argmax(axis=1)
    rows = np.arange(len(groups))
    return np.stack([groups[rows, np.minimum(lows, highs)], groups[rows, np.maximum(lows, highs)]], axis=1).reshape(-1)


def _first(groups: Floats) -> Floats:
    """Return (2 n,) the first known value of each group (n, k), twice."""
    return np.repeat(groups[np.arange(len(groups)), np.isfinite(groups).argmax(axis=1)], 2)


def _numbers(lane: Floats) -> list[float | None]:
    return [None if math.isnan(value) else float(f"{value:.4g}") for value in lane.tolist()]
