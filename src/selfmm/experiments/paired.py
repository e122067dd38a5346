"""Two systems on the same clips: how far apart they are, how sure that is, and whether chance would do.

The interval is a percentile bootstrap over clips (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13), drawn in whole videos where those are known, since clips of one speaker are not independent; seeds are drawn anew
beside them, so that it covers other seeds as well as other clips. The p value is that of a permutation test: under the
hypothesis that the systems are alike, their predictions may be swapped for any video; the observed order counts among
the permutations (Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010). Both are of the mean over seeds.

Every metric is computed from sums over clips, see :mod:`selfmm.experiments.terms`, so that a drawn sample costs a
product of matrices and not an evaluation.
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
    """Of a metric of a system less that of a baseline, in the metric's units, shares in [0, 1].

    Attributes:
        value: the difference of the means over seeds.
        low, high: 95 % interval of it.
        p: probability of a difference as large or larger, either way, if the systems were alike.
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
    """Compares two systems by a metric.

    Args:
        key: of :data:`selfmm.evaluation.metrics.DESCRIPTIONS`.
        system, baseline: (n,) predictions of the same clips per seed; not necessarily as many seeds.
        labels: (n,) truth, finite.
        scale, neutral: as of :func:`selfmm.evaluation.metrics.evaluate`.
        groups: (n,) the video of each clip; None if each stands for itself, as do clips whose video is not known.

    Returns:
        None where one of the two has no value of the metric, on these clips or on most samples of them. Seeds without
        a value are left out, as they are of the mean.

    >>> found = compare_systems("mae", [np.array([1.0, 2.0])], [np.array([1.0, 4.0])], np.array([1.0, 2.0]), "mosi")
    >>> found.value if found else None
    -1.0
    """
    terms = terms_of(key, labels, scale, neutral)
    values, sums = [], []
    member = _membership(len(labels), groups)
    for runs in (system, baseline):
        found = [(run, evaluate(run, labels, scale, neutral).values[key]) for run in runs]
        known = [(run, value) for run, value in found if not math.isnan(value)]
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
    return Difference(values[0] - values[1], float(low), float(high), _permutation(rng, terms, *sums))


def _membership(count: int, groups: npt.ArrayLike | None) -> _Array:
    """(videos, clips): 1 where a clip is of a video."""
    number = np.arange(count)
    if groups is not None:
        number = pd.factorize(np.asarray(groups, dtype=object))[0]
        unknown = np.flatnonzero(number < 0)
        number[unknown] = number.max() + 1 + np.arange(len(unknown))
    member = np.zeros((number.max() + 1, count))
    member[number, np.arange(count)] = 1.0
    return member


def _bootstrap(rng: np.random.Generator, terms: Terms, own: _Array, other: _Array) -> _Array:
    """(ROUNDS,) differences in samples of videos and of seeds; NaN where the sample has no value.

    Args:
        own, other: (seeds, videos, terms) sums over each video's clips.
    """
    videos = own.shape[1]
    drawn = rng.multinomial(videos, np.full(videos, 1 / videos), size=ROUNDS).astype(np.float64)  # how often each
    means = []
    for sums in (own, other):
        seeds = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=ROUNDS) / len(sums)
        weights = seeds.T  # a seed that was not drawn need not have a value
        means.append(np.where(weights > 0, terms.metric(drawn @ sums) * weights, 0.0).sum(axis=0))
    found: _Array = means[0] - means[1]
    return found


def _permutation(rng: np.random.Generator, terms: Terms, own: _Array, other: _Array) -> float:
    """Share of orders, the observed one among them, with a difference as large; a swapped order without a value counts.

    Where the systems have not as many seeds, each list is repeated until both are as long: a swap gives the seeds of
    one the place of the seeds of the other, and the mean over the repeated list is the mean.
    """
    length = math.lcm(len(own), len(other))
    own, other = (np.tile(sums, (length // len(sums), 1, 1)) for sums in (own, other))
    gaps = other - own
    swapped = rng.choice([0.0, 1.0], size=(ROUNDS, own.shape[1])) @ gaps  # (seeds, ROUNDS, terms)
    first, second = (sums.sum(axis=1, keepdims=True) for sums in (own, other))
    found = (terms.metric(first + swapped) - terms.metric(second - swapped)).mean(axis=0)
    observed = float((terms.metric(first) - terms.metric(second)).mean())
    smaller = np.abs(found) < abs(observed) - 1e-9 * terms.size
    return float((1 + (~smaller).sum()) / (1 + ROUNDS))


def holm(values: Sequence[float]) -> list[float]:
    """p values of several tests, corrected so that the chance of any false alarm stays what it says (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values, kind="stable")
    corrected, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(values) - rank) * float(values[place])))
        corrected[place] = round(highest, 12)
    return corrected
