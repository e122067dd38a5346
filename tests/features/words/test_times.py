"""Times for written words: nothing is lost or reordered, and recognised times come through."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.features.streams import Transcript, Word
from selfmm.features.words.times import split_words, spread, time_words

TEXTS = st.text(alphabet="abc é'-.,!  \n好听ทู不", max_size=60)
TIMES = st.floats(0, 20, allow_nan=False)


def recognised(*words: tuple[str, float, float]) -> Transcript:
    return Transcript(" ".join(word[0] for word in words), tuple(Word(*word, 0.9) for word in words))


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript | None:
    if draw(st.booleans()):
        return None
    times = sorted(draw(st.lists(TIMES, max_size=20)))
    words = [draw(st.sampled_from(["a", "b,", "好听", "abc", "..."])) for _ in times[1:]]
    return recognised(*zip(words, times[:-1], times[1:], strict=True))


@given(TEXTS, transcripts(), TIMES, st.floats(0.01, 20))
def test_words_and_their_order_are_kept_and_times_rise_within_the_span(
    text: str, heard: Transcript | None, start: float, length: float
) -> None:
    span = (start, start + length)
    words = time_words(text, heard, span)
    assert [word.text for word in words] == [word.strip() for word in split_words(text)]
    times = [span[0], *(time for word in words for time in (word.start, word.end)), span[1]]
    assert times == sorted(times)
    assert all(word.probability == 1 for word in words)


@given(TEXTS)
def test_split_words_loses_nothing_but_blanks(text: str) -> None:
    words = split_words(text)
    assert "".join(words) == " ".join(text.split())
    assert all(word.strip() for word in words)


@given(st.lists(st.sampled_from(["one", "two", "good", "bad", "film,"]), min_size=1, max_size=30), st.integers(0, 99))
def test_what_is_recognised_in_full_takes_exactly_those_times(texts: list[str], first: int) -> None:
    heard = recognised(*((text, first + place, first + place + 0.5) for place, text in enumerate(texts)))
    words = time_words(" ".join(texts).upper(), heard, (0, 200))
    assert [(word.start, word.end) for word in words] == [(word.start, word.end) for word in heard.words]


def test_words_that_were_misheard_share_the_time_of_what_was_heard() -> None:
    heard = recognised(("nobody", 1, 1.5), ("left", 1.5, 2.3), ("at", 2.3, 2.5), ("jokes", 2.5, 3))
    words = time_words("Nobody laughed at his jokes.", heard, (0, 5))
    assert [(word.text, word.start, word.end) for word in words] == [
        ("Nobody", 1, 1.5),
        ("laughed", 1.5, 2.3),
        ("at", 2.3, 2.5),
        ("his", 2.5, 2.5),
        ("jokes.", 2.5, 3),
    ]


def test_words_that_were_not_heard_lie_between_their_neighbours_by_letters() -> None:
    heard = recognised(("so", 2, 3), ("film", 9, 10))
    words = time_words("So a fine film I say", heard, (0, 12))
    assert [(word.start, word.end) for word in words] == [
        (2, 3),
        (3, pytest.approx(3 + 6 / 5)),
        (pytest.approx(3 + 6 / 5), 9),
        (9, 10),
        (10, 10.5),
        (10.5, 12),
    ]


@pytest.mark.parametrize("heard", [None, Transcript("")])
def test_nothing_recognised_spreads_evenly_over_the_span(heard: Transcript | None) -> None:
    words = time_words("ab cd efgh", heard, (4, 12))
    assert [(word.start, word.end) for word in words] == [(4, 6), (6, 8), (8, 12)]


def test_characters_are_the_words_of_scripts_without_blanks() -> None:
    heard = recognised(("这部", 1, 2), ("电影", 2, 3), ("很好", 4, 5))
    words = time_words("这部电影，很好！", heard, (0, 6))
    assert [word.text for word in words] == ["这", "部", "电", "影，", "很", "好！"]
    assert [(word.start, word.end) for word in words] == [(1, 1.5), (1.5, 2), (2, 2.5), (2.5, 3), (4, 4.5), (4.5, 5)]


def test_mixed_scripts_and_marks() -> None:
    assert split_words("我爱iPhone手机 OK") == ["我", "爱", "iPhone", "手", "机", " OK"]
    assert split_words("ที่ดี") == ["ที่", "ดี"]
    assert split_words("«c'est» — 5,5!") == ["«c'est»", " —", " 5,5!"]


@given(st.lists(st.text(max_size=8), min_size=1, max_size=20), TIMES, TIMES)
def test_spread_fills_the_span(words: list[str], start: float, length: float) -> None:
    spans = spread(words, (start, start + length))
    assert spans[0][0] == start
    assert spans[-1][1] == pytest.approx(start + length)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
