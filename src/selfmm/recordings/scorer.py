"""From what was extracted of a recording to a prediction of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from selfmm.config.recipe import Recipe, SpeechSettings
from selfmm.core.errors import RunError
from selfmm.data.store import TEXT
from selfmm.features.analysis import Features
from selfmm.features.dataset import STREAMS, dataset_of
from selfmm.features.hub import without_network
from selfmm.features.quality import warnings
from selfmm.recordings.prediction import FUSION, Prediction, Spread

if TYPE_CHECKING:
    from selfmm.runs.folder import RunInfo
    from selfmm.runs.trained_model import TrainedModel


class Scorer:
    """Turns what was extracted of clips into predictions of one model.

    Raises:
        RunError: nothing that the model reads can be extracted from a recording.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model = model
        self.recipe, self.notes = recipe_of(model.info)
        self._modalities = model.info.modalities
        self._tasks = [one for one in model.assembly.model.tasks if one in self._modalities]
        self._spreads = spreads(model)

    def predict(
        self, clips: Sequence[tuple[str, Features]], remarks: Sequence[str] = (), *, explain: bool = False
    ) -> list[Prediction]:
        """One prediction per clip.

        Args:
            clips: id and features of each.
            remarks: further warnings, of all of them.
            explain: say why too.

        Raises:
            DatasetError: the features are so far outside the training data's that a score is not finite.
        """
        dataset = dataset_of(clips, self.recipe, self._modalities)
        there = np.any([dataset.lengths(name) > 0 for name in dataset.modalities], axis=0)
        table = self.model.predict(dataset)
        found = []
        for row, (name, features) in enumerate(clips):
            scores = {one: _known(table[f"score_{one}"].iloc[row]) for one in self._tasks}
            score = float(table["score"].iloc[row]) if there[row] else None
            made = Prediction(
                id=name,
                start=features.start,
                end=features.end,
                score=score,
                scores=scores,
                ranks={one: self._rank(one, value) for one, value in {FUSION: score, **scores}.items()},
                spreads=self._spreads,
                label_range=self.model.info.label_range,
                transcript=features.transcript,
                warnings=(*self.notes, *remarks, *self._warnings(features)),
            )
            if explain and score is not None:
                from selfmm.explain.clip import explain as explain_

                made = replace(made, explanation=explain_(self.model, dataset, row))
            found.append(made)
        return found

    def _warnings(self, features: Features) -> tuple[str, ...]:
        return warnings(features, self.model.info.language, self.recipe.parts)

    def _rank(self, name: str, score: float | None) -> float | None:
        spread = self._spreads.get(name)
        return None if score is None or spread is None else spread.rank(score)


def _known(score: float) -> float | None:
    return None if np.isnan(score) else float(score)


def recipe_of(info: RunInfo) -> tuple[Recipe, tuple[str, ...]]:
    """How to extract what a model reads, and what of it cannot be extracted, one sentence each.

    Raises:
        RunError: nothing that the model reads can be extracted from a recording.
        WeightsError: a model of the hub that the recipe names is not on this machine.
    """
    wanted = set(info.modalities)
    parts = {TEXT} if TEXT in wanted and info.modalities[TEXT].kind != "frames" else set()
    recipe = info.recipe
    if recipe is not None:
        parts |= wanted & set(STREAMS) & set(recipe.parts)
    if not parts:
        raise RunError(
            f"the run reads {' and '.join(sorted(wanted))}, as features that selfmm did not extract, so it cannot make "
            "them of a recording. Train on a data set made by: selfmm extract CLIPS DATA"
        )
    notes = tuple(
        f"{name} is left out: the run was trained on features of it that selfmm did not extract"
        for name in sorted(wanted - parts)
    )
    if recipe is None:
        return Recipe(parts=tuple(parts), speech=_speech(info.language)), notes
    if recipe.align == "words":
        parts |= {TEXT} & set(recipe.parts)  # frames are averaged over words, whether the model reads these or not
    return without_network(Recipe.model_validate({**recipe.model_dump(), "parts": tuple(parts)})), notes


def _speech(language: str | None) -> SpeechSettings:
    """Who hears the words for a run whose own were written down."""
    if language in (None, "en"):
        return SpeechSettings()
    return SpeechSettings(recogniser="base", language=language)


def spreads(model: TrainedModel) -> dict[str, Spread]:
    """Of each score over the training clips, as the run left them."""
    table = model.predictions
    train = table[table["split"] == "train"]
    columns = {FUSION: "score", **{name: f"score_{name}" for name in model.assembly.model.tasks}}
    found = {}
    for name, column in columns.items():
        values = np.sort(train[column].dropna().to_numpy(dtype=np.float64)) if column in train else np.zeros(0)
        if len(values):
            deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            found[name] = Spread(float(values.mean()), deviation, values)
    return found
