"""How far the labels of a modality can be trusted: checks against known labels, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.messages import clips
from selfmm.evaluation.metrics import pearson

Array = npt.NDArray[np.float64]

DESCRIPTIONS: Mapping[str, str] = {
    "t_corr": "Williams' t of corr minus corr_trivial: beyond 2 in size, the difference is more than chance",
    "expected": "mean expected |u - truth|, to compare with mae",
    "rank_corr": "Spearman correlation of the expected error and the actual |u - truth|",
    "mae_best": "mean |u - truth| over the quarter of the labels with the smallest expected error",
    "mae_worst": "mean |u - truth| over the quarter with the largest expected error",
}
"""One line per figure of `against_truth`."""

FEWEST = 30
"""With fewer clips with a known label, there is no verdict from them."""

_SURE = 2.0  # of t: about 95 % of a normal distribution
_MATTERS = 0.005  # of a correlation; smaller differences are not worth a verdict, however sure
_NEXT_TO_NOTHING = 0.01  # of trust


def against_truth(u_labels: Array, m_labels: Array, truth: Array, expected_error: Array | None) -> dict[str, float]:
    """Return how the labels of one modality compare with known ones; figures as in ``DESCRIPTIONS``.

    Args:
        u_labels, m_labels, truth: (n,); clips with NaN in one of them are left out.
        expected_error: (n,), NaN where unknown; None if the rule has no estimate.

    Returns:
        The figures; NaN for those of the expected error without it or with fewer than 4 clips, and for those without a
        value. Ties are assigned to quarters in the order of the clips.
    """
    known = np.isfinite(u_labels) & np.isfinite(m_labels) & np.isfinite(truth)
    figures = dict.fromkeys(DESCRIPTIONS, math.nan)
    figures["t_corr"] = williams(u_labels[known], m_labels[known], truth[known])
    if expected_error is None:
        return figures
    known &= np.isfinite(expected_error)
    expected, error = expected_error[known], np.abs(u_labels - truth)[known]
    if len(expected) < 4:
        return figures
    order, quarter = np.argsort(expected, kind="stable"), len(expected) // 4
    return figures | {
        "expected": float(expected.mean()),
        "rank_corr": pearson(pd.Series(expected).rank(), pd.Series(error).rank()),
        "mae_best": float(error[order[:quarter]].mean()),
        "mae_worst": float(error[order[-quarter:]].mean()),
    }


def williams(first: Array, second: Array, truth: Array) -> float:
    """Return Williams' t of ``corr(first, truth) - corr(second, truth)``, two correlations with one variable.

    NaN with fewer than 4 clips or where a correlation has no value; 0 if ``first`` and ``second`` are the same.

    Source: Williams, "The Comparison of Regression Variables", Journal of the Royal Statistical Society B 21 (1959),
    https://doi.org/10.1111/j.2517-6161.1959.tb00346.x; in the form of Steiger, Psychological Bulletin 87 (1980).
    """
    count = len(truth)
    if count < 4:
        return math.nan
    own, other, both = pearson(first, truth), pearson(second, truth), pearson(first, second)
    if not math.isfinite(own + other + both):
        return math.nan
    if 1 - both < 1e-12:
        return 0.0
    determinant = max(0.0, 1 - own**2 - other**2 - both**2 + 2 * own * other * both)
    variance = 2 * (count - 1) / (count - 3) * determinant + ((own + other) / 2) ** 2 * (1 - both) ** 3
    scaled = (count - 1) * (1 + both)
    return (own - other) * math.sqrt(scaled / variance) if variance > 0 else math.copysign(math.inf, own - other)


def verdict(figures: Mapping[str, float], known: Mapping[str, float] | None, *, estimated: bool) -> str:
    """Return what one modality's labels are worth, in words.

    Args:
        figures: of the audit.
        known: of the comparison with known labels, with the figures of `against_truth`; None without known labels.
        estimated: whether the rule estimates the error of its labels.
    """
    if math.isnan(figures["distance_m"]):
        return "no clip has this modality"
    if estimated and figures["coverage"] == 0:
        return "says nothing beyond the m-label here: its labels are the m-labels"
    count = 0 if known is None else int(known["clips"])
    if known is not None and count >= FEWEST and not math.isnan(known["t_corr"]):
        return _compared(known)
    unchecked = (
        f"only {clips(count, ('has', 'have'))} a known label, too few to check this"
        if count
        else "there are no known labels to check this with"
    )
    if not estimated:
        return f"how far to trust these labels is unknown: the rule does not estimate their error, and {unchecked}"
    if figures["trust"] < _NEXT_TO_NOTHING:
        return f"says next to nothing beyond the m-label here; {unchecked}"
    return f"expected to err {100 * figures['trust']:.0f} % less than the m-label; {unchecked}"


def _compared(known: Mapping[str, float]) -> str:
    own, other, t = known["corr"], known["corr_trivial"], known["t_corr"]
    pair = f"correlation {own:.3f} against {other:.3f}"
    if max(own, other) * math.sqrt(known["clips"]) < _SURE:
        return f"follows the known labels no more than by chance, and neither does the m-label ({pair}): do not use"
    if abs(t) < _SURE or abs(own - other) < _MATTERS:
        return f"follows the known labels as well as the m-label does ({pair})"
    if t < 0:
        return f"worse than the m-label on the known labels ({pair}): do not use"
    return f"follows the known labels better than the m-label does ({pair})"
