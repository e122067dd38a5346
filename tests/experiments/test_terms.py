"""Metrics from sums over clips against the metrics themselves, on samples drawn with repeats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfmm.core.errors import SelfmmError
from selfmm.evaluation.metrics import DESCRIPTIONS, Scale, evaluate
from selfmm.experiments.terms import terms_of

Array = npt.NDArray[np.float64]
SCALES: dict[Scale, float] = {"mosi": 3.0, "sims": 1.0, "general": 5.0}


def world(scale: Scale, n: int, seed: int) -> tuple[Array, Array]:
    """Predictions (n,) a little beyond the range, and labels on a grid, so that zeros, ties and cuts occur."""
    rng, limit = np.random.default_rng(seed), SCALES[scale]
    labels = np.round(rng.integers(-15, 16, n) * limit / 15, 4) * rng.integers(0, 2, n)
    said = labels + rng.normal(0, limit / 3, n) * rng.integers(0, 2, n)
    return said, labels


@settings(max_examples=60)
@given(
    st.sampled_from(["mosi", "sims", "general"]), st.integers(1, 25), st.integers(0, 10**6), st.sampled_from([0, 2.5])
)
def test_every_metric_of_a_sample(scale: Scale, n: int, seed: int, neutral: float) -> None:
    said, labels = world(scale, n, seed)
    at = neutral if scale == "general" else 0.0
    said, labels = said + at, labels + at
    drawn = np.random.default_rng(seed).integers(0, n, size=n)
    for key, value in evaluate(said[drawn], labels[drawn], scale, at).values.items():
        terms = terms_of(key, labels, scale, at)
        found = float(terms.metric(terms.per_clip(said)[drawn].sum(axis=0)))
        assert found == pytest.approx(value, abs=1e-9, nan_ok=True), key


def test_sums_may_have_any_shape() -> None:
    said, labels = world("mosi", 20, 1)
    terms = terms_of("corr", labels, "mosi")
    sums = np.stack([terms.per_clip(said)[rows].sum(axis=0) for rows in (slice(0, 9), slice(3, 20))])
    assert terms.metric(sums).shape == (2,)
    assert terms.metric(np.stack([sums] * 3)).shape == (3, 2)


def test_every_metric_is_known_and_no_other() -> None:
    for scale in SCALES:
        keys = evaluate([0.5], [0.5], scale).values
        for key in DESCRIPTIONS:
            if key in keys:
                terms_of(key, np.array([0.5]), scale)
            else:
                with pytest.raises(SelfmmError, match=f"has no metric '{key}'"):
                    terms_of(key, np.array([0.5]), scale)
