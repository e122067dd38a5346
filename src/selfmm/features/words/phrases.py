"""Cut speech at its pauses into phrases, which are recognised separately."""

from __future__ import annotations

from collections.abc import Iterator

RATE = 31.25
"""Rows per second of the probability of speech."""

ONSET, OFFSET = 0.5, 0.35
"""Speech begins at the first probability and ends below the second."""

LONGEST = 875
"""Rows (28 s): a recogniser of the Whisper family reads at most 30 s at a time."""

_PADDING = 8  # rows (.26 s) of sound before and after the speech, which may begin and end softly
_ENDS_ANY = 63  # rows (2 s) of a pause that ends any phrase
_LONG = 250  # rows (8 s) of a long phrase
_ENDS_LONG = 25  # rows (.8 s) of a pause that ends a long phrase
_LEAST = 5  # rows (.16 s) of speech; less is a click


class Phrases:
    """Cuts speech at its pauses into phrases of at most 28 s.

    Long phrases are better: a recogniser takes the same time for each, and context helps it. But a live source waits
    for the end of a phrase, so it ends at a clear pause. After 28 s without such a pause, the phrase is cut at the
    longest pause in its second half, however short.
    """

    def __init__(self) -> None:
        self._row = 0
        self._floor = 0  # the sound before this row belongs to the previous phrase
        self._speech: list[float] = []  # probabilities since the speech began; empty: nobody speaks
        self._last = 0  # the row after the last one with speech
        self._speaking = False

    @property
    def settled(self) -> int:
        """The row before which no other phrase will begin."""
        return self._padded(self._row - len(self._speech))

    def add(self, probability: float) -> Iterator[tuple[int, int]]:
        """Take the probability of the next row. Yield the first row and the row after the last of complete phrases."""
        self._row += 1
        self._speaking = probability >= (OFFSET if self._speaking else ONSET)
        if self._speaking:
            self._last = self._row
        if not (self._speaking or self._speech):
            return
        self._speech.append(probability)
        begin = self._row - len(self._speech)
        pause = self._row - self._last
        if pause >= _ENDS_ANY or (pause >= _ENDS_LONG and self._last - begin >= _LONG):
            yield from self.finish()
        elif self._row - self._padded(begin) >= LONGEST:
            yield from self._cut(begin)

    def finish(self) -> Iterator[tuple[int, int]]:
        """Yield the last phrase, if it is not complete yet."""
        if self._speech:
            yield from self._end(min(self._last + _PADDING, self._row))

    def _cut(self, begin: int) -> Iterator[tuple[int, int]]:
        place = _quietest(self._speech)
        end, rest = begin + place, self._speech[place:]
        yield from self._end(end)
        self._row, self._floor, self._speaking = end, end, False
        for probability in rest:
            yield from self.add(probability)

    def _end(self, end: int) -> Iterator[tuple[int, int]]:
        first = self._padded(self._row - len(self._speech))
        if sum(probability >= ONSET for probability in self._speech) >= _LEAST:
            self._floor = end
            yield first, end
        self._speech = []

    def _padded(self, begin: int) -> int:
        return max(begin - _PADDING, self._floor)


def _quietest(speech: list[float]) -> int:
    """Return the middle of the longest pause in the second half, or else the row with the lowest probability there."""
    half = len(speech) // 2
    best, length, run = half, 0, 0
    for place in range(half, len(speech)):
        run = run + 1 if speech[place] < OFFSET else 0
        if run > length:
            best, length = place - run // 2, run
    return best if length else min(range(half, len(speech)), key=speech.__getitem__)
