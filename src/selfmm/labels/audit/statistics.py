"""The figures of an audit: one number per modality each, and why there is none where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.evaluation.metrics import pearson
from selfmm.labels.audit.history import LabelHistory
from selfmm.labels.outcomes import HELD, Outcome

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """One modality's labels, n clips in all.

    Attributes:
        m_labels, u_labels: (n,) at the last epoch, less the neutral label; NaN where the clip has no label.
        before: (n,) u-labels one epoch earlier; None if there is no earlier one.
        asked: (n,) bool, the clip has this stream.
        moved: (n,) bool, evidence has moved the label in some epoch.
        clamped, held: (n,) bool at the last epoch; None if outcomes were not recorded.
        head: (n,) the modality's own score less the neutral label, NaN where it has none; None if not given.
        separation: of the class centres at the last epoch; NaN if not given.
        quality: (n,), see `selfmm.labels.audit.quality`.
    """

    m_labels: Array
    u_labels: Array
    before: Array | None
    asked: Mask
    moved: Mask
    clamped: Mask | None
    held: Mask | None
    head: Array | None
    separation: float
    quality: Array

    @classmethod
    def of(
        cls,
        history: LabelHistory,
        number: int,
        *,
        neutral: float,
        head: Array | None,
        separation: float,
        quality: Array,
    ) -> View:
        """Of modality ``number`` of a history; ``head`` as it is stored."""
        u_labels = history.u_labels[number]
        there = np.isfinite(u_labels[-1])
        if history.outcomes is None:
            moved = (u_labels != history.m_labels) & np.isfinite(u_labels)
            clamped = held = None
            asked = there
        else:
            moved = history.has(number, Outcome.UPDATED, Outcome.CLAMPED)
            clamped, held = history.has(number, Outcome.CLAMPED)[-1], history.has(number, *HELD)[-1]
            asked = there & ~history.has(number, Outcome.MISSING)[-1]
        return cls(
            m_labels=history.m_labels.astype(np.float64) - neutral,
            u_labels=u_labels[-1].astype(np.float64) - neutral,
            before=u_labels[-2].astype(np.float64) - neutral if len(u_labels) > 1 else None,
            asked=asked,
            moved=moved.any(axis=0),
            clamped=clamped,
            held=held,
            head=None if head is None else head - neutral,
            separation=separation,
            quality=quality,
        )


class NoValue(Exception):  # noqa: N818  not an error: a figure without a value
    """Says why a figure has no value."""


_UNRECORDED = "outcomes are recorded by newer versions; this run has none"


def _mean(values: Array | Mask, nothing: str = "no clip has this stream") -> float:
    if not len(values):
        raise NoValue(nothing)
    return float(np.mean(values))


def _coverage(view: View) -> float:
    return _mean(view.moved[np.isfinite(view.u_labels)], "there is no label")


def _share(mask: Mask | None, view: View) -> float:
    if mask is None:
        raise NoValue(_UNRECORDED)
    return _mean(mask[np.isfinite(view.u_labels)], "there is no label")


def _corr(x: Array, y: Array) -> float:
    if len(x) < 2:
        raise NoValue("a correlation needs two clips")
    if x.min() == x.max() or y.min() == y.max():
        raise NoValue("one of the two is the same for all clips")
    return pearson(x, y)


def _sides(view: View) -> Array:
    """Product of u and m of the clips whose m-label is on a side."""
    kept = view.asked & (view.m_labels != 0)
    product: Array = np.sign(view.u_labels[kept]) * np.sign(view.m_labels[kept])
    return product


def _drift(view: View) -> float:
    if view.before is None:
        raise NoValue("the table has one epoch only")
    change = np.abs(view.u_labels - view.before)[view.asked]
    return _mean(change[np.isfinite(change)])


def _separation(view: View) -> float:
    if np.isnan(view.separation):
        raise NoValue("the run's history has no separation of the centres for this epoch")
    return view.separation


def _with_head(view: View, figure: Callable[[Array, Array], float]) -> float:
    if view.head is None:
        raise NoValue("there are no scores of this modality")
    known = view.asked & np.isfinite(view.head)
    return figure(view.u_labels[known], view.head[known])


def _gap(x: Array, y: Array) -> float:
    return _mean(np.abs(x - y), "no clip has a score of this modality")


_NO_SIDE = "no m-label is off the neutral point"

FIGURES: Mapping[str, tuple[str, Callable[[View], float]]] = {
    "clips": ("training clips with a label", lambda v: float(np.isfinite(v.u_labels).sum())),
    "coverage": ("share whose label evidence has moved at least once", _coverage),
    "held": ("share whose label was held in the last epoch, for whatever reason", lambda v: _share(v.held, v)),
    "clamped": ("share whose raw label was cut to the range in the last epoch", lambda v: _share(v.clamped, v)),
    "corr_m": ("Pearson correlation with the m-label", lambda v: _corr(v.u_labels[v.asked], v.m_labels[v.asked])),
    "distance_m": ("mean |u - m|", lambda v: _gap_to_m(v)),
    "same_side": ("share on the m-label's side of neutral (m at neutral left out)", lambda v: _on_side(v, 1)),
    "flipped": ("share on the other side (m at neutral left out)", lambda v: _on_side(v, -1)),
    "drift": ("mean |u - u of the epoch before| at the last epoch", _drift),
    "separation": ("distance of the class centres in units of the classes' spread, last epoch", _separation),
    "head_corr": ("Pearson correlation with the modality's own score", lambda v: _with_head(v, _corr)),
    "head_mae": ("mean |u - own score|", lambda v: _with_head(v, _gap)),
    "quality": ("mean quality of the labels, in [0, 1]", lambda v: _mean(v.quality[v.asked])),
}
"""Per figure its meaning and how it is computed. Clips that lack the stream count in the first four alone."""


def _gap_to_m(view: View) -> float:
    return _mean(np.abs(view.u_labels - view.m_labels)[view.asked])


def _on_side(view: View, side: int) -> float:
    return _mean(_sides(view) == side, _NO_SIDE)


def measure(view: View) -> tuple[dict[str, float], dict[str, str]]:
    """Every figure of ``FIGURES``, NaN where it has no value; and why, for those."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for key, (_, figure) in FIGURES.items():
        try:
            values[key] = figure(view)
        except NoValue as why:
            values[key], reasons[key] = float("nan"), str(why)
    return values, reasons
