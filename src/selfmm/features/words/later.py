"""What is missing when a run, trained on given words, later scores recordings whose words must be recognised."""

from __future__ import annotations

from collections.abc import Sequence

from selfmm.config.recipe import Recipe
from selfmm.core.languages import ENGLISH_ONLY
from selfmm.core.messages import clips
from selfmm.data.english import looks_english
from selfmm.data.manifest import TEXT
from selfmm.data.store import Dataset
from selfmm.features.words.recogniser import check_recogniser, knows_english_only


def missing_later(recipe: Recipe | None, language: str | None, texts: Sequence[str]) -> list[str]:
    """Return what prevents the recognition of words in recordings that are like these clips, one sentence each.

    Args:
        recipe: of the data set; None if its features come from elsewhere.
        language: of its words; None or empty: not known.
        texts: its words.

    Raises:
        WeightsError: if there is no such recogniser.
    """
    if recipe is None or TEXT not in recipe.parts or recipe.speech.recogniser == "none":
        return []
    name, language = recipe.speech.recogniser, recipe.speech.language or language or ""
    notes = check_recogniser(name, language)
    if knows_english_only(name) and language in ("", "en") and looks_english(texts) is False:
        notes.append(
            f"the words of the clips do not look English, but the speech recogniser {name} knows English only, so "
            "recordings like these can only be scored with their words. To have these recognised, extract with "
            "`recogniser='base'`, or another multilingual one, and name the language, like `language='de'`."
        )
    return notes


def foreign_speech(warnings: Sequence[str], recogniser: str) -> list[str]:
    """Return a sentence about the clips whose speech may be in another language than English, from their warnings."""
    count = sum(ENGLISH_ONLY in warning for warning in warnings)
    if not count:
        return []
    return [
        f"the speech of {clips(count, ('does', 'do'))} not seem to be in English, and the speech recogniser "
        f"{recogniser} knows English only; see the column `warnings`. Extract with `recogniser='base'`."
    ]


def notes_of(dataset: Dataset) -> list[str]:
    """Return the notes of :func:`missing_later` about a data set."""
    return missing_later(dataset.manifest.recipe, dataset.manifest.language, dataset.texts())
