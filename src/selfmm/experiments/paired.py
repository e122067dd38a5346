"""Two systems on the same clips: their difference, its confidence interval, and a test against chance.

The interval is a percentile bootstrap over clips (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13). It resamples whole videos where they are known, since clips of one speaker are not independent. It also resamples
seeds, and so covers other seeds as well as other clips. The p value is the larger of two, so that it never contradicts
the interval. One is the share of these resamples on the other side of 0, twice: it is below .05 exactly if the interval
does not hold 0. The other comes from a permutation test: if the systems are equally good, their predictions for any
video can be swapped. That test is exact with few videos, where a bootstrap is too narrow, but takes the seeds as they
are. In both, the observed order counts as one of the rounds (Phipson and Smyth, Permutation P-values Should Never Be
Zero, 2010). All are for the mean over seeds.

Every metric is computed from sums over clips, see :mod:`selfmm.experiments.terms`: a resample costs one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.evaluation.metrics import Scale, evaluate
from selfmm.experiments.terms import Terms, terms_of

_Array = npt.NDArray[np.float64]
ROUNDS = 2000
_SEED = 20210208


@dataclass(frozen=True)
class Difference:
    """A metric of a system minus that of the baseline, in units of the metric; shares in [0, 1].

    Attributes:
        value: difference of the means over seeds.
        low, high: its 95 % confidence interval.
        p: two-sided p value, the probability of a difference at least as large if the systems were equally good. If it
            is below .05, the interval does not hold 0.
    """

    value: float
    low: float
    high: float
    p: float


def compare_systems(
    key: str,
    system: Sequence[_Array],
    baseline: Sequence[_Array],
    labels: _Array,
    scale: Scale,
    *,
    neutral: float = 0.0,
    groups: npt.ArrayLike | None = None,
) -> Difference | None:
    """Compare two systems by one metric.

    Args:
        key: a key of :data:`selfmm.evaluation.metrics.DESCRIPTIONS`.
        system, baseline: (n,) predictions for the same clips, one array per seed; the numbers of seeds may differ.
        labels: (n,) true labels, finite.
        scale, neutral: see :func:`selfmm.evaluation.metrics.evaluate`.
        groups: (n,) the video of each clip. A clip without a video forms its own group, as all clips do with None.

    Returns:
        The difference, over seeds that have a value; None if one of the systems has no value of the metric on these
        clips or on most resamples.

    >>> labels = np.array([1.0, 2.0])
    >>> difference = compare_systems("mae", [labels], [np.array([1.0, 4.0])], labels, "mosi")
    >>> difference.value if difference else None
    -1.0
    """
    terms = terms_of(key, labels, scale, neutral)
    values, sums = [], []
    member = _membership(len(labels), groups)
    for runs in (system, baseline):
        evaluated = [(run, evaluate(run, labels, scale, neutral).values[key]) for run in runs]
        known = [(run, value) for run, value in evaluated if not math.isnan(value)]
        if not known:
            return None
        values.append(float(np.mean([value for _, value in known])))
        sums.append(np.stack([member @ terms.per_clip(run) for run, _ in known]))
    rng = np.random.default_rng(_SEED)
    drawn = _bootstrap(rng, terms, *sums)
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < ROUNDS / 2:
        return None
    low, high = np.percentile(drawn, [2.5, 97.5])
    p = max(_share_beyond_zero(drawn), _permutation(rng, terms, *sums))
    return Difference(values[0] - values[1], float(low), float(high), p)


def _membership(count: int, groups: npt.ArrayLike | None) -> _Array:
    """Return (videos, clips): 1 where a clip belongs to a video, otherwise 0."""
    number = np.arange(count)
    if groups is not None:
        number = pd.factorize(np.asarray(groups, dtype=object))[0]
        unknown = np.flatnonzero(number < 0)
        number[unknown] = number.max() + 1 + np.arange(len(unknown))
    member = np.zeros((number.max() + 1, count))
    member[number, np.arange(count)] = 1.0
    return member


def _bootstrap(rng: np.random.Generator, terms: Terms, own: _Array, other: _Array) -> _Array:
    """Return (ROUNDS,) differences in resamples of videos and seeds; NaN where a resample has no value.

    Args:
        own, other: (seeds, videos, terms) sums over the clips of each video.
    """
    videos = own.shape[1]
    drawn = rng.multinomial(videos, np.full(videos, 1 / videos), size=ROUNDS).astype(np.float64)  # how often each
    means = []
    for sums in (own, other):
        seeds = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=ROUNDS) / len(sums)
        weights = seeds.T  # a seed with weight 0 may have no value
        means.append(np.where(weights > 0, terms.metric(drawn @ sums) * weights, 0.0).sum(axis=0))
    differences: _Array = means[0] - means[1]
    return differences


def _share_beyond_zero(drawn: _Array) -> float:
    """Return the two-sided p value that belongs to the percentile interval of the resamples."""
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, (1 + 2 * beyond) / (1 + len(drawn)))


def _permutation(rng: np.random.Generator, terms: Terms, own: _Array, other: _Array) -> float:
    """Return the share of permutations, the observed order included, with a difference at least as large as observed.

    Permutations without a value count. If the numbers of seeds differ, each list is repeated until both have the same
    length, which leaves the means unchanged; a swap exchanges the seeds of the two systems.
    """
    length = math.lcm(len(own), len(other))
    own, other = (np.tile(sums, (length // len(sums), 1, 1)) for sums in (own, other))
    gaps = other - own
    swapped = rng.choice([0.0, 1.0], size=(ROUNDS, own.shape[1])) @ gaps  # (seeds, ROUNDS, terms)
    first, second = (sums.sum(axis=1, keepdims=True) for sums in (own, other))
    permuted = (terms.metric(first + swapped) - terms.metric(second - swapped)).mean(axis=0)
    observed = float((terms.metric(first) - terms.metric(second)).mean())
    smaller = np.abs(permuted) < abs(observed) - 1e-9 * terms.size
    return float((1 + (~smaller).sum()) / (1 + ROUNDS))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for multiple tests by Holm's method (1979), which controls the family-wise error rate.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values, kind="stable")
    corrected, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(values) - rank) * float(values[place])))
        corrected[place] = round(highest, 12)
    return corrected
