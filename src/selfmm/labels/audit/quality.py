"""A number in [0, 1] per label that says how far it can be trusted, and how well that number predicts the error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.evaluation.metrics import pearson
from selfmm.labels.audit.history import LabelHistory
from selfmm.labels.outcomes import Outcome

Array = npt.NDArray[np.float64]

DESCRIPTIONS = {
    "rank_corr": "Spearman correlation of quality with -|u - truth|: 1 if quality orders the labels by their error",
    "mae_best": "mean |u - truth| of the quarter of the labels with the highest quality",
    "mae_worst": "the same for the quarter with the lowest",
}
"""One line per figure of `predicts_error`."""


def quality(history: LabelHistory, bound: float) -> Array:
    """Per label of the last epoch ``1 - |u - y_m| / (2 bound)``, cut to [0, 1]: (M, N).

    Meaning: 1 less the share of the label range by which the label departs from what a person gave for the whole clip.
    A label of quality 1 is that label itself; .75 stands a quarter of the range away from it; 0 is the opposite end. A
    human correction (outcome ``fixed``) has quality 1. NaN where the clip lacks the stream: it has no label of its own.

    Why so plain: departures from y_m are where generated labels go wrong. On planted runs no other candidate predicted
    the error better over all rules; distance to the modality's own score predicted next to nothing, because that score
    was trained on the label it would judge. For the rule ``posterior`` even the best candidates say little
    (docs/inspection.md has the figures). So a low quality says "look at this
    one", not "this one is wrong": true contradictions are departures as well.
    """
    last = history.u_labels[:, -1].astype(np.float64)
    values: Array = np.clip(1 - np.abs(last - history.m_labels.astype(np.float64)) / (2 * bound), 0.0, 1.0)
    for number in range(len(values)) if history.outcomes is not None else ():
        values[number, history.has(number, Outcome.FIXED)[-1]] = 1.0
        values[number, history.has(number, Outcome.MISSING)[-1]] = np.nan
    return values


def predicts_error(values: Array, u_labels: Array, truth: Array) -> dict[str, float]:
    """How well quality predicts the error of a modality's labels; figures as in ``DESCRIPTIONS``.

    Args:
        values: (n,) quality; u_labels, truth: (n,). Clips where one of the three is NaN are left out.

    Returns:
        NaN for ``rank_corr`` where quality or error does not vary, and for all where fewer than 4 clips are left. The
        quarters are taken by quality, equal ones by their place.
    """
    known = np.isfinite(values) & np.isfinite(u_labels) & np.isfinite(truth)
    values, error = values[known], np.abs(u_labels - truth)[known]
    if len(values) < 4:
        return dict.fromkeys(DESCRIPTIONS, float("nan"))
    # |u - y_m| carries the rounding of float32, which must not decide the order of equal ones.
    values = np.round(values, 6)
    order = np.argsort(values, kind="stable")
    quarter = len(order) // 4
    return {
        "rank_corr": pearson(pd.Series(values).rank(), pd.Series(-error).rank()),
        "mae_best": float(error[order[-quarter:]].mean()),
        "mae_worst": float(error[order[:quarter]].mean()),
    }
