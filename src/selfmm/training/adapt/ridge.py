"""Ridge regression centred at a score that is known before: the mean of a Gaussian posterior.

A label t is the prior score f of the clip, corrected for the raters' offset and slope and by what the inputs add::

    t = f + a + b f + u.z + noise,     a ~ N(0, OFFSET^2), b ~ N(0, SLOPE^2), u ~ N(0, strength I), noise ~ N(0, 1 / w)

t and f are in units of a third of the largest distance from neutral, so labels are from -3 to 3. z are the inputs,
centred, with a total variance of 1, so ``strength`` is the variance of what they add. w is the weight of a clip, 1 for
a rated one. All of it is linear, so the posterior mean is a ridge regression of t - f on (1, f, z), and the prediction
of a group of clips without their own labels has a closed form. With the hat matrix H of rows that are multiplied by
sqrt(w)::

    left-out residuals of a group G = (1 - H_GG)^-1 residuals of G

Source for single clips: Allen (1974), https://doi.org/10.1080/00401706.1974.10489157; a group is a block of the same
identity (Cook and Weisberg, Residuals and Influence in Regression, 1982, section 3.6).

The strength is the smallest one whose left-out error is within one standard error of the least. Only strengths up to
``FREE`` compete, unless a larger one is better than all of them by three standard errors: the best of many on a few
clips is often best by luck. So a few ratings correct the offset and slope of the prior score, and little else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.intp]

OFFSET = 0.25
"""Prior deviation of the raters' offset from the prior score, in units of labels from -3 to 3."""
SLOPE = 0.2
"""Prior deviation of the slope's distance from 1."""
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Candidates for the prior variance of what the inputs add."""
FREE = 0.1
_PROOF = 3.0  # standard errors
LEAST = 20
"""Fewest clips that prove anything."""
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Fit:
    """A fitted regression.

    Attributes:
        weights, bias, slope: score = bias + slope * f + weights . x for inputs x as they were given.
        left_out: (n,) the score of each clip of the fit by the regression of the other groups.
        strength: the chosen one.
    """

    weights: Array
    bias: float
    slope: float
    left_out: Array
    strength: float


def fit(inputs: Array, prior: Array, targets: Array, weights: Array, groups: Groups) -> Fit:
    """Fit ``targets`` (n,) by ``inputs`` (n, d), starting from the scores ``prior`` (n,).

    Args:
        weights: (n,) of the clips, positive.
        groups: (n,) from 0; clips of a group are left out together.
    """
    total = weights.sum()
    if not len(targets):
        return Fit(np.zeros(inputs.shape[1]), 0.0, 1.0, np.zeros(0), 0.0)
    centre = weights @ inputs / total
    centred = inputs - centre
    size = float(np.sqrt(weights @ np.square(centred).sum(axis=1) / total))
    axes = _axes(centred) / size if size > _SMALLEST else np.zeros((inputs.shape[1], 0))
    rows = np.column_stack([np.ones(len(targets)), prior, centred @ axes])
    residuals = targets - prior
    fits = [solve(rows, _variances(rows.shape[1], strength), residuals, weights, groups) for strength in STRENGTHS]
    best = _choose(np.stack([left for _, left in fits]), weights, groups)
    effects, left = fits[best]
    added = axes @ effects[2:]
    return Fit(added, float(effects[0] - added @ centre), float(1 + effects[1]), targets - left, STRENGTHS[best])


def solve(rows: Array, variances: Array, residuals: Array, weights: Array, groups: Groups) -> tuple[Array, Array]:
    """Return the posterior mean of effects (k,) with prior ``variances`` (k,), and left-out residuals (n,).

    Args:
        rows: (n, k) what the effects are multiplied by.
        residuals: (n,) targets minus what the prior mean predicts.
        weights, groups: as in ``fit``.
    """
    root = np.sqrt(weights)
    scaled = rows * np.sqrt(variances) * root[:, None]
    inverse = np.linalg.inv(scaled.T @ scaled + np.eye(rows.shape[1]))
    effects = inverse @ (scaled.T @ (residuals * root))
    rest = residuals * root - scaled @ effects
    left = np.empty(len(residuals))
    order = np.argsort(groups, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        own = scaled[members]
        left[members] = np.linalg.solve(np.eye(len(members)) - own @ inverse @ own.T, rest[members])
    return effects * np.sqrt(variances), left / root


def _variances(count: int, strength: float) -> Array:
    return np.array([OFFSET**2, SLOPE**2, *np.full(count - 2, strength)])


def _choose(left: Array, weights: Array, groups: Groups) -> int:
    """Return the number of the strength, given left-out residuals (k, n)."""
    losses = weights * np.square(left)
    free = max(1, sum(strength <= FREE for strength in STRENGTHS))
    best, strongest = int(losses[:free].sum(axis=1).argmin()), int(losses.sum(axis=1).argmin())
    if proven(losses[best] - losses[strongest], groups, _PROOF):
        return strongest
    return next(k for k in range(best + 1) if not proven(losses[k] - losses[best], groups, 1.0))


def proven(gains: Array, groups: Groups, errors: float) -> bool:
    """Return whether the sum of gains (n,) is above 0 by a number of standard errors, over groups of clips."""
    sums = np.bincount(groups, weights=gains)[np.unique(groups)]
    return len(gains) >= LEAST and len(sums) > 1 and bool(sums.sum() > errors * np.sqrt(len(sums)) * sums.std(ddof=1))


def _axes(centred: Array) -> Array:
    """Return orthonormal directions (d, k) in which the rows (n, d) vary; k is at most the smaller of n and d."""
    count, dim = centred.shape
    if dim <= count:
        return np.eye(dim)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > values.max() * count * np.finfo(np.float64).eps
    axes: Array = centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    return axes
