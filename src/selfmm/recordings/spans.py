"""Divide a long recording into spans to score: windows of one length, or sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from selfmm.core.errors import ArgumentsError
from selfmm.features.analysis import Analysis, Features
from selfmm.features.streams import Transcript, Word, joined

_PAUSE = 0.8  # seconds to the middle of the next word: recognisers often place its beginning too early
_LONGEST = 15.0  # seconds; speech without a stop is cut
_ENDS = (".", "?", "!", "。", "？", "！", "…")
_QUOTES = "\"'”’»)]」』"
_LEAST = 1e-3  # seconds; a shorter rest comes from rounding


@dataclass(frozen=True)
class Windows:
    """Windows of one length: [0, ``window``), [``hop``, ``hop`` + ``window``), ...

    If ``hop`` is more than ``window``, what lies between is not scored, as ``notes`` says. The last window ends with
    the recording, so it may start less than ``hop`` after the previous one. A recording shorter than a window is one
    window.

    Raises:
        SettingsError: if ``window`` or ``hop`` is not from .1 to 3600 s.
    """

    window: float = 5.0
    hop: float = 1.0

    def __post_init__(self) -> None:
        wrong = [name for name in ("window", "hop") if not 0.1 <= getattr(self, name) <= 3600]
        if wrong:
            raise ArgumentsError(
                [f"{name} = {getattr(self, name):g}: give seconds, from 0.1 to 3600" for name in wrong]
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user may not expect, one sentence each."""
        if self.hop <= self.window:
            return ()
        return (
            f"a window of {self.window:g} s starts every {self.hop:g} s: the {self.hop - self.window:g} s between "
            f"two windows are not scored. To score everything, pass `hop={self.window:g}` or less.",
        )


class Sentences:
    """Sentences, which end at a full stop or a pause and last 15 s at most."""

    notes: ClassVar[tuple[str, ...]] = ()


class Even:
    """Returns the windows of a recording when they become ready."""

    def __init__(self, analysis: Analysis, spans: Windows) -> None:
        self._analysis, self._spans = analysis, spans
        self._count = 0

    def due(self) -> list[Features]:
        """Return the spans that have ended since the last call."""
        ready, windows = self._analysis.ready, []
        while self._begin + self._spans.window <= ready:
            windows.append(self._analysis.features(self._begin, self._begin + self._spans.window))
            self._count += 1
        # The last window can begin anywhere.
        self._analysis.forget(max(0.0, min(self._begin, ready - self._spans.window)))
        return windows

    def rest(self) -> list[Features]:
        """Return the remaining spans after the end of the recording."""
        windows, end = self.due(), self._analysis.ready
        covered = self._begin - self._spans.hop + self._spans.window if self._count else 0.0
        if max(self._begin, covered) < end - _LEAST:
            windows.append(self._analysis.features(max(0.0, end - self._spans.window), end))
        return windows

    @property
    def _begin(self) -> float:
        return self._count * self._spans.hop


class BySentence:
    """Returns the sentences of a recording when they become ready, however it is cut into chunks.

    The words are those that were ``given`` with their times; None: the recognised words.
    """

    def __init__(self, analysis: Analysis, given: Transcript | None = None) -> None:
        self._analysis, self._given = analysis, given
        self._begin = self._forgotten = 0.0

    def due(self) -> list[Features]:
        """Return the spans that have ended since the last call."""
        return self._take(finished=False)

    def rest(self) -> list[Features]:
        """Return the remaining spans after the end of the recording."""
        return self._take(finished=True)

    def _take(self, *, finished: bool) -> list[Features]:
        ready = self._analysis.ready
        transcript = self._given or self._analysis.words(max(self._begin, self._forgotten), ready)
        parts = sentences(word for word in transcript.words if word.middle >= self._begin)
        spans = []
        for place, words in enumerate(parts):
            end = words[-1].end
            goes_on = self._given is None and place + 1 == len(parts) and ready - end <= _PAUSE
            if not finished and (end > ready or goes_on):
                break
            end = min(end, ready)
            start = max(words[0].start, self._begin, end - 2 * _LONGEST)
            if end <= start:
                continue
            features = self._analysis.features(start, end)
            own = replace(features.transcript, text=joined(words, transcript.language), words=tuple(words))
            spans.append(replace(features, transcript=own))
            self._begin = end
        self._forgotten = max(self._begin, ready - 2 * _LONGEST)
        self._analysis.forget(self._forgotten)
        return spans


class EarlierWords:
    """The words before each span of a recording, as the model reads those of earlier clips in a data set.

    They are those of the last ``count`` spans that ended before it and do not overlap each other.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._spans: list[tuple[float, float, str]] = []  # start, end and words

    def before(self, span: Features) -> list[str]:
        """Return the texts before a span, in order, and remember it; spans come in the order of their starts."""
        places: list[int] = []
        start = span.start
        for place, (begin, end, _) in reversed(list(enumerate(self._spans))):
            if len(places) < self._count and end <= start + _LEAST:
                places.insert(0, place)
                start = begin
        texts = [self._spans[place][2] for place in places]
        if len(places) == self._count:
            self._spans = self._spans[places[0] :] if places else []  # later spans need none before these
        self._spans.append((span.start, span.end, span.transcript.text))
        return texts


def sentences(words: Iterable[Word]) -> list[list[Word]]:
    """Group words into sentences. A sentence ends at a full stop, before a pause, or when it gets too long.

    >>> [[word.text for word in part] for part in sentences([Word("Yes.", 0, 1), Word("No", 1, 2), Word("way", 4, 5)])]
    [['Yes.'], ['No'], ['way']]
    """
    parts: list[list[Word]] = []
    end, ended = -math.inf, True
    for word in words:
        if ended or word.middle - end > _PAUSE or word.end - parts[-1][0].start > _LONGEST:
            parts.append([])
        parts[-1].append(word)
        end, ended = word.end, word.text.rstrip(_QUOTES).endswith(_ENDS)
    return parts
