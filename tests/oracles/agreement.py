"""Krippendorff's alpha by its definition: a loop over all pairs of ratings."""

from __future__ import annotations

import math
from collections.abc import Sequence


def alpha(units: Sequence[Sequence[float]]) -> float:
    """The interval metric; ``units`` are the ratings of each unit, missing ones left out."""
    shared = [ratings for ratings in units if len(ratings) >= 2]
    values = [value for ratings in shared for value in ratings]
    n = len(values)
    observed = sum(
        (ratings[i] - ratings[j]) ** 2 / (len(ratings) - 1) / n
        for ratings in shared
        for i in range(len(ratings))
        for j in range(len(ratings))
        if i != j
    )
    expected = sum((values[i] - values[j]) ** 2 / (n * (n - 1)) for i in range(n) for j in range(n) if i != j)
    return 1 - observed / expected if expected else math.nan


def mean_difference(units: Sequence[Sequence[float]]) -> float:
    """The mean over units of the mean absolute difference between two ratings."""
    means = []
    for ratings in units:
        pairs = [abs(ratings[i] - ratings[j]) for i in range(len(ratings)) for j in range(i)]
        means += [sum(pairs) / len(pairs)] if pairs else []
    return sum(means) / len(means) if means else math.nan
