"""The score of all modalities together: a sum of theirs with non-negative weights, for each set that a clip may have.

It starts from the posterior mean of the sentiment m of a clip under three assumptions: m has variance V over all clips
around neutral; each score s is the mean of m given its modality alone, with an error of variance v; and given m, the
modalities are independent. Each modality then multiplies the density of m by N(s, v) / N(0, V), so that the prior
counts once, however many modalities a clip has::

    precision = 1 / V + sum (1 / v - 1 / V)        weight of s = (1 / v) / precision

A modality with v >= V says nothing and has weight 0; if none says anything, the score is the mean of theirs, which is
about the mean of the labels. Rated clips move the weights by the same ridge regression as the heads (Wolpert, Stacked
Generalization, 1992, https://doi.org/10.1016/S0893-6080(05)80023-1; non-negative as in Breiman, Stacked Regressions,
1996, https://doi.org/10.1007/BF00117832), on scores that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selfmm.training.adapt.ridge import Array, Groups, solve

WEIGHT = 0.2
"""Prior deviation of a weight from the one that the error variances give."""
BIAS = 0.05
"""Prior deviation of the bias, because the heads know the raters' offset already."""
_LEAST = 10
"""Fewest rated clips that move the weights of a set of modalities."""


@dataclass(frozen=True)
class Stacked:
    """Weights for each set of k modalities; set number p has modality i if bit i of p is set.

    Attributes:
        weights: (2^k, k).
        bias: (2^k,), in units of labels from -3 to 3.
        left_out: (n,) the score of each clip by weights that were fitted without its group.
    """

    weights: Array
    bias: Array
    left_out: Array


def stack(scores: Array, targets: Array, groups: Groups, errors: Sequence[float], spread: float) -> Stacked:
    """Fit the weights.

    Args:
        scores: (n, k) of each clip and modality, left out; NaN where the clip lacks the modality.
        targets: (n,).
        groups: (n,) clips of a group are left out together.
        errors: (k,) variances of the scores' errors.
        spread: variance of the labels.
    """
    count = scores.shape[1]
    weights, bias, present = np.zeros((2**count, count)), np.zeros(2**count), np.isfinite(scores)
    number = present @ (1 << np.arange(count))
    left_out = np.zeros(len(targets))
    for subset in range(2**count):
        members = np.flatnonzero(subset >> np.arange(count) & 1)
        own = precision_weights(np.asarray(errors)[members], spread)
        weights[subset, members] = own
        rows = np.flatnonzero(present[:, members].all(axis=1))
        useful = members[own > 0]
        if len(useful) < 2 or len(rows) < _LEAST:  # with one modality, its score is the score
            left = targets[rows] - scores[np.ix_(rows, members)] @ own
        else:
            moved, left = _fit(scores[np.ix_(rows, useful)], targets[rows], groups[rows], own[own > 0])
            bias[subset], weights[subset, useful] = moved[0], moved[1:]
        same = number[rows] == subset
        left_out[rows[same]] = targets[rows[same]] - left[same]
    return Stacked(weights, bias, left_out)


def precision_weights(errors: Array, spread: float) -> Array:
    """Return the weights (k,) of scores with error variances ``errors`` (k,), and labels with variance ``spread``."""
    informs = errors < spread
    if not informs.any():
        return np.full(len(errors), 1 / max(len(errors), 1))
    precision = 1 / spread + (informs * (1 / errors - 1 / spread)).sum()
    weights: Array = informs / errors / precision
    return weights


def _fit(scores: Array, targets: Array, groups: Groups, start: Array) -> tuple[Array, Array]:
    """Return bias and weights (1 + k,), no weight negative, and the left-out residuals (n,)."""
    effects, active = np.zeros(1 + len(start)), np.ones(len(start), dtype=bool)
    while True:
        rows = np.column_stack([np.ones(len(targets)), scores[:, active]])
        variances = np.array([BIAS**2, *np.full(int(active.sum()), WEIGHT**2)])
        before = targets - scores[:, active] @ start[active]
        moved, left = solve(rows, variances, before, np.ones(len(targets)), groups)
        weights = start[active] + moved[1:]
        if (weights >= 0).all():
            effects[0], effects[1:][active] = moved[0], weights
            return effects, left
        active[np.flatnonzero(active)[weights.argmin()]] = False
