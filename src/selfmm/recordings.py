"""Scores of recordings: of clips, of a long file window by window, and of what is still arriving."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from selfmm.errors import SettingsError
from selfmm.features.analysis import Analysis, Features
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import extract_clip, given_words, open_clip
from selfmm.features.streams import Chunk, Transcript, Word, joined
from selfmm.prediction import Prediction, Scorer

if TYPE_CHECKING:
    from selfmm.predict import TrainedModel

_PAUSE = 0.7  # seconds of silence that end a sentence
_LONGEST = 15.0  # seconds; who speaks on without a stop is cut
_ENDS = (".", "?", "!", "。", "？", "！", "…")
_CHUNK = 5.0  # seconds that are read at once


@dataclass(frozen=True)
class Windows:
    """Windows of even length: of [0, ``window``), [``hop``, ``hop`` + ``window``), ...

    The last one ends where the recording does, and a recording that is shorter than one has one.
    """

    window: float = 5.0
    hop: float = 1.0

    def __post_init__(self) -> None:
        wrong = [name for name in ("window", "hop") if not 0.1 <= getattr(self, name) <= 3600]
        if wrong:
            raise SettingsError([f"{name} = {getattr(self, name):g}: give seconds, from 0.1 to 3600" for name in wrong])


class Sentences:
    """What is said, sentence by sentence: up to a full stop or a pause."""


def predict_clip(model: TrainedModel, clip: Clip, *, explain: bool = False, threads: int = 2) -> Prediction:
    """The scores of one clip, extracted as the run's training data were.

    Raises:
        MediaError: the file cannot be read, or has nothing to go by.
        RunError: the run was trained on features that cannot be extracted.
        PartError, WeightsError: something that extraction needs is not installed.
    """
    scorer = Scorer(model)
    found = extract_clip(clip, scorer.recipe, threads=threads)
    [made] = scorer.predict([(clip.id or clip.path.stem, found.features)], found.problems, explain=explain)
    return made


def predict_curve(
    model: TrainedModel, clip: Clip, spans: Windows | Sentences | None = None, *, threads: int = 2
) -> Iterator[Prediction]:
    """The scores of a long recording, span by span, while it is read. Memory does not grow with its length.

    Args:
        clip: its subtitles, if it has any, are taken for what is said; a text without times is not.
        spans: even windows (the default), or sentences.

    Raises:
        Like :func:`predict_clip`.
    """
    scorer = Scorer(model)
    given = given_words(replace(clip, text=None))
    problems: list[str] = []
    chunks = open_clip(clip, scorer.recipe, problems, seconds=_CHUNK)
    name = clip.id or clip.path.stem
    yield from _predict(scorer, chunks, spans or Windows(), name, given, threads)


def predict_stream(
    model: TrainedModel, chunks: Iterable[Chunk], spans: Windows | Sentences | None = None, *, threads: int = 2
) -> Iterator[Prediction]:
    """The scores of what is still arriving, each as soon as its span is over and worked off.

    Args:
        chunks: pieces of any length, one after the other; pictures at the rate of the run's recipe
            (``model.info.recipe.face.rate``).
        spans: as of :func:`predict_curve`.
    """
    yield from _predict(Scorer(model), chunks, spans or Windows(), "live", None, threads)


def _predict(
    scorer: Scorer,
    chunks: Iterable[Chunk],
    spans: Windows | Sentences,
    name: str,
    given: Transcript | None,
    threads: int,
) -> Iterator[Prediction]:
    analysis = Analysis(scorer.recipe, given=given, threads=threads)
    cut = _Even(analysis, spans) if isinstance(spans, Windows) else _BySentence(analysis)
    count = 0
    try:
        for chunk in chunks:
            # What the chunk before brought, so that it is worked off while this one was being read.
            for made in _score(scorer, cut.due(), name, count):
                count += 1
                yield made
            analysis.feed(chunk)
    finally:
        analysis.finish()
    yield from _score(scorer, cut.rest(), name, count)


def _score(scorer: Scorer, features: list[Features], name: str, count: int) -> list[Prediction]:
    if not features:
        return []
    return scorer.predict([(f"{name}_{count + place:05d}", one) for place, one in enumerate(features)])


class _Even:
    """Even windows, as they become ready."""

    def __init__(self, analysis: Analysis, spans: Windows) -> None:
        self._analysis, self._spans = analysis, spans
        self._next = 0

    def due(self) -> list[Features]:
        ready, found = self._analysis.ready, []
        while self._begin + self._spans.window <= ready:
            found.append(self._analysis.features(self._begin, self._begin + self._spans.window))
            self._next += 1
        self._analysis.forget(self._begin)
        return found

    def rest(self) -> list[Features]:
        end = self._analysis.ready
        found = self.due()
        covered = 0.0 if self._next == 0 else (self._next - 1) * self._spans.hop + self._spans.window
        if covered < end - 0.05:
            found.append(self._analysis.features(self._begin, end))
        return found

    @property
    def _begin(self) -> float:
        return self._next * self._spans.hop


class _BySentence:
    """Sentences, as they become ready."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._begin = 0.0

    def due(self) -> list[Features]:
        return self._take(finished=False)

    def rest(self) -> list[Features]:
        return self._take(finished=True)

    def _take(self, *, finished: bool) -> list[Features]:
        ready = self._analysis.ready
        said = self._analysis.words(self._begin, ready)
        parts = sentences(said.words)
        if not finished and parts and ready - parts[-1][-1].end < _PAUSE:
            parts = parts[:-1]  # it may go on
        found = []
        for words in parts:
            start, end = max(words[0].start, self._begin), min(words[-1].end, ready)
            if end <= start:
                continue
            there = self._analysis.features(start, end)
            text = Transcript(joined(words, said.language), tuple(words), said.language, said.source)
            found.append(replace(there, transcript=text))
            self._begin = end
        self._analysis.forget(self._begin if parts else max(self._begin, ready - _LONGEST))
        return found


def sentences(words: Iterable[Word]) -> list[list[Word]]:
    """Words in groups that end with a full stop, before a pause, or when they get too long.

    >>> [[word.text for word in part] for part in sentences([Word("Yes.", 0, 1), Word("No", 1, 2), Word("way", 4, 5)])]
    [['Yes.'], ['No'], ['way']]
    """
    parts: list[list[Word]] = []
    end, over = -math.inf, True
    for word in words:
        if over or word.start - end > _PAUSE or word.end - parts[-1][0].start > _LONGEST:
            parts.append([])
        parts[-1].append(word)
        end, over = word.end, word.text.endswith(_ENDS)
    return parts


def curve_table(made: Sequence[Prediction]) -> pd.DataFrame:
    """Predictions of windows as rows: start, end, score, score_<modality> (NaN where missing), text and more."""
    return pd.DataFrame([one.row() for one in made]).astype(
        {name: np.float64 for one in made[:1] for name in ("score", *(f"score_{part}" for part in one.scores))}
    )


def overlay(made: Sequence[Prediction]) -> list[tuple[float, float, str]]:
    """Predictions as cues of subtitles, one after the other: of windows that overlap, each is shown until the next."""
    cues = []
    for one, after in zip(made, [*made[1:], None], strict=True):
        end = one.end if after is None else min(one.end, after.start)
        alone = "  ".join(f"{name} {score:+.1f}" for name, score in one.scores.items() if score is not None)
        score = "nothing to go by" if one.score is None else f"{one.score:+.2f}  ({alone})"
        if end > one.start:
            cues.append((one.start, end, score))
    return cues
