"""Sentences that a regression on the states of a random encoder can tell apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GOOD, BAD = "the plot was wonderful", "the plot was dreadful"


def sentences(labels: npt.NDArray[np.float64]) -> list[str]:
    """Return a sentence per label from -3 to 3, with words that mean nothing."""
    random = np.random.default_rng(len(labels))
    noisy = labels + random.normal(0, 0.5, len(labels))
    words = np.select(
        [noisy > 1, noisy > 0, noisy > -1], [GOOD, "the cast was a bit sweet", "the film was a bit dull"], BAD
    )
    return [f"{sentence} {' '.join(['really'] * random.integers(0, 4))}".strip() for sentence in words]
