"""What a trained model says of a recording or a part of it, with all that a person needs to weigh it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from selfmm.data.store import TEXT
from selfmm.errors import RunError
from selfmm.features.analysis import Features
from selfmm.features.dataset import STREAMS, dataset_of
from selfmm.features.quality import warnings
from selfmm.features.recipe import Recipe
from selfmm.features.streams import Transcript

if TYPE_CHECKING:
    from selfmm.explain.explanation import Explanation
    from selfmm.predict import TrainedModel

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
        scores: per modality of the model, what it says alone; None where it is missing.
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
        """Which modalities of the model the clip has."""
        return {name: score is not None for name, score in self.scores.items()}

    def row(self) -> dict[str, Any]:
        """One row of a table: id, start, end, score, score_<modality>, rank, text, warnings."""
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
        """Everything, ready for ``json.dumps``."""
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
            "explanation": None if self.explanation is None else self.explanation.to_json(),
        }


class Scorer:
    """Turns what was extracted of clips into predictions of one model."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model
        self.recipe, self.notes = recipe_of(model)
        self._modalities = model.info.modalities
        self._spreads = spreads(model)

    def predict(
        self, clips: Sequence[tuple[str, Features]], remarks: Sequence[str] = (), *, explain: bool = False
    ) -> list[Prediction]:
        """One prediction per clip.

        Args:
            clips: id and features of each.
            remarks: further warnings, of all of them.
            explain: say why too.
        """
        dataset = dataset_of(clips, self.recipe, self._modalities)
        there = np.any([dataset.lengths(name) > 0 for name in dataset.modalities], axis=0)
        table = self.model.predict(dataset).set_index(np.arange(len(dataset)))
        found = []
        for row, (name, features) in enumerate(clips):
            scores = {one: _known(table[f"score_{one}"].iloc[row]) for one in self._modalities}
            score = float(table["score"].iloc[row]) if there[row] else None
            ranks = {one: self._rank(one, value) for one, value in {FUSION: score, **scores}.items()}
            made = Prediction(
                id=name,
                start=features.start,
                end=features.end,
                score=score,
                scores=scores,
                ranks=ranks,
                spreads=self._spreads,
                label_range=self.model.info.label_range,
                transcript=features.transcript,
                warnings=(*self.notes, *remarks, *warnings(features, self.model.info.language)),
            )
            if explain and score is not None:
                from selfmm.explain.clip import explain as explain_

                made = replace(made, explanation=explain_(self.model, dataset, row))
            found.append(made)
        return found

    def _rank(self, name: str, score: float | None) -> float | None:
        spread = self._spreads.get(name)
        return None if score is None or spread is None else spread.rank(score)


def _known(score: float) -> float | None:
    return None if np.isnan(score) else float(score)


def recipe_of(model: TrainedModel) -> tuple[Recipe, tuple[str, ...]]:
    """How to extract what the model reads, and what of it cannot be extracted, one sentence each.

    Raises:
        RunError: nothing that the model reads can be extracted from a recording.
    """
    wanted = set(model.info.modalities)
    text = {TEXT} if TEXT in wanted and model.info.modalities[TEXT].kind != "frames" else set()
    recipe = model.info.recipe
    parts = text | (wanted & set(STREAMS) & set(recipe.parts) if recipe is not None else set())
    if not parts:
        raise RunError(
            f"{model.folder.path} reads {', '.join(sorted(wanted))}, of features that selfmm did not extract, so it "
            "cannot make them of a recording. Train on a data set made by: selfmm extract CLIPS DATA"
        )
    unknown = sorted(wanted - parts)
    notes = tuple(
        f"{name} is left out: the run was trained on features of it that selfmm did not extract" for name in unknown
    )
    return Recipe.model_validate({**(recipe or Recipe()).model_dump(), "parts": tuple(parts)}), notes


def spreads(model: TrainedModel) -> dict[str, Spread]:
    """Of each score over the training clips, as the run left them."""
    table = model.predictions
    train = table[table["split"] == "train"]
    columns = {FUSION: "score", **{name: f"score_{name}" for name in model.info.modalities}}
    found = {}
    for name, column in columns.items():
        values = np.sort(train[column].dropna().to_numpy(dtype=np.float64)) if column in train else np.zeros(0)
        if len(values):
            deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            found[name] = Spread(float(values.mean()), deviation, values)
    return found
