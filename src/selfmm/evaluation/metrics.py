"""The metrics that papers report, computed exactly as they do, unrounded.

Definitions follow the evaluation code that MOSI, MOSEI and SIMS papers share (Zadeh et al. 2018; Tsai et al. 2019;
Yu et al., ACL 2020 and AAAI 2021). ``DESCRIPTIONS`` describes every key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SelfmmError

Scale = Literal["mosi", "sims", "general"]
"""A set of metrics: for labels in [-3, 3], in [-1, 1], or in any other range."""
_Array = npt.NDArray[np.float64]
_Metric = Callable[[_Array, _Array], float]

_TEXTS: Mapping[str, str] = {
    "mae": "MAE: mean absolute error, in units of the label",
    "corr": "Corr: Pearson correlation of predictions and labels",
    "acc2_has0": "Acc-2 has0: share of clips correctly classified as negative (< {0}) or not (>= {0}); "
    "labels of {0} count",
    "f1_has0": "F1 has0: weighted F1 of the classes negative (< {0}) and not negative (>= {0}); labels of {0} count",
    "acc2_non0": "Acc-2 non0: share of clips correctly classified as positive (> {0}) or not; "
    "labels of {0} are left out",
    "f1_non0": "F1 non0: weighted F1 of the classes positive (> {0}) and not positive; labels of {0} are left out",
    "acc5": "Acc-5: share of clips in the correct one of five classes (rounded to -2..2; SIMS: cut at -.7/-.1/.1/.7)",
    "acc7": "Acc-7: share of clips in the correct one of seven classes, rounded to -3..3 (halves to even)",
    "acc2": "Acc-2: share of clips in the correct class, [-1, 0] or (0, 1]; 0 counts as negative",
    "f1": "F1: weighted F1 of the classes [-1, 0] and (0, 1]; 0 counts as negative",
    "acc3": "Acc-3: share of clips in the correct one of three classes, cut at -.1 and .1",
}


def describe(key: str, neutral: float = 0.0) -> str:
    """Return one line about a key of `Metrics.values`: its name in tables, a colon, and its meaning.

    Args:
        key: the key; an unknown one is returned as it is.
        neutral: the label between negative and positive; the middle of a range with one sign, such as 3 of 1 to 5.

    >>> describe("acc2_non0", 3.0)
    'Acc-2 non0: share of clips correctly classified as positive (> 3) or not; labels of 3 are left out'
    """
    return _TEXTS.get(key, key).format(f"{neutral:g}")


DESCRIPTIONS: Mapping[str, str] = {key: describe(key) for key in _TEXTS}
"""`describe` of each key, for scales whose neutral label is 0."""

HIGHER_IS_BETTER: Mapping[str, bool] = {key: key != "mae" for key in DESCRIPTIONS}


@dataclass(frozen=True)
class Metrics:
    """The metrics of one task for some clips.

    Attributes:
        values: the unrounded value of each metric, by its key in ``DESCRIPTIONS``; shares in [0, 1], NaN if undefined.
        reasons: the reason for every NaN in ``values``.
        count: number of clips that were compared.
        unlabelled: number of clips left out because their label is NaN.
    """

    values: dict[str, float]
    reasons: dict[str, str]
    count: int
    unlabelled: int = 0


class _Undefined(Exception):  # noqa: N818  it is not an error
    """A metric has no value; the message is the reason."""


def scale_for(label_range: tuple[float, float]) -> Scale:
    """Return ``mosi`` for labels in [-3, 3], ``sims`` for [-1, 1], ``general`` for all others."""
    named: dict[tuple[float, float], Scale] = {(-3.0, 3.0): "mosi", (-1.0, 1.0): "sims"}
    return named.get((float(label_range[0]), float(label_range[1])), "general")


def evaluate(predictions: npt.ArrayLike, labels: npt.ArrayLike, scale: Scale = "mosi", neutral: float = 0.0) -> Metrics:
    """Compare predictions with labels.

    Args:
        predictions: (N,) scores on the scale of the labels, all finite.
        labels: (N,) true labels; clips with a label of NaN are left out and counted.
        scale: the set of metrics, see `scale_for`. ``sims`` first clips the predictions to [-1, 1], as papers do.
        neutral: the label between the two classes of Acc-2 and F1, where the descriptions say 0; 0 for mosi and sims.

    Raises:
        SelfmmError: if predictions and labels differ in shape, a prediction is not finite, or a label is infinite.
    """
    predicted, truth = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if scale not in _METRICS:
        raise SelfmmError(f"unknown scale {scale!r}; give one of {list(_METRICS)}")
    _check(predicted, truth)
    labelled = ~np.isnan(truth)
    predicted, truth = predicted[labelled], truth[labelled]
    if scale == "sims":
        predicted = np.clip(predicted, -1.0, 1.0)
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for key, metric in _METRICS[scale].items():
        try:
            if not len(truth):
                raise _Undefined("no clip has a label")
            about = neutral if key in _TWO_SIDES else 0.0
            values[key] = float(metric(predicted - about, truth - about))
        except _Undefined as reason:
            values[key], reasons[key] = float("nan"), str(reason)
    return Metrics(values, reasons, count=len(truth), unlabelled=int(np.sum(~labelled)))


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the Pearson correlation of two (N,) arrays of finite numbers; NaN if N < 2 or if one is constant."""
    a, b = _unit(np.asarray(x, dtype=np.float64)), _unit(np.asarray(y, dtype=np.float64))
    return float("nan") if a is None or b is None else float(np.clip(a @ b, -1.0, 1.0))


def _unit(x: _Array) -> _Array | None:
    """Return ``x`` centred and scaled to length 1; None if it does not vary."""
    # Compare, do not subtract: in floating point, the mean of equal numbers need not be that number.
    if len(x) < 2 or x.min() == x.max():
        return None
    centred = x - x.mean()
    centred /= np.abs(centred).max()  # so that squares neither overflow nor vanish
    unit: _Array = centred / np.sqrt(centred @ centred)
    return unit


def _check(predicted: _Array, truth: _Array) -> None:
    if predicted.ndim != 1 or predicted.shape != truth.shape:
        raise SelfmmError(
            f"predictions have shape {predicted.shape} and labels {truth.shape}; give one number per clip in both, (N,)"
        )
    broken = int(np.sum(~np.isfinite(predicted)))
    if broken:
        raise SelfmmError(
            f"predictions that are NaN or infinite: {broken} of {len(predicted)}, so no metric can be computed. "
            "The run diverged, or features have non-finite values: see `selfmm inspect`."
        )
    infinite = int(np.sum(np.isinf(truth)))
    if infinite:
        raise SelfmmError(f"infinite labels: {infinite} of {len(truth)}; use NaN for an unknown label")


def _mae(predicted: _Array, truth: _Array) -> float:
    return float(np.mean(np.abs(predicted - truth)))


def _corr(predicted: _Array, truth: _Array) -> float:
    if len(truth) < 2:
        raise _Undefined("a correlation needs two clips")
    for name, values in (("predictions", predicted), ("labels", truth)):
        if values.min() == values.max():
            raise _Undefined(f"all {name} are equal ({values[0]:g})")
    return pearson(predicted, truth)


def _accuracy(predicted: npt.NDArray[np.generic], truth: npt.NDArray[np.generic]) -> float:
    return float(np.mean(predicted == truth))


def _weighted_f1(predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """Return the F1 of each class, weighted by its share of the truth (scikit-learn's ``average='weighted'``)."""
    total = 0.0
    for side in (False, True):
        positives, relevant = predicted == side, truth == side
        hits = np.sum(positives & relevant)
        total += relevant.sum() * 2 * hits / max(positives.sum() + relevant.sum(), 1)
    return total / len(truth)


_Sides = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def _has0(predicted: _Array, truth: _Array) -> _Sides:
    return predicted >= 0, truth >= 0


def _non0(predicted: _Array, truth: _Array) -> _Sides:
    not_zero = truth != 0
    if not not_zero.any():
        raise _Undefined("all labels are neutral, which non0 leaves out")
    return predicted[not_zero] > 0, truth[not_zero] > 0


def _rounded(limit: int) -> _Metric:
    """Return the accuracy of the classes -limit..limit. ``np.rint`` rounds halves to even, as papers do."""
    return lambda p, t: _accuracy(*(np.rint(np.clip(values, -limit, limit)) for values in (p, t)))


def _sims_classes(values: _Array, *cuts: float) -> npt.NDArray[np.intp]:
    """Return the class of each value in [-1, 1]: the number of its interval (lo, hi] between ``cuts``."""
    # In float32, as papers compare: a stored float32 label of .1 is slightly more than the float64 .1.
    edges = np.array(cuts, dtype=np.float32)
    return np.searchsorted(edges, np.clip(values, -1, 1).astype(np.float32))


def _cut(*cuts: float) -> _Metric:
    return lambda p, t: _accuracy(_sims_classes(p, *cuts), _sims_classes(t, *cuts))


_COMMON: dict[str, _Metric] = {"mae": _mae, "corr": _corr}
_TWO_SIDES: dict[str, _Metric] = {
    "acc2_has0": lambda p, t: _accuracy(*_has0(p, t)),
    "f1_has0": lambda p, t: _weighted_f1(*_has0(p, t)),
    "acc2_non0": lambda p, t: _accuracy(*_non0(p, t)),
    "f1_non0": lambda p, t: _weighted_f1(*_non0(p, t)),
}
_METRICS: dict[Scale, dict[str, _Metric]] = {
    "mosi": {**_COMMON, **_TWO_SIDES, "acc5": _rounded(2), "acc7": _rounded(3)},
    "sims": {
        **_COMMON,
        "acc2": _cut(0.0),
        "f1": lambda p, t: _weighted_f1(_sims_classes(p, 0.0) > 0, _sims_classes(t, 0.0) > 0),
        "acc3": _cut(-0.1, 0.1),
        "acc5": _cut(-0.7, -0.1, 0.1, 0.7),
    },
    "general": {**_COMMON, **_TWO_SIDES},
}
