"""Two systems on the same clips: how far apart they are, how sure that is, and whether chance would do.

The interval is a percentile bootstrap over clips (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13), drawn in whole videos where those are known, since clips of one speaker are not independent; seeds are drawn anew
beside them, so that it covers other seeds as well as other clips. The p value is that of a permutation test: under the
hypothesis that the systems are alike, their predictions may be swapped for any video; the observed order counts among
the permutations (Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010). Both are of the mean over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]
ROUNDS = 2000
_SEED = 20210208


@dataclass(frozen=True)
class Difference:
    """Of the MAE of a system less that of a baseline, in units of the label; below 0 the system is better.

    Attributes:
        value: the difference of the means over seeds.
        low, high: 95 % interval of it.
        p: probability of a difference as large or larger, either way, if the systems were alike.
    """

    value: float
    low: float
    high: float
    p: float


def compare_errors(
    system: Sequence[_Array], baseline: Sequence[_Array], labels: _Array, groups: npt.ArrayLike | None = None
) -> Difference:
    """Compares two systems by the mean absolute error.

    Args:
        system, baseline: (n,) predictions of the same clips per seed; not necessarily as many seeds.
        labels: (n,) truth, finite.
        groups: (n,) the video of each clip; None if each stands for itself.

    >>> compare_errors([np.array([1.0, 2.0])], [np.array([1.0, 4.0])], np.array([1.0, 2.0])).value
    -1.0
    """
    own, other = (np.stack([np.abs(seed - labels) for seed in runs]) for runs in (system, baseline))
    sums_own, sums_other, sizes = _by_group(own, other, groups)
    rng = np.random.default_rng(_SEED)
    low, high = np.percentile(_bootstrap(rng, sums_own, sums_other, sizes), [2.5, 97.5])
    # Every clip's mean error over the seeds is one observation: seeds of two systems are no pairs.
    gaps = sums_own.mean(axis=0) - sums_other.mean(axis=0)
    signs = rng.choice([-1.0, 1.0], size=(ROUNDS, len(gaps)))
    as_large = np.abs(signs @ gaps) >= np.abs(gaps.sum()) * (1 - 1e-12)
    return Difference(
        value=float(gaps.sum() / sizes.sum()),
        low=float(low),
        high=float(high),
        p=float((1 + as_large.sum()) / (1 + ROUNDS)),
    )


def _by_group(own: _Array, other: _Array, groups: npt.ArrayLike | None) -> tuple[_Array, _Array, _Array]:
    """Sums of the errors in each video, (seeds, videos) each, and how many clips it has."""
    count = own.shape[1]
    number = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    member = np.zeros((count, number.max() + 1))
    member[np.arange(count), number] = 1.0
    return own @ member, other @ member, member.sum(axis=0)


def _bootstrap(rng: np.random.Generator, own: _Array, other: _Array, sizes: _Array) -> _Array:
    """(ROUNDS,) differences of the MAE in samples of videos and of seeds."""
    videos = len(sizes)
    drawn = rng.multinomial(videos, np.full(videos, 1 / videos), size=ROUNDS).astype(np.float64)  # how often each
    clips = drawn @ sizes
    errors = []
    for sums in (own, other):
        seeds = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=ROUNDS) / len(sums)
        errors.append(((drawn @ sums.T) * seeds).sum(axis=1) / clips)
    found: _Array = errors[0] - errors[1]
    return found


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
