"""The scores of a recording or a part of it, with context to interpret them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.html import html_table
from selfmm.features.clips.clip import Failure
from selfmm.features.streams import Transcript

if TYPE_CHECKING:
    from selfmm.explain.explanation import Explanation

FUSION = "fusion"
_SHOWN = 5  # predictions in the short form of a list


@dataclass(frozen=True)
class Spread:
    """The distribution of a score over the training clips, as a reference for new scores.

    Attributes:
        mean, deviation: mean and standard deviation (over n - 1; 0 for a single clip).
        values: (n,) sorted scores.
    """

    mean: float
    deviation: float
    values: npt.NDArray[np.float64]

    def rank(self, score: float) -> float:
        """Return the share of the training clips with a lower score, 0 to 1."""
        return float(np.searchsorted(self.values, score)) / max(len(self.values), 1)


@dataclass(frozen=True, repr=False)
class Prediction:
    """The scores of a clip, or of a window of a longer recording. All scores are on the scale of the labels.

    Attributes:
        id: id of the clip.
        start, end: seconds.
        score: score of all modalities together; None if the clip has no modality.
        scores: the scores of single modalities; None if the clip lacks the modality.
        ranks: for each score (``fusion`` and each modality), the share of the training clips with a lower score; None
            if there is no score.
        spreads: for each score, its distribution over the training clips.
        label_range: lowest and highest possible label.
        transcript: the words.
        warnings: reasons not to trust the scores, one sentence each.
        explanation: explanation of the score; None if it was not requested.
    """

    id: str
    start: float
    end: float
    score: float | None
    scores: Mapping[str, float | None]
    ranks: Mapping[str, float | None]
    spreads: Mapping[str, Spread]
    label_range: tuple[float, float]
    transcript: Transcript
    warnings: tuple[str, ...] = ()
    explanation: Explanation | None = None

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {self._shown(score)}" for name, score in self.scores.items())
        warnings = f"; warnings: {len(self.warnings)}" if self.warnings else ""
        low, high = self.label_range
        return f"<Prediction {self.id!r}: {self._shown(self.score)} ({low:g} to {high:g}); {scores}{warnings}>"

    def _repr_html_(self) -> str:
        rows = []
        for name, score in {FUSION: self.score, **self.scores}.items():
            rank = self.ranks.get(name)
            above = "" if rank is None else f"above {rank:.0%} of the training clips"
            rows.append(("all together" if name == FUSION else name, self._shown(score), above))
        low, high = self.label_range
        caption = f"{self.id}, {self.start:.1f} to {self.end:.1f} s, labels from {low:g} to {high:g}"
        notes = [*([self.transcript.text] if self.transcript.text else []), *(f"Warning: {w}" for w in self.warnings)]
        return html_table(rows, ("", "score", ""), caption=caption, notes=notes)

    def _shown(self, score: float | None) -> str:
        return "missing" if score is None else figure(score, self.label_range)

    @property
    def present(self) -> dict[str, bool]:
        """Whether the clip has each of the modalities."""
        return {name: score is not None for name, score in self.scores.items()}

    @cached_property
    def spoken(self) -> tuple[float | None, ...]:
        """The time at which each word of the explanation begins, in seconds; None if unknown."""
        words = () if self.explanation is None else self.explanation.words
        if self.explanation is None or self.explanation.text != self.transcript.text:
            return (None,) * len(words)
        ends, times, place = [], [], 0
        for word in self.transcript.words:
            position = self.transcript.text.find(word.text, place)
            if position >= 0:
                place = position + len(word.text)
                ends.append(place)
                times.append(word.start)
        places = np.searchsorted(ends, [word.start for word in words], side="right")
        return tuple(times[at] if at < len(times) else None for at in places)

    def row(self) -> dict[str, Any]:
        """Return a row of a table: id, start, end, score, score_<modality>, rank (of ``score``), text, warnings."""
        return {
            "id": self.id,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            **{f"score_{name}": score for name, score in self.scores.items()},
            "rank": self.ranks[FUSION],
            "text": self.transcript.text,
            "warnings": "; ".join(self.warnings),
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON types. Words of the explanation also have their ``time``."""
        explanation = None if self.explanation is None else self.explanation.to_json()
        if explanation is not None:
            for word, time in zip(explanation["words"], self.spoken, strict=True):
                word["time"] = time
        return {
            "id": self.id,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            "scores": dict(self.scores),
            "present": self.present,
            "ranks": dict(self.ranks),
            "spreads": {name: [spread.mean, spread.deviation] for name, spread in self.spreads.items()},
            "label_range": list(self.label_range),
            "transcript": self.transcript.to_json(),
            "warnings": list(self.warnings),
            "explanation": explanation,
        }


def figure(score: float, label_range: tuple[float, float]) -> str:
    """Return a score as text, with a sign if labels can be negative, but never before a zero.

    >>> figure(1.204, (-3, 3)), figure(-0.001, (-3, 3)), figure(71.5, (0, 100))
    ('+1.20', '0.00', '71.50')
    """
    shown = f"{score:{'+' if label_range[0] < 0 else ''}.2f}"
    return shown if float(shown) else "0.00"


class Predictions(list[Prediction]):
    """Predictions of several recordings, in the order of the input.

    Attributes:
        failures: the recordings that could not be scored, with reasons.
    """

    def __init__(self, predictions: Iterable[Prediction] = (), failures: Iterable[Failure] = ()) -> None:
        super().__init__(predictions)
        self.failures = tuple(failures)

    def table(self) -> pd.DataFrame:
        """Return one row per prediction; see :func:`table_of`."""
        return table_of(self)

    def __repr__(self) -> str:
        shown = "\n".join(f"  {prediction!r}" for prediction in self[:_SHOWN])
        rest = f"\n  and {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""
        return f"<Predictions: {len(self)}, failures: {len(self.failures)}>{chr(10) if shown else ''}{shown}{rest}"

    def _repr_html_(self) -> str:
        modalities = list(self[0].scores) if self else []
        rows = [
            (
                prediction.id,
                *(prediction._shown(score) for score in (prediction.score, *prediction.scores.values())),
                prediction.transcript.text,
                "; ".join(prediction.warnings),
            )
            for prediction in self
        ]
        notes = [f"{failure.id}: {failure.reason}" for failure in self.failures]
        return html_table(rows, ("", "score", *modalities, "words", "warnings"), notes=notes)


def table_of(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """Return predictions as rows (see :meth:`Prediction.row`); a missing score is NaN."""
    table = pd.DataFrame([prediction.row() for prediction in predictions])
    return table.astype({name: np.float64 for name in table if name == "rank" or str(name).startswith("score")})


def overlay(predictions: Sequence[Prediction]) -> list[tuple[float, float, str]]:
    """Return predictions as subtitles: start, end and text. Each lasts until the next one begins."""
    cues = []
    for current, following in zip(predictions, [*predictions[1:], None], strict=False):
        end = current.end if following is None else min(current.end, following.start)
        alone = "  ".join(
            f"{name} {current._shown(score)}" for name, score in current.scores.items() if score is not None
        )
        text = "no score" if current.score is None else f"{current._shown(current.score)}  ({alone})"
        if end > current.start:
            cues.append((current.start, end, text))
    return cues
