"""The recipe by which a run's recordings are extracted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfmm.config.recipe import Recipe, SpeechSettings
from selfmm.core.errors import RunError
from selfmm.data.manifest import TEXT
from selfmm.features.dataset import STREAMS
from selfmm.features.hub import without_network

if TYPE_CHECKING:
    from selfmm.runs.folder import RunInfo


def recipe_of(info: RunInfo) -> tuple[Recipe, tuple[str, ...]]:
    """Return how to extract what a model reads, and a warning for each modality that cannot be extracted.

    Raises:
        RunError: if nothing that the model reads can be extracted from a recording.
        WeightsError: if a model of the hub that the recipe names is not on this machine.
    """
    modalities = set(info.modalities)
    parts = {TEXT} if TEXT in modalities and info.modalities[TEXT].kind != "frames" else set()
    recipe = info.recipe
    if recipe is not None:
        parts |= modalities & set(STREAMS) & set(recipe.parts)
    if not parts:
        raise RunError(
            f"the run reads {' and '.join(sorted(modalities))}, as features that selfmm did not extract, so it cannot "
            "extract them from a recording. Train on a data set made with: selfmm extract CLIPS DATA"
        )
    warnings = tuple(
        f"{name} is left out: the run was trained on features of it that selfmm did not extract"
        for name in sorted(modalities - parts)
    )
    if recipe is None:
        return Recipe(parts=tuple(parts), speech=_speech(info.language)), warnings
    if recipe.align == "words":
        parts |= {TEXT} & set(recipe.parts)  # frames are averaged over words, whether the model reads these or not
    return without_network(Recipe.model_validate({**recipe.model_dump(), "parts": tuple(parts)})), warnings


def _speech(language: str | None) -> SpeechSettings:
    """Return the speech recogniser for a run whose training words were transcribed by people."""
    if language in (None, "en"):
        return SpeechSettings()
    return SpeechSettings(recogniser="base", language=language)
