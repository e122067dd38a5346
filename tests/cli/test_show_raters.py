"""The agreement of raters in words."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from selfmm.cli.show_raters import agreement_lines, raters_line


def line(**columns: float) -> str:
    row = {"raters": 2, "clips": 30, "ratings": 60, "shared": 30, "alpha": 0.5, "difference": 0.25, **columns}
    [text] = agreement_lines(pd.DataFrame([row], index=["audio"]))
    return text


@pytest.mark.parametrize(
    ("alpha", "level"),
    [
        (1, "1.00 (reliable)"),
        (0.8, "(reliable)"),
        (0.7, "(tentative)"),
        (0.6, "(unreliable)"),
        (0, "(unreliable)"),
    ],
)
def test_levels(alpha: float, level: str) -> None:
    assert level in line(alpha=alpha)
    assert "mean difference 0.25, over 30 clips with two or more ratings" in line(alpha=alpha)
    assert "(too few to tell)" in line(alpha=alpha, shared=9)


def test_below_chance() -> None:
    assert "-0.40 (worse than chance)" in line(alpha=-0.4)


def test_what_cannot_be_measured() -> None:
    lone = line(raters=1, clips=1, ratings=1, shared=0, alpha=math.nan, difference=math.nan)
    assert lone == "audio: 1 rating of 1 clip by 1 rater; no clip has two ratings, so agreement is unknown"
    equal = line(shared=1, alpha=math.nan, difference=0.0)
    assert equal.endswith("all ratings of 1 clip with two or more ratings are equal, so alpha is not defined")


def test_who_rated() -> None:
    assert raters_line(pd.DataFrame({"rater": ["Ann", "Bo", "Bo"]})) == "raters (ratings): Bo (2), Ann (1)"
    assert raters_line(pd.DataFrame({"rater": [f"r{n}" for n in range(12)]})).endswith(" and 2 more")


def test_nobody_rated() -> None:
    assert raters_line(pd.DataFrame({"rater": []})) == ""
    assert agreement_lines(pd.DataFrame()) == []
