"""How a recording is cut into spans, however its pieces come; a plain stand-in takes the place of the analysis."""

from __future__ import annotations

import itertools
import math
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.api.arguments import spans
from selfmm.core.errors import SettingsError
from selfmm.features.analysis import Analysis, Features
from selfmm.features.streams import Transcript, Word, joined
from selfmm.recordings.spans import BySentence, EarlierWords, Even, Sentences, Windows, sentences

Span = tuple[float, float]


class Heard:
    """Of an analysis what cutting needs: it answers for what is ready and not forgotten, and for nothing else."""

    def __init__(self, words: tuple[Word, ...] = ()) -> None:
        self.ready = self.forgotten = 0.0
        self._words = words

    def features(self, start: float, end: float) -> Features:
        assert self.forgotten <= start < end <= self.ready
        return Features(start, end, self.words(start, end), {}, None, None, None)

    def words(self, start: float, end: float) -> Transcript:
        assert start >= self.forgotten
        assert end <= self.ready
        return Transcript("", self._words).part(start, end)

    def forget(self, before: float) -> None:
        assert before <= self.ready
        self.forgotten = max(self.forgotten, before)


def cut(
    heard: Heard, spans: Windows | Sentences, times: list[float], given: Transcript | None = None
) -> tuple[list[Features], float]:
    """What comes when the recording is ready up to each of the times, the last of which is its end; and how much was
    kept at most."""
    analysis = cast(Analysis, heard)
    cutter = Even(analysis, spans) if isinstance(spans, Windows) else BySentence(analysis, given)
    found, kept = [], 0.0
    for time in times[:-1]:
        heard.ready = time
        found += cutter.due()
        kept = max(kept, heard.ready - heard.forgotten)
    heard.ready = times[-1]
    return found + cutter.rest(), kept


def spans_of(found: list[Features]) -> list[Span]:
    return [(round(one.start, 6), round(one.end, 6)) for one in found]


def times_to(end: float, cuts: list[float]) -> list[float]:
    return [*sorted(share * end for share in cuts), end]


CUTS = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.parametrize(
    ("length", "window", "hop", "expected"),
    [
        (3.0, 5.0, 1.0, [(0, 3)]),
        (5.0, 5.0, 1.0, [(0, 5)]),
        (7.0, 5.0, 1.0, [(0, 5), (1, 6), (2, 7)]),
        (7.4, 5.0, 1.0, [(0, 5), (1, 6), (2, 7), (2.4, 7.4)]),
        (10.0, 5.0, 5.0, [(0, 5), (5, 10)]),
        (12.0, 5.0, 5.0, [(0, 5), (5, 10), (7, 12)]),
        (8.4, 1.0, 5.0, [(0, 1), (5, 6)]),  # what lies between is left out on purpose
        (5.4, 1.0, 5.0, [(0, 1), (4.4, 5.4)]),
    ],
)
def test_windows(length: float, window: float, hop: float, expected: list[Span]) -> None:
    assert spans_of(cut(Heard(), Windows(window, hop), [length])[0]) == expected


@given(st.floats(0.2, 60), st.floats(0.1, 10), st.floats(0.1, 1), CUTS)
def test_windows_cover_a_recording_exactly(length: float, window: float, share: float, cuts: list[float]) -> None:
    spans = Windows(window, max(0.1, share * window))
    found = spans_of(cut(Heard(), spans, times_to(length, cuts))[0])
    assert found == spans_of(cut(Heard(), spans, [length])[0])
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(length, abs=2e-3)
    assert all(end - start == pytest.approx(min(window, length), abs=1e-5) for start, end in found)
    for (start, end), (after, _) in itertools.pairwise(found):
        assert start < after <= end + 1e-6


def test_gaps_between_windows_are_named() -> None:
    assert Windows(5, 5).notes == Sentences.notes == ()
    [note] = Windows(1, 5).notes
    assert "the 4 s between two windows are not scored" in note
    assert spans(0.5, None, False) == Windows(0.5, 0.5)


@given(st.floats(0.1, 10), st.floats(0.1, 1))
def test_no_more_is_kept_than_windows_need(window: float, share: float) -> None:
    spans = Windows(window, max(0.1, share * window))
    _, kept = cut(Heard(), spans, [0.25 * step for step in range(1, 400)])
    assert kept <= window + spans.hop + 0.25 + 1e-6


@pytest.mark.parametrize(("window", "hop", "wrong"), [(0, 1, "window = 0"), (5, -1, "hop = -1"), (1e9, 1, "window")])
def test_windows_that_cannot_be(window: float, hop: float, wrong: str) -> None:
    with pytest.raises(SettingsError, match=f"{wrong}.*give seconds"):
        Windows(window, hop)
    with pytest.raises(SettingsError):
        Windows(math.nan, 1)


def talk(steps: list[tuple[float, float, bool]]) -> tuple[Word, ...]:
    """Words from pauses before them, their lengths, and whether they end a sentence."""
    words: list[Word] = []
    time = 0.0
    for pause, length, last in steps:
        start = time + pause
        time = start + length
        words.append(Word(f"w{len(words)}{'.' if last else ''}", start, time))
    return tuple(words)


TALK = st.lists(st.tuples(st.floats(0, 2), st.floats(0.05, 1.5), st.booleans()), min_size=1, max_size=40).map(talk)


@given(TALK, CUTS, st.booleans())
def test_sentences_do_not_depend_on_the_pieces(words: tuple[Word, ...], cuts: list[float], written: bool) -> None:
    given_words = Transcript(joined(words, None), words) if written else None
    end = words[-1].end + 1
    heard = () if written else words
    whole, _ = cut(Heard(heard), Sentences(), [end], given_words)
    pieces, _ = cut(Heard(heard), Sentences(), times_to(end, cuts), given_words)
    assert spans_of(pieces) == spans_of(whole)
    assert [one.transcript for one in pieces] == [one.transcript for one in whole]
    assert [word for one in whole for word in one.transcript.words] == list(words)
    assert [one.transcript.text for one in whole] == [joined(part, None) for part in sentences(words)]


@given(TALK)
def test_sentences_end_at_stops_and_pauses(words: tuple[Word, ...]) -> None:
    for part, after in zip(sentences(words), [*sentences(words)[1:], None], strict=True):
        assert not any(word.text.endswith(".") for word in part[:-1])
        assert len(part) == 1 or part[-1].end - part[0].start <= 15
        if after is not None and not part[-1].text.endswith("."):
            word = after[0]
            assert (word.start + word.end) / 2 - part[-1].end > 0.8 or word.end - part[0].start > 15


def test_a_sentence_comes_once_it_is_over() -> None:
    heard = Heard((Word("Yes.", 0.0, 0.5), Word("and", 1.0, 1.2), Word('so."', 1.3, 1.6), Word("No", 1.7, 1.9)))
    cutter = BySentence(cast(Analysis, heard))
    seen = []
    for time in (0.4, 1.2, 1.5, 1.9, 2.5, 2.8):
        heard.ready = time
        seen.append([one.transcript.text for one in cutter.due()])
    assert seen == [[], ["Yes."], [], ['and so."'], [], ["No"]]


def test_hours_of_silence_and_one_endless_caption_keep_little() -> None:
    _, kept = cut(Heard(), Sentences(), [5.0 * step for step in range(1, 100)])
    assert kept <= 35
    music = Transcript("music", (Word("music", 0.0, 100.0),))
    found, kept = cut(Heard(), Sentences(), [5.0 * step for step in range(1, 30)], music)
    assert spans_of(found) == [(70, 100)]
    assert kept <= 35


def named(start: float, end: float) -> Features:
    return Features(start, end, Transcript(f"{start:g}-{end:g}", ()), {}, None, None, None)


def before_each(spans: list[Features], count: int) -> list[list[str]]:
    earlier = EarlierWords(count)
    return [earlier.before(span) for span in spans]


@given(
    window=st.sampled_from([0.1, 0.3, 1.0, 2.5, 5.0]),
    hop=st.sampled_from([0.1, 0.5, 1.0, 2.5, 6.0]),
    number=st.integers(1, 40),
    count=st.integers(0, 4),
)
def test_the_words_before_a_window_do_not_overlap_it_or_each_other(
    window: float, hop: float, number: int, count: int
) -> None:
    """Also where floating-point numbers miss each other a little, as 3 * .1 and .3 do."""
    spans = [named(place * hop, place * hop + window) for place in range(number)]
    for place, texts in enumerate(before_each(spans, count)):
        expected: list[str] = []
        start = spans[place].start
        for span in reversed(spans[:place]):
            if len(expected) < count and span.end <= start + 1e-3:
                expected.insert(0, span.transcript.text)
                start = span.start
        assert texts == expected


def test_the_words_before_a_sentence_are_the_sentences_before_and_no_more_is_kept() -> None:
    spans = [named(place, place + 1) for place in range(100)]
    earlier = EarlierWords(2)
    texts = [earlier.before(span) for span in spans]
    assert texts[:2] == [[], ["0-1"]]
    assert texts[99] == ["97-98", "98-99"]
    assert len(earlier._spans) == 3
