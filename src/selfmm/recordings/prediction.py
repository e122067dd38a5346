"""The scores of a recording or a part of it, with context to interpret them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from selfmm.core.html import html_table, render
from selfmm.evaluation.verdicts import band_text, cautions, title, verdict
from selfmm.evaluation.worth import FUSION, RunWorth
from selfmm.explain.explanation import Explanation, signed
from selfmm.features.clips.clip import Failure
from selfmm.features.streams import Transcript
from selfmm.recordings.lanes import Lanes
from selfmm.recordings.sentence import sentence

_GREY = Markup('<span style="color:gray">{}</span>')
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
        worth: what the scores of the run are worth; None if the run did not measure it.
        unscored: modalities that the run does not score, with the reason.
        lanes: what voice and face do over time; None if it was not requested.
        deviation: standard deviation of ``score`` over the runs whose mean it is (over n - 1); None for a single run.
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
    worth: RunWorth | None = None
    unscored: Mapping[str, str] = field(default_factory=dict)
    lanes: Lanes | None = None
    deviation: float | None = None

    def __repr__(self) -> str:
        shown = {name: self._shown(name) for name in self.all_scores}
        alone = ", ".join(f"{name} {shown[name]}" for name in self.scores)
        warnings = f"; warnings: {len(self.warnings)}" if self.warnings else ""
        low, high = self.label_range
        return f"<Prediction {self.id!r}: {shown[FUSION]} ({low:g} to {high:g}); {alone}{warnings}>"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, ...]] = []
        for name in self.all_scores:
            rank, shown = self.ranks.get(name), self._shown(name)
            place = "" if rank is None else f"higher than {rank:.0%} of the training clips"
            if self.verdict(name):
                rows.append((title(name), _GREY.format(shown), "", ""))
            else:
                rows.append((title(name), shown, self.interval_text(name), place))
        rows += [(title(name), _GREY.format(reason), "", "") for name, reason in self.unscored.items()]
        low, high = self.label_range
        caption = f"{self.id}, {self.start:.1f} to {self.end:.1f} s, labels from {low:g} to {high:g}"
        notes = [
            self.sentence,
            *([self.transcript.text] if self.transcript.text else []),
            *(f"Warning: {warning}" for warning in self.warnings),
        ]
        return _first(self.worth) + html_table(rows, ("", "score", "4 of 5 within", ""), caption=caption, notes=notes)

    def _shown(self, name: str) -> str:
        score = self.all_scores[name]
        if score is None:
            return "missing"
        return self.verdict(name) or figure(score, self.label_range)

    @property
    def all_scores(self) -> dict[str, float | None]:
        """Every score by its name, ``fusion`` first."""
        return {FUSION: self.score, **self.scores}

    @property
    def sentence(self) -> str:
        """What came out, in one plain sentence; see :func:`selfmm.recordings.sentence.sentence`."""
        return sentence(self.score, self.label_range, self.worth, self.lacking, self.explanation, self.deviation)

    def informs(self, name: str) -> bool | None:
        """Return whether a score is better than every constant on unseen clips; None if that is not known.

        That a fused score informs is not known for a clip that lacks a modality which the validation clips have.
        """
        informs = None if self.worth is None else self.worth.informs(name)
        return None if informs and name == FUSION and self.lacking else informs

    @property
    def lacking(self) -> tuple[str, ...]:
        """The modalities that this clip lacks, but not the clips by which the scores of the run were measured."""
        return () if self.worth is None else tuple(name for name in self.worth.always if self.scores.get(name) is None)

    def verdict(self, name: str) -> str:
        """Return why not to use a score: ``no information``, ``may be chance`` or ``cannot tell``; empty if it informs
        or that is not known."""
        return "" if self.worth is None or name not in self.worth.scores else verdict(self.worth.scores[name])

    def interval(self, name: str) -> tuple[float, float] | None:
        """Return the interval that holds the label of four of five clips like this one; None if it is not known.

        It is within the label range. It is not known for the fused score of a clip that lacks a modality which the
        validation clips have. That of the fused score is wider for clips on which the runs of an ensemble disagree. See
        :mod:`selfmm.evaluation.worth` for the method and its assumption.
        """
        score = self.all_scores[name]
        if score is None or self.worth is None or (name == FUSION and self.lacking):
            return None
        return self.worth.interval(name, score, self._deviation(name))

    def _deviation(self, name: str) -> float | None:
        return self.deviation if name == FUSION else None

    def interval_text(self, name: str) -> str:
        """Return the interval as text, ``-1.52 to +0.28``; empty if it is not known."""
        ends = self.interval(name)
        return "" if ends is None else " to ".join(figure(end, self.label_range) for end in ends)

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
        """Return a row of a table.

        Its columns are id, start, end, score, score_<modality>, deviation (if the score is a mean of runs), rank (of
        ``score``), those of :func:`trust_columns`, text and warnings.
        """
        trust: dict[str, Any] = {}
        for name, score in self.all_scores.items():
            known = np.nan if score is None or (name == FUSION and self.lacking) else score
            columns = trust_columns(self.worth, name, np.array([known]), self._deviation(name))
            trust |= {column: values[0] for column, values in columns.items()}
        return {
            "id": self.id,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            **{f"score_{name}": score for name, score in self.scores.items()},
            **({} if self.deviation is None else {"deviation": self.deviation}),
            "rank": self.ranks[FUSION],
            **trust,
            "text": self.transcript.text,
            "warnings": "; ".join(self.warnings),
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON types. Words of the explanation also have their ``time``.

        ``lanes`` is there only if they were requested, ``deviation`` only if the score is a mean of runs.
        """
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
            "intervals": {name: self.interval(name) for name in self.all_scores},
            "informs": {name: self.informs(name) for name in self.all_scores},
            "verdicts": {name: self.verdict(name) for name in self.all_scores},
            "sentence": self.sentence,
            "cautions": cautions(self.worth),
            "unscored": dict(self.unscored),
            "label_range": list(self.label_range),
            "transcript": self.transcript.to_json(),
            "warnings": list(self.warnings),
            "explanation": explanation,
            **({} if self.deviation is None else {"deviation": self.deviation}),
            **({} if self.lanes is None else {"lanes": self.lanes.to_json()}),
        }


def figure(score: float, label_range: tuple[float, float]) -> str:
    """Return a score as text, with a sign if labels can be negative, but never before a zero.

    >>> figure(1.204, (-3, 3)), figure(-0.001, (-3, 3)), figure(71.5, (0, 100))
    ('+1.20', '0.00', '71.50')
    """
    shown = signed(score)
    return shown if label_range[0] < 0 else shown.removeprefix("+")


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
                *map(prediction._shown, prediction.all_scores),
                prediction.transcript.text,
                "; ".join(prediction.warnings),
            )
            for prediction in self
        ]
        notes = [f"{failure.id}: {failure.reason}" for failure in self.failures]
        first = _first(self[0].worth) if self else ""
        return first + html_table(rows, ("", "score", *modalities, "words", "warnings"), notes=notes)


def table_of(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """Return predictions as rows (see :meth:`Prediction.row`); a missing score is NaN."""
    table = pd.DataFrame([prediction.row() for prediction in predictions])
    return table.astype({name: np.float64 for name in table if name == "rank" or str(name).startswith("score")})


def trust_columns(
    worth: RunWorth | None,
    name: str,
    scores: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64] | float | None = None,
) -> dict[str, Any]:
    """Return how far to trust one score of n clips, as columns of a table.

    ``deviation`` (n,) is that of the runs whose mean the score is.

    Returns:
        ``low`` and ``high`` (n,), the interval that holds the label of four of five clips (NaN if unknown), and
        ``informs`` (n,), whether the score is better than every constant (None if unknown, as for a fused score that
        is NaN in ``scores``). For a modality the names end in ``_<modality>``. No name begins with ``score``, because
        such columns are scores.
    """
    end = "" if name == FUSION else f"_{name}"
    band = np.nan if worth is None or name not in worth.scores else worth.scores[name].half_width(deviation)
    low, high = (-np.inf, np.inf) if worth is None else worth.label_range
    informs = np.full(len(scores), None if worth is None else worth.informs(name), dtype=object)
    if name == FUSION and informs.all():
        informs[np.isnan(scores)] = None
    return {
        f"low{end}": np.clip(scores - band, low, high),
        f"high{end}": np.clip(scores + band, low, high),
        f"informs{end}": informs if None in informs else informs.astype(bool),
    }


def with_trust(table: pd.DataFrame, worth: RunWorth | None) -> pd.DataFrame:
    """Return a table of scores with the columns of :func:`trust_columns` for each score."""
    if worth is None:
        return table
    complete = table[[f"score_{name}" for name in worth.always if f"score_{name}" in table]].notna().all(axis=1)
    columns = {"score" if name == FUSION else f"score_{name}": name for name in worth.scores}
    added: dict[str, Any] = {}
    for column, name in columns.items():
        if column in table:
            scores = table[column].where(complete) if name == FUSION else table[column]
            deviation = table["deviation"].to_numpy(np.float64) if name == FUSION and "deviation" in table else None
            added |= trust_columns(worth, name, scores.to_numpy(dtype=np.float64), deviation)
    return table.assign(**added)


def overlay(predictions: Sequence[Prediction]) -> list[tuple[float, float, str]]:
    """Return predictions as subtitles: start, end and text. Each lasts until the next one begins."""
    cues = []
    for current, following in zip(predictions, [*predictions[1:], None], strict=False):
        end = current.end if following is None else min(current.end, following.start)
        alone = "  ".join(
            f"{name} {current._shown(name)}"
            for name, score in current.scores.items()
            if score is not None and current.informs(name) is not False
        )
        text = "no score" if current.score is None else _cue(current, f"  ({alone})" if alone else "")
        if end > current.start:
            cues.append((current.start, end, text))
    return cues


def _first(worth: RunWorth | None) -> str:
    """Return HTML of the reasons not to trust a run at all."""
    return render("{% for line in lines %}<p>Warning: {{ line }}</p>{% endfor %}", lines=cautions(worth))


def _cue(prediction: Prediction, alone: str) -> str:
    """Return the fused score with the half-width of its band, and the scores of modalities."""
    if prediction.worth is None or prediction.informs(FUSION) is False or prediction.interval(FUSION) is None:
        return f"{prediction._shown(FUSION)}{alone}"
    band = float(prediction.worth.scores[FUSION].half_width(prediction.deviation))
    return f"{prediction._shown(FUSION)} {band_text(band)}{alone}"
