"""Metrics as functions of sums over clips: the metric of any sample of clips without looking at the clips again.

What a metric is says :mod:`selfmm.evaluation.metrics`, which the tests hold these against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SelfmmError
from selfmm.evaluation.metrics import Scale

_Array = npt.NDArray[np.float64]
_Classes = Callable[[_Array], npt.NDArray[np.float64]]
_LEAST = 1e-12  # variance, of values in units of the labels' deviation, that counts as none


@dataclass(frozen=True)
class Terms:
    """How a metric is made of sums.

    Attributes:
        per_clip: (n,) predictions -> (n, k) what is summed over clips; the first column counts the clips that matter.
        metric: (..., k) sums -> (...) the metric; NaN where it has no value.
        size: how large the metric may be, about: what is small beside it is rounding.
    """

    per_clip: Callable[[_Array], _Array]
    metric: Callable[[_Array], _Array]
    size: float


def terms_of(key: str, labels: _Array, scale: Scale, neutral: float = 0.0) -> Terms:
    """Terms of a metric on clips with these labels (n,).

    Raises:
        SelfmmError: the scale has no such metric.
    """
    cut = _cut if scale == "sims" else _whole
    if key == "mae":
        reach = float(np.abs(labels).max(initial=1.0))
        return Terms(lambda said: np.stack([np.ones(len(labels)), np.abs(cut(said) - labels)], 1), _mean, reach)
    if key == "corr":
        return _correlation(labels, cut)
    classes = _classes(key, scale, neutral)
    if classes is None:
        raise SelfmmError(f"there is no metric {key!r} for the scale {scale!r}")
    kept = (labels != neutral).astype(np.float64) if key.endswith("_non0") else np.ones(len(labels))
    truth = classes(labels)
    if key.startswith("f1"):
        return Terms(lambda said: _confusion(classes(cut(said)), truth, kept), _weighted_f1, 1.0)
    return Terms(lambda said: np.stack([kept, kept * (classes(cut(said)) == truth)], 1), _mean, 1.0)


def _cut(said: _Array) -> _Array:
    return np.clip(said, -1.0, 1.0)


def _whole(said: _Array) -> _Array:
    return said


def _classes(key: str, scale: Scale, neutral: float) -> _Classes | None:
    """Which class a score is in."""
    if scale == "sims":
        cuts = {"acc2": (0.0,), "f1": (0.0,), "acc3": (-0.1, 0.1), "acc5": (-0.7, -0.1, 0.1, 0.7)}.get(key)
        edges = np.array(cuts, dtype=np.float32)  # compared in float32, as the field does
        return None if cuts is None else lambda values: np.searchsorted(edges, values.astype(np.float32)).astype(float)
    if key.endswith("_has0"):
        return lambda values: (values - neutral >= 0).astype(float)
    if key.endswith("_non0"):
        return lambda values: (values - neutral > 0).astype(float)
    limit = {"acc5": 2, "acc7": 3}.get(key) if scale == "mosi" else None
    return None if limit is None else lambda values: np.rint(np.clip(values, -limit, limit))


def _mean(sums: _Array) -> _Array:
    return _ratio(sums[..., 1], sums[..., 0])


def _ratio(over: _Array, under: _Array) -> _Array:
    found: _Array = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return found


def _confusion(said: _Array, there: _Array, kept: _Array) -> _Array:
    return np.stack([kept, kept * said * there, kept * said, kept * there], 1)


def _weighted_f1(sums: _Array) -> _Array:
    """F1 of each side, weighted by how often the truth has it; 0 of a side that is neither said nor there."""
    clips, hits, said, there = np.moveaxis(sums, -1, 0)
    upper = there * 2 * hits / np.maximum(said + there, 1)
    lower = (clips - there) * 2 * (clips - said - there + hits) / np.maximum(2 * clips - said - there, 1)
    return _ratio(upper + lower, clips)


def _correlation(labels: _Array, cut: Callable[[_Array], _Array]) -> Terms:
    """Pearson's, from sums of values about the labels' mean in units of their deviation: squares stay small."""
    middle, unit = labels.mean(), labels.std() or 1.0

    def per_clip(said: _Array) -> _Array:
        x, y = (cut(said) - middle) / unit, (labels - middle) / unit
        return np.stack([np.ones(len(y)), x, y, x * x, y * y, x * y], 1)

    def metric(sums: _Array) -> _Array:
        clips = np.maximum(sums[..., :1], 1)
        x, y, xx, yy, xy = np.moveaxis(sums[..., 1:] / clips, -1, 0)
        over, spread = xy - x * y, (xx - x * x, yy - y * y)
        there = (spread[0] > _LEAST) & (spread[1] > _LEAST)
        product = np.where(there, spread[0] * spread[1], 1.0)
        found: _Array = np.where(there, np.clip(over / np.sqrt(product), -1.0, 1.0), np.nan)
        return found

    return Terms(per_clip, metric, 1.0)
