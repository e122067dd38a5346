"""All spans of one recording on one clock: its words, lanes and scores, for display."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from selfmm.evaluation.worth import FUSION
from selfmm.features.streams import Word
from selfmm.recordings.lanes import Lanes, merged
from selfmm.recordings.prediction import Prediction

POINTS = 2000
"""Default number of samples of a lane: more than a screen has columns."""


class Timeline:
    """Collects the predictions of one recording: of the whole, or of windows or sentences, in order.

    It stores a few numbers for each second, so an hour takes little memory.

    Args:
        shift: seconds to add to all times: with the start of the clip, times are those of the file.
    """

    def __init__(self, shift: float = 0.0) -> None:
        self._shift = shift
        self._lanes: list[Lanes] = []
        self._curve: list[dict[str, Any]] = []
        self._words: dict[tuple[float, float, str], _Shares] = {}
        self._warnings: dict[str, int] = {}

    def add(self, prediction: Prediction) -> None:
        """Add the next span."""
        if prediction.lanes is not None:
            self._lanes.append(prediction.lanes)
        band = prediction.interval(FUSION)
        self._curve.append(
            {
                "start": self._time(prediction.start),
                "end": self._time(prediction.end),
                "scores": {name: _rounded(score) for name, score in prediction.all_scores.items()},
                "band": None if band is None else [_rounded(end) for end in band],
                "informs": prediction.informs(FUSION),
            }
        )
        for warning in prediction.warnings:
            self._warnings[warning] = self._warnings.get(warning, 0) + 1
        for word, value in zip(prediction.transcript.words, word_values(prediction), strict=True):
            shares = self._words.setdefault((word.start, word.end, word.text), _Shares(word))
            shares.add(value)

    def pieces(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the lanes at their full rate, piece by piece: piece i starts at time i * ``seconds`` of the file.

        See `Lanes.to_json`. The first pieces are empty if the clip starts later.
        """
        lanes = merged(self._lanes)
        if lanes is None:
            return
        for number in range(math.ceil((lanes.start + len(lanes) * lanes.step + self._shift) / seconds)):
            start = number * seconds - self._shift
            piece = lanes.part(start, start + seconds).to_json()
            piece["start"] = self._time(piece["start"])
            yield piece

    @property
    def last(self) -> dict[str, Any]:
        """The last span: the last item of ``curve``, see :meth:`to_json`."""
        return self._curve[-1]

    def words(self) -> list[list[Any]]:
        """Return each word once, as [text, start, end, probability, value]. The value is what it adds to the score.

        It is the mean over the spans with the word; None if no score was explained.
        """
        return [
            [
                shares.word.text,
                self._time(shares.word.start),
                self._time(shares.word.end),
                round(shares.word.probability, 3),
                _rounded(shares.mean),
            ]
            for shares in sorted(self._words.values(), key=lambda shares: (shares.word.start, shares.word.end))
        ]

    def to_json(self, points: int = POINTS) -> dict[str, Any]:
        """Return JSON types.

        ``words``: see :meth:`words`. ``curve``: start, end, scores by name (None if missing), band of the fused score
        (None if unknown), and whether it informs, of each span. ``warnings``: [sentence, number of spans with it].
        ``lanes``: see `Lanes.to_json`, with this number of ``points`` at most; None if they were not requested.
        """
        lanes = merged(self._lanes)
        shown = None if lanes is None else lanes.thinned(points).to_json()
        if shown is not None:
            shown["start"] = self._time(shown["start"])
        return {
            "words": self.words(),
            "curve": self._curve,
            "warnings": [list(item) for item in self._warnings.items()],
            "lanes": shown,
        }

    def _time(self, seconds: float) -> float:
        return round(seconds + self._shift, 4)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


class _Shares:
    """The values of one word in the spans that hold it."""

    def __init__(self, word: Word) -> None:
        self.word = word
        self._values: list[float] = []

    def add(self, value: float | None) -> None:
        if value is not None:
            self._values.append(value)

    @property
    def mean(self) -> float | None:
        return sum(self._values) / len(self._values) if self._values else None


def word_values(prediction: Prediction) -> Sequence[float | None]:
    """Return what each word of the transcript adds to the score; None without an explanation of this transcript.

    A word of the transcript, with its punctuation, can be several words of the explanation.
    """
    words, explanation = prediction.transcript.words, prediction.explanation
    if explanation is None or explanation.text != prediction.transcript.text:
        return [None] * len(words)
    values: list[float | None] = []
    place = 0
    for word in words:
        start = explanation.text.find(word.text, place)
        end = start + len(word.text)
        if start < 0:
            values.append(None)
            continue
        place = end
        inside = [share.value for share in explanation.words if start <= share.start < end]
        values.append(sum(inside) if inside else None)
    return values
