"""Where a range of labels is neutral and how far it reaches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.data.scales import LabelScale

edges = st.floats(-1e300, 1e300)


@given(edges, edges)
def test_all_labels_are_within_reach_of_the_neutral_one(one: float, other: float) -> None:
    low, high = sorted((one, other))
    scale = LabelScale.of((low, high + 1e-9 * (1 + abs(high))))
    assert low <= scale.neutral <= high + 1e-9 * (1 + abs(high))
    assert scale.reach >= max(high - scale.neutral, scale.neutral - low)
    assert scale.reach / scale.unit <= 3.0 + 1e-9


@pytest.mark.parametrize(
    ("label_range", "expected"),
    [
        ((-3, 3), (0, 3, 1)),
        ((-1, 1), (0, 1, 1)),
        ((-1, 2), (0, 2, 1)),
        ((1, 5), (3, 2, 1)),
        ((0, 1), (0.5, 0.5, 1)),
        ((-5, -1), (-3, 2, 1)),
        ((0, 90), (45, 45, 15)),
        ((-30, 30), (0, 30, 10)),
    ],
)
def test_ranges_people_use(label_range: tuple[float, float], expected: tuple[float, float, float]) -> None:
    assert LabelScale.of(label_range) == LabelScale(*expected)
