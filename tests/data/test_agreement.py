"""Krippendorff's alpha against its definition, a published example, and what must hold for any ratings."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import agreement as oracle
from selfmm.data.agreement import agreement, krippendorff_alpha, reliability

Units = list[list[float]]
# Steps of .25 are exact, so that two ratings are equal or clearly different.
ratings_of_units = st.lists(st.lists(st.integers(-12, 12).map(lambda n: n / 4), max_size=5), max_size=12)


def flat(units: Units) -> tuple[list[str], list[float]]:
    return (
        [f"u{number}" for number, ratings in enumerate(units) for _ in ratings],
        [value for ratings in units for value in ratings],
    )


def alpha(units: Units) -> float:
    return krippendorff_alpha(*flat(units))


def table(units: Units, modality: str = "audio") -> pd.DataFrame:
    ids, values = flat(units)
    raters = [f"r{number}" for ratings in units for number in range(len(ratings))]
    return pd.DataFrame({"id": ids, "modality": modality, "rater": raters, "label": values})


@given(ratings_of_units)
def test_the_closed_form_is_the_definition(units: Units) -> None:
    assert alpha(units) == pytest.approx(oracle.alpha(units), abs=1e-9, nan_ok=True)
    row = agreement(table(units))
    if len(row):
        assert row["difference"].item() == pytest.approx(oracle.mean_difference(units), abs=1e-9, nan_ok=True)
        assert row["shared"].item() == sum(len(ratings) >= 2 for ratings in units)


def test_a_published_example() -> None:
    """Four observers, twelve units, missing values: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability."""
    nan = math.nan
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    units = [[value for value in ratings if not math.isnan(value)] for ratings in zip(*observers, strict=True)]
    assert round(alpha(units), 3) == 0.849


@given(ratings_of_units, st.sampled_from([-2.0, 0.5, 3.0, 1e-6]), st.sampled_from([-7.0, 0.0, 100.0]))
def test_another_scale_changes_nothing(units: Units, factor: float, offset: float) -> None:
    moved = [[factor * value + offset for value in ratings] for ratings in units]
    assert alpha(moved) == pytest.approx(alpha(units), abs=1e-6, nan_ok=True)


@given(ratings_of_units, st.randoms(use_true_random=False))
def test_neither_order_nor_lone_ratings_matter(units: Units, random: object) -> None:
    ids, values = flat(units)
    order = list(range(len(ids)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = krippendorff_alpha([ids[i] for i in order], [values[i] for i in order])
    assert shuffled == pytest.approx(alpha(units), abs=1e-9, nan_ok=True)
    assert alpha([*units, [3.0]]) == pytest.approx(alpha(units), abs=0, nan_ok=True)


@given(ratings_of_units)
def test_it_is_at_most_1_and_1_only_for_perfect_agreement(units: Units) -> None:
    value = alpha(units)
    shared = [ratings for ratings in units if len(ratings) >= 2]
    if len({rating for ratings in shared for rating in ratings}) < 2:
        assert math.isnan(value), "no variation: agreement by chance and by judgement look the same"
    else:
        assert value <= 1
        assert (value == 1) == all(len(set(ratings)) == 1 for ratings in shared)


@given(st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=9).filter(lambda v: len(set(v)) > 1))
def test_the_same_rating_by_all_is_perfect(values: list[float]) -> None:
    assert alpha([[value] * 3 for value in values]) == 1


def test_by_chance_it_is_0() -> None:
    values = np.random.default_rng(0).normal(size=(4000, 3))
    assert krippendorff_alpha(np.repeat(np.arange(4000), 3), values.ravel()) == pytest.approx(0, abs=0.03)


def test_it_estimates_the_share_of_variance_that_is_truth() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4000, 1))
    values = truth + 0.5 * rng.normal(size=(4000, 3))
    assert krippendorff_alpha(np.repeat(np.arange(4000), 3), values.ravel()) == pytest.approx(1 / 1.25, abs=0.02)


def test_reliability_needs_evidence() -> None:
    apart = [[-3.0, 3.0], [3.0, -3.0]]
    assert reliability(table([[1.0], [2.0]])) == {"audio": 1.0}, "nobody can disagree"
    assert reliability(table([[1.0, 1.0], [1.0]])) == {"audio": 1.0}, "no variation"
    assert reliability(table(apart)) == {"audio": pytest.approx(10 / 12)}
    assert reliability(table(apart * 500))["audio"] == pytest.approx(10 / 1010)
    both = pd.concat([table(apart), table([[1.0, 1.0], [2.0, 2.0]], "text")])
    assert reliability(both) == {"audio": pytest.approx(10 / 12), "text": 1.0}


def test_nobody() -> None:
    assert agreement(table([])).empty
    assert reliability(table([])) == {}
    assert math.isnan(krippendorff_alpha([], []))
