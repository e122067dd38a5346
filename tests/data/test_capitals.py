"""Which texts are mostly capitals, and that putting them in lower case moves no word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.data.capitals import in_capitals, lower_capitals, mostly_capitals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IT WAS NOT BAD", True),
        ("IT WAS (uhm) NOT BAD", True),
        ("It was NOT bad", False),
        ("AbAb", False),
        ("", False),
        ("3.5 ...", False),
        ("DAS WAR GRO\u00dfARTIG", True),
        ("\u042d\u0422\u041e \u0411\u042b\u041b\u041e", True),
        ("\u6211\u559c\u6b22KTV\u7684\u6b4c", False),
        ("\u6211K", False),
    ],
)
def test_more_than_half_of_the_letters(text: str, expected: bool) -> None:
    assert mostly_capitals(text) is expected
    assert lower_capitals(text) == (text.lower() if expected else text)


@given(st.text())
def test_the_length_stays(text: str) -> None:
    lower = lower_capitals(text)
    assert len(lower) == len(text)
    assert lower == text or mostly_capitals(text)


def test_a_capital_with_two_small_characters_stays() -> None:
    assert lower_capitals("\u0130Y\u0130") == "\u0130y\u0130"


def test_a_few_are_not_mentioned() -> None:
    texts = ["so good"] * 95
    assert in_capitals(texts + ["OK"] * 4).tolist() == []
    assert in_capitals(texts + ["OK"] * 5).tolist() == [95, 96, 97, 98, 99]
    assert in_capitals(["OK"]).tolist() == [0]
    assert in_capitals([]).tolist() == []
