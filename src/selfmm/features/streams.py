"""The values that pass through extraction: chunks of a recording in, words and tracks of features out.

Times are seconds since the beginning of the clip, which is ``Clip.start`` in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

SOUND_RATE = 16_000
"""Samples per second of every sound: what speech recognition and voice encoders read."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        time: seconds since the beginning of the clip.
        image: (H, W, 3) uint8 RGB, the right way up.
    """

    time: float
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Chunk:
    """A part of a recording, as a file or a live source gives it.

    Attributes:
        start, end: seconds; a chunk starts where the one before ended.
        sound: (n,) float32 mono in [-1, 1] at ``SOUND_RATE``, covering the chunk; None if the source has none.
        frames: pictures at the recipe's rate, in order; None if the source has none.
    """

    start: float
    end: float
    sound: Floats | None
    frames: tuple[Frame, ...] | None


@dataclass(frozen=True)
class Track:
    """Features of one modality at an even rate.

    Attributes:
        columns: (d,) names of the features.
        values: (n, d) float32. A row where nothing could be measured (no face in the picture) is all NaN; all other
            rows are finite.
        rate: rows per second. Row i is measured at the time ``start`` + i / ``rate``.
        start: seconds.
    """

    columns: tuple[str, ...]
    values: Floats
    rate: float
    start: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) which rows were measured."""
        present: npt.NDArray[np.bool_] = np.asarray(np.isfinite(self.values).all(axis=1))
        return present

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(n,) seconds."""
        return self.start + np.arange(len(self.values)) / self.rate

    def column(self, name: str) -> Floats:
        """Return one feature by its name, (n,)."""
        return self.values[:, self.columns.index(name)]

    def part(self, start: float, end: float) -> Track:
        """Return the rows with ``start`` <= time < ``end``."""
        times = self.times
        first, last = np.searchsorted(times, [start - 1e-6, end - 1e-6])
        return replace(self, values=self.values[first:last], start=self.start + int(first) / self.rate)

    def pooled(self, spans: Sequence[tuple[float, float]]) -> Floats:
        """Return the mean over the measured rows of each span, (len(spans), d); NaN if it has none.

        A span shorter than a row takes the row it is in.
        """
        pooled = np.full((len(spans), len(self.columns)), np.nan, dtype=np.float32)
        present = self.present
        for place, (start, end) in enumerate(spans):
            first = int(np.floor((start - self.start) * self.rate + 1e-6))
            last = max(int(np.ceil((end - self.start) * self.rate - 1e-6)), first + 1)
            rows = slice(max(first, 0), max(last, 0))
            if present[rows].any():
                pooled[place] = self.values[rows][present[rows]].mean(axis=0, dtype=np.float64)
        return pooled


@dataclass(frozen=True)
class Word:
    """One spoken word.

    Attributes:
        text: the word with its punctuation, without blanks around it.
        start, end: seconds.
        probability: how sure the recogniser is, 0 to 1; 1 if the word was not recognised but given.
    """

    text: str
    start: float
    end: float
    probability: float = 1.0


@dataclass(frozen=True)
class Transcript:
    """What is said.

    Attributes:
        text: all that is said; empty if nothing is said.
        words: the words with their times; empty if the times are not known.
        language: two letters; None if it is not known.
        source: ``given`` (with the clip), ``subtitles`` or ``recognised``.
    """

    text: str
    words: tuple[Word, ...] = ()
    language: str | None = None
    source: str = "given"

    def part(self, start: float, end: float) -> Transcript:
        """Return the words whose middle lies in [``start``, ``end``)."""
        words = tuple(word for word in self.words if start <= (word.start + word.end) / 2 < end)
        return replace(self, text=joined(words, self.language), words=words)

    def to_json(self) -> dict[str, Any]:
        words = [[word.text, word.start, word.end, word.probability] for word in self.words]
        return {"text": self.text, "words": words, "language": self.language, "source": self.source}

    @staticmethod
    def from_json(content: dict[str, Any]) -> Transcript:
        words = tuple(Word(str(text), float(a), float(b), float(p)) for text, a, b, p in content["words"])
        return Transcript(content["text"], words, content["language"], content["source"])


def joined(words: Sequence[Word], language: str | None) -> str:
    """Join words to one text, with blanks between them if the language uses blanks.

    >>> joined((Word("so", 0, 0.2), Word("good.", 0.2, 0.5)), "en")
    'so good.'
    """
    return ("" if language in _WITHOUT_BLANKS else " ").join(word.text for word in words)


_WITHOUT_BLANKS = frozenset({"zh", "ja", "th", "lo", "my", "km", "yue"})
