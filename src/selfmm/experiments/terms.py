"""Metrics as functions of sums over clips. They give the metric of a resample without another pass over the clips.

:mod:`selfmm.evaluation.metrics` defines the metrics; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SelfmmError
from selfmm.evaluation.metrics import Scale

_Array = npt.NDArray[np.float64]
_Map = Callable[[_Array], _Array]
_LEAST = 1e-12  # smaller variances, in units of the labels' variance, count as zero


@dataclass(frozen=True)
class Terms:
    """A metric as a function of sums over clips.

    Attributes:
        per_clip: (n,) predictions -> (n, k) terms to be summed over clips; the first column counts the clips used.
        metric: (..., k) sums -> (...) the metric; NaN where it has no value.
        size: the approximate size of the metric; much smaller differences are rounding errors.
    """

    per_clip: _Map
    metric: _Map
    size: float


def terms_of(key: str, labels: _Array, scale: Scale, neutral: float = 0.0) -> Terms:
    """Return the terms of a metric for clips with these labels (n,).

    Raises:
        SelfmmError: if the scale has no such metric.
    """
    cut: _Map = (lambda scores: np.clip(scores, -1.0, 1.0)) if scale == "sims" else (lambda scores: scores)
    if key == "mae":
        reach = float(np.abs(labels).max(initial=1.0))
        return Terms(lambda scores: np.stack([np.ones(len(labels)), np.abs(cut(scores) - labels)], 1), _mean, reach)
    if key == "corr":
        return _correlation(labels, cut)
    classes = _classes(key, scale, neutral)
    if classes is None:
        raise SelfmmError(f"the scale {scale!r} has no metric {key!r}")
    used = (labels != neutral).astype(np.float64) if key.endswith("_non0") else np.ones(len(labels))
    truth = classes(labels)
    if key.startswith("f1"):
        return Terms(lambda scores: _confusion(classes(cut(scores)), truth, used), _weighted_f1, 1.0)
    return Terms(lambda scores: np.stack([used, used * (classes(cut(scores)) == truth)], 1), _mean, 1.0)


def _classes(key: str, scale: Scale, neutral: float) -> _Map | None:
    """Return a function from scores to class numbers; None if the scale has no such metric."""
    if scale == "sims":
        cuts = {"acc2": (0.0,), "f1": (0.0,), "acc3": (-0.1, 0.1), "acc5": (-0.7, -0.1, 0.1, 0.7)}.get(key)
        edges = np.array(cuts, dtype=np.float32)  # compared in float32, as in published code
        return None if cuts is None else lambda values: np.searchsorted(edges, values.astype(np.float32)).astype(float)
    if key.endswith("_has0"):
        return lambda values: (values - neutral >= 0).astype(float)
    if key.endswith("_non0"):
        return lambda values: (values - neutral > 0).astype(float)
    limit = {"acc5": 2, "acc7": 3}.get(key) if scale == "mosi" else None
    return None if limit is None else lambda values: np.rint(np.clip(values, -limit, limit))


def _mean(sums: _Array) -> _Array:
    return _ratio(sums[..., 1], sums[..., 0])


def _ratio(numerator: _Array, denominator: _Array) -> _Array:
    ratio: _Array = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)
    return ratio


def _confusion(predicted: _Array, actual: _Array, used: _Array) -> _Array:
    return np.stack([used, used * predicted * actual, used * predicted, used * actual], 1)


def _weighted_f1(sums: _Array) -> _Array:
    """Return the F1 of each class, weighted by its true count; 0 for a class that is neither predicted nor true."""
    clips, hits, predicted, actual = np.moveaxis(sums, -1, 0)
    upper = actual * 2 * hits / np.maximum(predicted + actual, 1)
    lower = (clips - actual) * 2 * (clips - predicted - actual + hits) / np.maximum(2 * clips - predicted - actual, 1)
    return _ratio(upper + lower, clips)


def _correlation(labels: _Array, cut: _Map) -> Terms:
    """Return the terms of Pearson's correlation; values are standardised by the labels, to keep squares small."""
    middle, unit = labels.mean(), labels.std() or 1.0

    def per_clip(scores: _Array) -> _Array:
        x, y = (cut(scores) - middle) / unit, (labels - middle) / unit
        return np.stack([np.ones(len(y)), x, y, x * x, y * y, x * y], 1)

    def metric(sums: _Array) -> _Array:
        clips = np.maximum(sums[..., :1], 1)
        x, y, xx, yy, xy = np.moveaxis(sums[..., 1:] / clips, -1, 0)
        x_variance, y_variance = xx - x * x, yy - y * y
        defined = (x_variance > _LEAST) & (y_variance > _LEAST)
        product = np.where(defined, x_variance * y_variance, 1.0)
        correlation: _Array = np.where(defined, np.clip((xy - x * y) / np.sqrt(product), -1.0, 1.0), np.nan)
        return correlation

    return Terms(per_clip, metric, 1.0)
