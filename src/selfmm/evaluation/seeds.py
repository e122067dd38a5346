"""The metrics of several seeds of one training on the same clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import pandas as pd

from selfmm.evaluation.tables import summarise
from selfmm.evaluation.worth import Evaluation


@dataclass(frozen=True)
class SeedMetrics(Evaluation):
    """Metrics of several seeds; ``values`` are their means. ``worth`` is None: see that of each seed.

    Attributes:
        by_seed: the metrics of each seed.
    """

    by_seed: Mapping[int, Evaluation] = field(default_factory=dict)

    @classmethod
    def of(cls, by_seed: Mapping[int, Evaluation]) -> Self:
        """Return the means over seeds; there must be at least one seed.

        A figure has a mean over the seeds that have a value, and a reason only if none has.
        """
        first = next(iter(by_seed.values()))
        means = summarise([metrics.values for metrics in by_seed.values()])["mean"]
        values = {str(key): float(value) for key, value in means.items()}
        reasons = {key: reason for key, reason in first.reasons.items() if values[key] != values[key]}
        return cls(values, reasons, first.count, first.unlabelled, by_seed=dict(by_seed))

    @property
    def summary(self) -> pd.DataFrame:
        """A row per figure: ``mean``, ``std`` (over n - 1), ``runs``, and ``seed_<seed>`` for each seed."""
        table = summarise([metrics.values for metrics in self.by_seed.values()])
        return table.join(pd.DataFrame({f"seed_{seed}": metrics.values for seed, metrics in self.by_seed.items()}))
