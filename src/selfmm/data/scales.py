"""The scale of labels: the neutral label, the largest distance from it, and the unit in which a network learns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ENOUGH = 10  # labels; fewer are often small by chance
_LEARNABLE = 3.0  # as in MOSI: the published learning rates are for scores of this size


@dataclass(frozen=True)
class LabelScale:
    """The scale of labels in [``low``, ``high``].

    Attributes:
        neutral: the label between negative and positive: 0 where the range has both, else its middle (3 of 1 to 5).
        reach: H, the largest distance of a label from ``neutral``.
        unit: a network learns (y - neutral) / unit; 1 up to a reach of 3.
    """

    neutral: float
    reach: float
    unit: float

    @classmethod
    def of(cls, label_range: tuple[float, float]) -> LabelScale:
        """Return the scale of a label range.

        >>> LabelScale.of((-3, 3))
        LabelScale(neutral=0.0, reach=3.0, unit=1.0)
        >>> LabelScale.of((0, 90))
        LabelScale(neutral=45.0, reach=45.0, unit=15.0)
        """
        low, high = label_range
        # Halved first, because the sum of two large edges may overflow.
        neutral = 0.0 if low < 0 < high else low / 2 + high / 2
        reach = max(high - neutral, neutral - low)
        return cls(neutral, reach, max(1.0, reach / _LEARNABLE))


def widened(label_range: tuple[float, float]) -> tuple[float, float]:
    """Return a label range with room for rounding at both ends: a float32 .8 is a little more than .8."""
    low, high = label_range
    slack = 1e-6 * (high - low)
    return low - slack, high + slack


def default_range(labels: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the range to assume for labels: that of SIMS if none of at least ``_ENOUGH`` is beyond it, else that of
    MOSI, which is the starter's.

    >>> default_range(np.linspace(-1, 1, 10)), default_range(np.array([0.4]))
    ((-1.0, 1.0), (-3.0, 3.0))
    """
    known = labels[np.isfinite(labels)]
    return (-1.0, 1.0) if len(known) >= _ENOUGH and np.abs(known).max() <= 1 else (-3.0, 3.0)
