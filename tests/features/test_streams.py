"""Tracks and transcripts: their parts, and back from JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.features.streams import Track, Transcript, Word, joined

TRACK = Track(("a", "b"), np.arange(40, dtype=np.float32).reshape(20, 2), 10.0, 1.0)
WORDS = Transcript("one two three", (Word("one", 0, 0.4), Word("two", 0.4, 0.8), Word("three", 1, 2)), "en", "given")


def test_times_and_columns() -> None:
    assert len(TRACK) == 20
    np.testing.assert_allclose(TRACK.times, 1 + np.arange(20) / 10)
    np.testing.assert_array_equal(TRACK.column("b"), 2 * np.arange(20) + 1)
    with pytest.raises(ValueError, match="not in"):
        TRACK.column("c")


@given(st.floats(0, 4), st.floats(0, 4))
def test_a_part_holds_the_rows_of_its_times(one: float, other: float) -> None:
    start, end = sorted((round(one, 3), round(other, 3)))
    part = TRACK.part(start, end)
    inside = [i for i in range(20) if start - 1e-6 <= 1 + i / 10 < end - 1e-6]
    np.testing.assert_array_equal(part.values, TRACK.values[inside])
    if inside:
        assert part.times[0] == pytest.approx(1 + inside[0] / 10)


def test_parts_that_touch_make_the_whole() -> None:
    parts = [TRACK.part(a, b) for a, b in ((0, 1.55), (1.55, 2.0), (2.0, 9.0))]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), TRACK.values)


def test_rows_without_a_measurement() -> None:
    values = TRACK.values.copy()
    values[3] = np.nan
    assert np.flatnonzero(~Track(("a", "b"), values, 10.0).present).tolist() == [3]


def test_words_of_a_part_are_those_whose_middle_lies_in_it() -> None:
    assert WORDS.part(0.3, 1.5).text == "two"
    assert WORDS.part(0.2, 1.6).text == "one two three"
    assert WORDS.part(5, 6).words == ()
    both = WORDS.part(0, 0.6).words + WORDS.part(0.6, 9).words
    assert both == WORDS.words


def test_no_blanks_in_scripts_that_have_none() -> None:
    words = (Word("很", 0, 1), Word("好", 1, 2))
    assert joined(words, "zh") == "很好"
    assert joined(words, None) == "很 好"
    assert joined((), "en") == ""


@pytest.mark.parametrize("transcript", [WORDS, Transcript(""), Transcript("x", (), "zh", "subtitles")])
def test_a_transcript_there_and_back(transcript: Transcript) -> None:
    assert Transcript.from_json(json.loads(json.dumps(transcript.to_json()))) == transcript
