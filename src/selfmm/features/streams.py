"""The input and output of extraction: chunks of a recording in, words and tracks of features out.

Times are in seconds and count from the beginning of the clip, which is ``Clip.start`` in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

SOUND_RATE = 16_000
"""Samples per second of all sound. Speech recognition and voice encoders need this rate."""
STATE = SOUND_RATE // 50
"""Samples from state to state of the speech recogniser's encoder: .02 s."""

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
    """A part of a recording, from a file or a live source.

    Attributes:
        start, end: seconds; a chunk starts where the previous one ended.
        sound: (n,) float32 mono in [-1, 1] at ``SOUND_RATE``, covering the chunk; None if the source has no sound.
        frames: pictures at the recipe's rate, in order; None if the source has no pictures.
    """

    start: float
    end: float
    sound: Floats | None
    frames: tuple[Frame, ...] | None


@dataclass(frozen=True)
class Track:
    """The features of one modality at a constant rate.

    Attributes:
        columns: (d,) names of the features.
        values: (n, d) float32. A row is all NaN if nothing could be measured (no face in the picture), else finite.
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
        """(n,) whether each row was measured."""
        present: npt.NDArray[np.bool_] = np.asarray(np.isfinite(self.values).all(axis=1))
        return present

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(n,) time of each row, in seconds."""
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
        """Return the mean of the measured rows in each span, (len(spans), d); NaN if a span has no such row.

        A span shorter than a row takes the row that contains it.
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
        probability: the recogniser's confidence, 0 to 1; 1 if the word was given.
    """

    text: str
    start: float
    end: float
    probability: float = 1.0

    @property
    def middle(self) -> float:
        """The word's middle, in seconds."""
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Transcript:
    """The words of a clip.

    Attributes:
        text: all words as one text; empty if nothing is said.
        words: the words with their times; empty if the times are unknown.
        language: two or three letters; None if unknown.
        source: ``given`` (with the clip), ``subtitles`` or ``recognised``.
        recogniser: what recognised the words; empty if they were not recognised.
        warnings: reasons not to trust the words, one phrase each.
    """

    text: str
    words: tuple[Word, ...] = ()
    language: str | None = None
    source: str = "given"
    recogniser: str = ""
    warnings: tuple[str, ...] = ()

    def part(self, start: float, end: float) -> Transcript:
        """Return the words with their middle in [``start``, ``end``)."""
        words = tuple(word for word in self.words if start <= word.middle < end)
        return replace(self, text=joined(words, self.language), words=words)

    def to_json(self) -> dict[str, Any]:
        words = [[word.text, word.start, word.end, word.probability] for word in self.words]
        own = {"recogniser": self.recogniser, "warnings": list(self.warnings)}
        return {"text": self.text, "words": words, "language": self.language, "source": self.source, **own}

    @staticmethod
    def from_json(content: dict[str, Any]) -> Transcript:
        words = tuple(Word(str(text), float(a), float(b), float(p)) for text, a, b, p in content["words"])
        own = (content.get("recogniser", ""), tuple(content.get("warnings", ())))
        return Transcript(content["text"], words, content["language"], content["source"], *own)


def joined(words: Sequence[Word], language: str | None) -> str:
    """Return the words as one text, separated by blanks if the language uses them.

    >>> joined((Word("so", 0, 0.2), Word("good.", 0.2, 0.5)), "en")
    'so good.'
    """
    return ("" if language in _WITHOUT_BLANKS else " ").join(word.text for word in words)


_WITHOUT_BLANKS = frozenset({"zh", "ja", "th", "lo", "my", "km", "yue"})
