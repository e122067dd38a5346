"""The quality of each label in [0, 1], and how well it predicts the label's error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.evaluation.metrics import pearson
from selfmm.labels.audit.history import LabelHistory
from selfmm.labels.outcomes import Outcome

Array = npt.NDArray[np.float64]

DESCRIPTIONS = {
    "rank_corr": "Spearman correlation of quality with -|u - truth|: 1 if quality ranks the labels by their error",
    "mae_best": "mean |u - truth| over the quarter of the labels with the highest quality",
    "mae_worst": "mean |u - truth| over the quarter with the lowest quality",
}
"""One line per figure of `predicts_error`."""


def quality(history: LabelHistory, bound: float) -> Array:
    """Return ``1 - |u - y_m| / (2 bound)`` of each label of the last epoch, cut to [0, 1]: (M, N).

    It is 1 minus the distance between u-label and m-label, as a share of the label range: at quality 1 they are equal,
    at .75 a quarter of the range apart, at 0 at opposite ends. A human correction (outcome ``fixed``) has quality 1. It
    is NaN where the clip lacks the modality, which then has no label of its own.

    A low quality means "look at this label", not "this label is wrong": labels of true contradictions leave y_m as
    well. On planted runs no other candidate predicted the error better over all rules; the distance to the modality's
    own score predicted almost nothing, because that score was trained on the label. For the rule ``posterior`` even the
    best candidates predict little; docs/inspection.md has the figures.
    """
    last = history.u_labels[:, -1].astype(np.float64)
    values: Array = np.clip(1 - np.abs(last - history.m_labels.astype(np.float64)) / (2 * bound), 0.0, 1.0)
    for number in range(len(values)) if history.outcomes is not None else ():
        values[number, history.has(number, Outcome.FIXED)[-1]] = 1.0
        values[number, history.has(number, Outcome.MISSING)[-1]] = np.nan
    return values


def predicts_error(values: Array, u_labels: Array, truth: Array) -> dict[str, float]:
    """Return how well quality predicts the error of a modality's labels; figures as in ``DESCRIPTIONS``.

    Args:
        values: (n,) quality.
        u_labels: (n,) labels.
        truth: (n,) true labels. Clips with NaN in any of the three are left out.

    Returns:
        The figures. ``rank_corr`` is NaN if quality or error does not vary; all are NaN if fewer than 4 clips remain.
        Ties are assigned to quarters in the order of the clips.
    """
    known = np.isfinite(values) & np.isfinite(u_labels) & np.isfinite(truth)
    values, error = values[known], np.abs(u_labels - truth)[known]
    if len(values) < 4:
        return dict.fromkeys(DESCRIPTIONS, float("nan"))
    # The rounding error of |u - y_m| in float32 must not decide the order of ties.
    values = np.round(values, 6)
    order = np.argsort(values, kind="stable")
    quarter = len(order) // 4
    return {
        "rank_corr": pearson(pd.Series(values).rank(), pd.Series(-error).rank()),
        "mae_best": float(error[order[-quarter:]].mean()),
        "mae_worst": float(error[order[:quarter]].mean()),
    }
