"""Agreement between people who rated the same clips: Krippendorff's alpha with the interval metric.

With the values v_ui of the raters i of unit u, over the units that at least two people rated (n values in all),

    alpha = 1 - D_o / D_e
    D_o = 1/n sum_u 1/(m_u - 1) sum_{i != j} (v_ui - v_uj)^2      observed disagreement, m_u ratings of unit u
    D_e = 1/(n (n - 1)) sum of (v - v')^2 over all ordered pairs of values      disagreement expected by chance

Any rating may be missing. A sum of squared differences over the ordered pairs of k values is 2 k times their sum of
squares around the mean, which gives the closed form of :func:`krippendorff_alpha`:

    alpha = 1 - (n - 1)/n * sum_u m_u/(m_u - 1) SS_u / SS

Sources: K. Krippendorff, Content Analysis: An Introduction to Its Methodology, chapter on reliability; A. F. Hayes and
K. Krippendorff (2007), Answering the call for a standard reliability measure for coding data, Communication Methods and
Measures 1 (1), https://doi.org/10.1080/19312450709336664.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

PRIOR = 10
"""Clips rated twice that count as much as the assumption that one rating is reliable, see :func:`reliability`."""


# The levels that Krippendorff recommends (Content Analysis, chapter on reliability).
_LEVELS = ((0.8, "reliable"), (0.667, "tentative"), (0.0, "unreliable"), (-math.inf, "worse than chance"))
_FEW = 10  # clips with two or more ratings: with fewer, alpha varies too much for a verdict


def agreement_level(alpha: float, shared: int) -> str:
    """Return what alpha means, in words.

    Args:
        alpha: Krippendorff's alpha, not NaN.
        shared: number of clips with two or more ratings.

    >>> agreement_level(0.7, 30), agreement_level(0.7, 3)
    ('tentative', 'too few to tell')
    """
    return "too few to tell" if shared < _FEW else next(word for least, word in _LEVELS if alpha >= least)


def krippendorff_alpha(units: npt.ArrayLike, values: npt.ArrayLike) -> float:
    """Return Krippendorff's alpha of ratings, with the interval metric.

    Args:
        units: (n,) what each value rates, for example the id of the clip; any hashable values.
        values: (n,) finite ratings.

    Returns:
        1 for perfect agreement, about 0 for agreement by chance, negative for systematic disagreement; NaN if no unit
        has two ratings, or all of those ratings are equal.
    """
    table = pd.DataFrame({"unit": np.asarray(units), "value": np.asarray(values, dtype=np.float64)})
    shared = table[table.groupby("unit")["unit"].transform("size") >= 2]
    if not len(shared) or shared["value"].min() == shared["value"].max():
        return math.nan
    centred = shared["value"] - shared["value"].mean()
    centred /= centred.abs().max()  # the square of a tiny deviation must not become 0
    groups = centred.groupby(shared["unit"])
    within = (centred - groups.transform("mean")) ** 2
    size = groups.transform("size")
    n = len(shared)
    return float(1 - (n - 1) / n * (size / (size - 1) * within).sum() / (centred**2).sum())


def agreement(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return how far raters agree, one row per modality.

    Args:
        ratings: columns ``id``, ``modality``, ``rater``, ``label``; at most one row per clip, modality and rater.

    Returns:
        Index ``modality``; columns ``raters``, ``clips``, ``ratings`` (counts), ``shared`` (clips with two or more
        ratings), ``alpha`` (see :func:`krippendorff_alpha`) and ``difference`` (mean absolute difference between two
        raters of one clip, on the scale of the labels; NaN without shared clips).
    """
    rows = [
        {
            "modality": str(name),
            "raters": group["rater"].nunique(),
            "clips": group["id"].nunique(),
            "ratings": len(group),
            "shared": int((group["id"].value_counts() >= 2).sum()),
            "alpha": krippendorff_alpha(group["id"], group["label"]),
            "difference": _mean_difference(group),
        }
        for name, group in ratings.groupby("modality", sort=False)
    ]
    columns = ["modality", "raters", "clips", "ratings", "shared", "alpha", "difference"]
    return pd.DataFrame(rows, columns=columns).set_index("modality")


def _mean_difference(ratings: pd.DataFrame) -> float:
    """Return the mean over the clips of the mean |v - v'| over pairs of their ratings."""
    ordered = ratings.sort_values("label")
    groups = ordered.groupby("id")["label"]
    size, rank = groups.transform("size"), groups.cumcount()  # a sorted value is the larger one in ``rank`` pairs
    pairs = size * (size - 1) / 2
    parts = ((2 * rank - size + 1) * ordered["label"] / pairs)[size >= 2]
    return float(parts.groupby(ordered["id"]).sum().mean()) if len(parts) else math.nan


def reliability(ratings: pd.DataFrame) -> dict[str, float]:
    """Return the estimated reliability of one rating per modality, in [0, 1].

    It is alpha (0 if negative), shrunk towards 1 by ``PRIOR`` clips: ``(PRIOR + m max(alpha, 0)) / (PRIOR + m)`` with m
    clips that several people rated. Without such clips it is 1, because nothing speaks against the raters.
    """
    return {
        str(name): 1.0 if math.isnan(row.alpha) else (PRIOR + row.shared * max(row.alpha, 0.0)) / (PRIOR + row.shared)
        for name, row in agreement(ratings).iterrows()
    }
