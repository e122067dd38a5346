"""The figures of an audit: for each modality a number, or the reason why it has no value."""

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
class ModalityLabels:
    """The labels of one modality, for n clips.

    Attributes:
        m_labels, u_labels: (n,) at the last epoch, minus the neutral label; NaN where the clip has no label.
        before: (n,) u-labels one epoch earlier; None if there is no earlier epoch.
        present: (n,) bool, the clip has this modality.
        moved: (n,) bool, the rule has moved the label in some epoch.
        clamped, held: (n,) bool at the last epoch; None if outcomes were not recorded.
        head: (n,) score of the modality's own head minus the neutral label, NaN where it has none; None if unknown.
        separation: of the class centres at the last epoch; NaN if unknown.
        estimates: (n,) each: trust, expected error and contradiction, NaN where the clip has no label; empty if the
            rule does not estimate them.
    """

    m_labels: Array
    u_labels: Array
    before: Array | None
    present: Mask
    moved: Mask
    clamped: Mask | None
    held: Mask | None
    head: Array | None
    separation: float
    estimates: Mapping[str, Array]

    @classmethod
    def of(
        cls,
        history: LabelHistory,
        number: int,
        *,
        neutral: float,
        head: Array | None,
        separation: float,
    ) -> ModalityLabels:
        """Return the labels of modality ``number`` of a history; ``head`` are the scores as they are stored."""
        u_labels = history.u_labels[number]
        present = np.isfinite(u_labels[-1])
        if history.outcomes is None:
            moved, clamped, held = (u_labels != history.m_labels) & np.isfinite(u_labels), None, None
        else:
            moved = history.has(number, Outcome.UPDATED, Outcome.CLAMPED)
            clamped, held = history.has(number, Outcome.CLAMPED)[-1], history.has(number, *HELD)[-1]
            present = present & ~history.has(number, Outcome.MISSING)[-1]
        return cls(
            m_labels=history.m_labels.astype(np.float64) - neutral,
            u_labels=u_labels[-1].astype(np.float64) - neutral,
            before=u_labels[-2].astype(np.float64) - neutral if len(u_labels) > 1 else None,
            present=present,
            moved=moved.any(axis=0),
            clamped=clamped,
            held=held,
            head=None if head is None else head - neutral,
            separation=separation,
            estimates={key: values[number].astype(np.float64) for key, values in history.estimates.items()},
        )


class Undefined(Exception):  # noqa: N818  not an error
    """A figure has no value; the message is the reason."""


_NOT_RECORDED = "the version of selfmm that made this run did not record outcomes"


def _mean(values: Array | Mask, nothing: str = "no clip has this modality") -> float:
    if not len(values):
        raise Undefined(nothing)
    return float(np.mean(values))


def _share(mask: Mask | None, labels: ModalityLabels) -> float:
    if mask is None:
        raise Undefined(_NOT_RECORDED)
    return _mean(mask[np.isfinite(labels.u_labels)], "no clip has a label")


def _corr(x: Array, y: Array) -> float:
    if len(x) < 2:
        raise Undefined("a correlation needs two clips")
    if x.min() == x.max() or y.min() == y.max():
        raise Undefined("one of the two has the same value for all clips")
    return pearson(x, y)


def _estimate(labels: ModalityLabels, key: str) -> float:
    if key not in labels.estimates:
        raise Undefined("unknown, because only the rule posterior of this version estimates the error of its labels")
    values = labels.estimates[key][labels.present]
    if len(values) and not np.isfinite(values).any():
        raise Undefined("unknown, because all m-labels that they were fitted to are equal")
    return _mean(values[np.isfinite(values)])


def _drift(labels: ModalityLabels) -> float:
    if labels.before is None:
        raise Undefined("the table has only one epoch")
    change = np.abs(labels.u_labels - labels.before)[labels.present]
    return _mean(change[np.isfinite(change)])


def _separation(labels: ModalityLabels) -> float:
    if np.isnan(labels.separation):
        raise Undefined("the run's history has no separation of the centres for this epoch")
    return labels.separation


def _with_head(labels: ModalityLabels, figure: Callable[[Array, Array], float]) -> float:
    if labels.head is None:
        raise Undefined("this modality has no scores")
    known = labels.present & np.isfinite(labels.head)
    return figure(labels.u_labels[known], labels.head[known])


def _mae(x: Array, y: Array) -> float:
    return _mean(np.abs(x - y), "no clip has a score of this modality")


def _on_side(labels: ModalityLabels, side: int) -> float:
    """Share of clips with u on the side of m (1) or on the other side (-1), among those with an m-label on a side."""
    sided = labels.present & (labels.m_labels != 0)
    return _mean(np.sign(labels.u_labels[sided]) * np.sign(labels.m_labels[sided]) == side, "all m-labels are neutral")


FIGURES: Mapping[str, tuple[str, Callable[[ModalityLabels], float]]] = {
    "clips": ("number of clips with a label", lambda v: float(np.isfinite(v.u_labels).sum())),
    "coverage": ("share of labels that the rule has moved at least once", lambda v: _share(v.moved, v)),
    "held": ("share of labels held, for any reason", lambda v: _share(v.held, v)),
    "clamped": ("share of raw labels cut to the range", lambda v: _share(v.clamped, v)),
    "corr_m": ("Pearson correlation with the m-label", lambda v: _corr(v.u_labels[v.present], v.m_labels[v.present])),
    "distance_m": ("mean |u - m|", lambda v: _mean(np.abs(v.u_labels - v.m_labels)[v.present])),
    "same_side": ("share on the m-label's side of neutral (neutral m-labels left out)", lambda v: _on_side(v, 1)),
    "flipped": ("share on the other side of neutral (neutral m-labels left out)", lambda v: _on_side(v, -1)),
    "drift": ("mean |u - u of the epoch before|", _drift),
    "separation": ("distance of the class centres over the spread of the classes", _separation),
    "head_corr": ("Pearson correlation with the score of the modality's own head", lambda v: _with_head(v, _corr)),
    "head_mae": ("mean |u - score of the modality's own head|", lambda v: _with_head(v, _mae)),
    "expected_error": ("mean expected |u - what the modality says|", lambda v: _estimate(v, "expected_error")),
    "contradiction": ("mean probability that it contradicts the m-label", lambda v: _estimate(v, "contradiction")),
    "trust": ("mean of 1 - expected error / that of the m-label", lambda v: _estimate(v, "trust")),
}
"""Meaning and function of each figure. Clips that lack the modality count in the first four only."""


_OF_TRAINING = ("drift", "separation")  # labels that were estimated before training have neither


def measure(labels: ModalityLabels) -> tuple[dict[str, float], dict[str, str]]:
    """Return every figure of ``FIGURES``, NaN where it has no value, and the reason where one could be expected."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for key, (_, figure) in FIGURES.items():
        if labels.estimates and key in _OF_TRAINING:
            values[key] = float("nan")
            continue
        try:
            values[key] = figure(labels)
        except Undefined as reason:
            values[key], reasons[key] = float("nan"), str(reason)
    return values, reasons
