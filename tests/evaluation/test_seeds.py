"""Metrics of several seeds: means and deviations of each figure, not of what it is computed from."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.evaluation.seeds import SeedMetrics
from selfmm.evaluation.worth import Evaluation


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 6), min_size=1))
def test_means_and_deviations(maes: dict[int, float]) -> None:
    metrics = SeedMetrics.of({seed: Evaluation({"mae": mae}, {}, 7, 2) for seed, mae in maes.items()})
    assert (metrics.count, metrics.unlabelled, list(metrics.by_seed)) == (7, 2, list(maes))
    assert metrics.values["mae"] == pytest.approx(statistics.mean(maes.values()))
    row = metrics.summary.loc["mae"]
    deviation = statistics.stdev(maes.values()) if len(maes) > 1 else math.nan
    assert row["std"] == pytest.approx(deviation, nan_ok=True)
    assert {seed: row[f"seed_{seed}"] for seed in maes} == maes


def test_a_figure_that_a_seed_lacks() -> None:
    one = Evaluation({"mae": 1.0, "corr": math.nan}, {"corr": "constant"}, 5)
    both = SeedMetrics.of({1: one, 2: Evaluation({"mae": 2.0, "corr": 0.5}, {}, 5)})
    assert both.values == {"mae": 1.5, "corr": 0.5}
    assert both.summary.loc["corr", "runs"] == 1
    assert both.reasons == {}
    none = SeedMetrics.of({1: one, 2: one})
    assert math.isnan(none.values["corr"])
    assert none.reasons == {"corr": "constant"}
