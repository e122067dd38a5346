"""Cutting speech: at pauses, never longer than a recogniser can read, and never losing any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfmm.features.words.phrases import LONGEST, ONSET, Phrases

SECOND = 31.25


def rows(*spans: tuple[float, float]) -> list[float]:
    """Probabilities of stretches: how likely speech is, and for how many seconds."""
    return [probability for probability, seconds in spans for _ in range(round(seconds * SECOND))]


def cut(speech: list[float]) -> list[tuple[int, int]]:
    phrases = Phrases()
    found = [phrase for probability in speech for phrase in phrases.add(probability)]
    return [*found, *phrases.finish()]


def seconds(phrases: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(round(first / SECOND, 1), round(last / SECOND, 1)) for first, last in phrases]


STRETCHES = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]), st.floats(0.03, 15)), max_size=12)


@given(STRETCHES)
def test_phrases_are_apart_short_enough_and_hold_all_speech(stretches: list[tuple[float, float]]) -> None:
    speech = rows(*stretches)
    phrases, found = Phrases(), []
    settled = 0
    for row, probability in enumerate(speech):
        new = list(phrases.add(probability))
        assert all(first >= settled for first, _ in new)
        assert settled <= phrases.settled <= row + 1
        settled = phrases.settled
        found += new
    found += phrases.finish()
    edges = [0, *(edge for phrase in found for edge in phrase), len(speech)]
    assert edges == sorted(edges)
    assert all(0 < last - first <= LONGEST for first, last in found)
    inside = {row for first, last in found for row in range(first, last)}
    lost = [row for row, probability in enumerate(speech) if probability >= ONSET and row not in inside]
    lone = [row for row in lost if sum(other in range(row - 62, row + 63) for other in lost) >= 5]
    assert not lone  # only clicks of less than five rows are left out


def test_a_long_pause_ends_a_phrase_and_a_short_one_only_a_long_phrase() -> None:
    assert seconds(cut(rows((0, 1), (0.9, 2), (0, 1.5), (0.9, 2), (0, 3), (0.9, 1)))) == [(0.7, 6.7), (9.2, 10.5)]
    assert seconds(cut(rows((0.9, 9), (0, 1), (0.9, 2)))) == [(0, 9.2), (9.7, 12)]
    assert len(cut(rows((0.9, 5), (0, 1), (0.9, 2)))) == 1


def test_a_phrase_is_known_as_soon_as_its_pause_is_long_enough() -> None:
    phrases = Phrases()
    for probability in rows((0.9, 3), (0, 1.9)):
        assert not list(phrases.add(probability))
    assert phrases.settled == 0
    assert any(list(phrases.add(0.0)) for _ in range(5))
    assert phrases.settled > 3 * SECOND


def test_endless_speech_is_cut_at_the_longest_pause_of_the_second_half() -> None:
    first, second = cut(rows((0.9, 4), (0, 0.7), (0.9, 12), (0, 0.2), (0.9, 3), (0, 0.4), (0.9, 20)))
    assert first[1] - first[0] < LONGEST
    assert 19.9 * SECOND < first[1] < 20.3 * SECOND
    assert second[0] in range(first[1], first[1] + 8)


def test_speech_without_any_pause_is_cut_where_it_is_least_like_speech() -> None:
    speech = rows((0.9, 50))
    speech[700] = 0.6
    assert cut(speech)[0] == (0, 700)


def test_clicks_and_murmur_are_no_phrases() -> None:
    assert cut(rows((0, 5), (0.9, 0.1), (0, 5), (0.45, 9))) == []
