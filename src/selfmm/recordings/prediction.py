"""What a trained model says of a recording or a part of it, with all that a person needs to weigh it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.features.streams import Transcript

if TYPE_CHECKING:
    from selfmm.explain.explanation import Explanation

FUSION = "fusion"


@dataclass(frozen=True)
class Spread:
    """How a score is spread over the training clips: what to hold a new one against.

    Attributes:
        mean, deviation: of the model's scores of them (deviation over n - 1; 0 of a single one).
        values: (n,) these scores, sorted.
    """

    mean: float
    deviation: float
    values: npt.NDArray[np.float64]

    def rank(self, score: float) -> float:
        """Share of the training clips with a lower score, 0 to 1."""
        return float(np.searchsorted(self.values, score)) / max(len(self.values), 1)


@dataclass(frozen=True)
class Prediction:
    """The scores of a clip, or of a window of a longer recording. All of them are on the scale of the labels.

    Attributes:
        id: of the clip.
        start, end: seconds.
        score: of all modalities together; None where there is nothing to go by.
        scores: per modality with a task of its own, what it says alone; None where it is missing.
        ranks: per score (``fusion`` and each modality), the share of the training clips with a lower one; None where
            there is no score.
        spreads: per score, how it is spread over the training clips.
        label_range: lowest and highest label.
        transcript: what is said.
        warnings: what the scores should not be trusted for, one sentence each.
        explanation: why, where it was asked for.
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

    @property
    def present(self) -> dict[str, bool]:
        """Which of these modalities the clip has."""
        return {name: score is not None for name, score in self.scores.items()}

    @cached_property
    def spoken(self) -> tuple[float | None, ...]:
        """When each of the explanation's words begins, in seconds; None where that is not known."""
        words = () if self.explanation is None else self.explanation.words
        if self.explanation is None or self.explanation.text != self.transcript.text:
            return (None,) * len(words)
        ends, times, place = [], [], 0
        for word in self.transcript.words:
            found = self.transcript.text.find(word.text, place)
            if found >= 0:
                place = found + len(word.text)
                ends.append(place)
                times.append(word.start)
        places = np.searchsorted(ends, [word.start for word in words], side="right")
        return tuple(times[at] if at < len(times) else None for at in places)

    def row(self) -> dict[str, Any]:
        """One row of a table: id, start, end, score, score_<modality>, rank (of ``score``), text, warnings."""
        alone = {f"score_{name}": score for name, score in self.scores.items()}
        return {
            "id": self.id,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            **alone,
            "rank": self.ranks[FUSION],
            "text": self.transcript.text,
            "warnings": "; ".join(self.warnings),
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for ``json.dumps``; words of the explanation have their ``time`` too."""
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
    """A score for people: with a sign where labels have one, but never before a zero.

    >>> figure(1.204, (-3, 3)), figure(-0.001, (-3, 3)), figure(71.5, (0, 100))
    ('+1.20', '0.00', '71.50')
    """
    shown = f"{score:{'+' if label_range[0] < 0 else ''}.2f}"
    return shown if float(shown) else "0.00"


def table_of(made: Sequence[Prediction]) -> pd.DataFrame:
    """Predictions as rows, see ``Prediction.row``; NaN where there is no score."""
    table = pd.DataFrame([one.row() for one in made])
    return table.astype({name: np.float64 for name in table if name == "rank" or str(name).startswith("score")})


def overlay(made: Sequence[Prediction]) -> list[tuple[float, float, str]]:
    """Predictions as cues of subtitles, one after the other: of windows that overlap, each is shown until the next."""
    cues = []
    for one, after in zip(made, [*made[1:], None], strict=False):
        end = one.end if after is None else min(one.end, after.start)
        alone = "  ".join(
            f"{name} {figure(score, one.label_range)}" for name, score in one.scores.items() if score is not None
        )
        score = "nothing to go by" if one.score is None else f"{figure(one.score, one.label_range)}  ({alone})"
        if end > one.start:
            cues.append((one.start, end, score))
    return cues
