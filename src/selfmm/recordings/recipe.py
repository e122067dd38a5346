"""The recipe for extracting the recordings that a run scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.config.recipe import Recipe, SpeechSettings, load_recipe
from selfmm.core.errors import ArgumentsError, RunError, WeightsError
from selfmm.core.weights import KNOWN
from selfmm.data.manifest import TEXT
from selfmm.features.dataset import STREAMS
from selfmm.features.words.recogniser import check_recogniser, knows_english_only

if TYPE_CHECKING:
    from selfmm.runs.folder import RunInfo

_OWN = frozenset({"none", "voice", "whisper", "both", "egemaps", "face", *KNOWN})


def recipe_of(
    info: RunInfo, recogniser: str | None = None, language: str | None = None
) -> tuple[Recipe, tuple[str, ...]]:
    """Return how to extract what a model reads, and a warning for each modality that cannot be extracted.

    Args:
        info: the run.
        recogniser, language: see :func:`other_speech`. Only this recogniser may be downloaded from the hub.

    Raises:
        RunError: if nothing that the model reads can be extracted from a recording.
        SettingsError: if ``recogniser`` and ``language`` are of no use, or do not fit together.
        WeightsError: if a hub model that the recipe names is not on this machine, or there is no such recogniser.
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
        f"{name} is left out: the run was trained on {name} features that selfmm did not extract"
        for name in sorted(modalities - parts)
    )
    if recipe is None:
        # People transcribed the training data, so the run names no recogniser.
        english = info.language in (None, "en")
        speech = SpeechSettings() if english else SpeechSettings(recogniser="base", language=info.language)
        return other_speech(Recipe(parts=tuple(parts), speech=speech), recogniser, language), warnings
    if recipe.align == "words":
        parts |= {TEXT} & set(recipe.parts)  # frames are averaged over words, even if the model does not read words
    recipe = other_speech(Recipe.model_validate({**recipe.model_dump(), "parts": tuple(parts)}), recogniser, language)
    return without_network(recipe, recogniser), warnings


def other_speech(recipe: Recipe, recogniser: str | None, language: str | None) -> Recipe:
    """Return the recipe with another way to recognise words.

    Args:
        recipe: of the run.
        recogniser: as in the recipe; None: that of the recipe, or ``base`` if it does not know the language.
        language: of the speech, such as ``de``; None: as in the recipe, or detected by another recogniser.

    Raises:
        SettingsError: if the run reads no words, the recogniser does not know the language, or it is not a language.
        WeightsError: if there is no such recogniser.
    """
    if recogniser is None and language is None:
        return recipe
    if TEXT not in recipe.parts:
        raise ArgumentsError(["the run reads no words, so leave out `recogniser=...` and `language=...`"])
    speech = recipe.speech
    if recogniser is None:
        foreign = language not in (None, "", "en") and knows_english_only(speech.recogniser)
        recogniser = "base" if foreign else speech.recogniser
    elif recogniser != "none":
        check_recogniser(recogniser)
    if recipe.encodes_speech and recogniser != speech.recogniser:
        raise ArgumentsError(
            [
                f"the voice of the run consists of the states of {speech.recogniser}, so {recogniser} cannot recognise "
                "its words; leave out `recogniser=...` and `language=...`, or train on clips extracted with it"
            ]
        )
    if language is None:
        language = speech.language if recogniser == speech.recogniser else ""
    if knows_english_only(recogniser) and language not in ("", "en"):
        instead = "leave it out, or give `recogniser='base'`"
        raise ArgumentsError([f"`language={language!r}`: {recogniser} recognises English only; {instead}"])
    changed = load_recipe([f"speech.recogniser={recogniser}", f"speech.language={language}"]).speech
    return recipe.model_copy(update={"speech": changed})


def without_network(recipe: Recipe, named: str | None = None) -> Recipe:
    """Return the recipe with each hub name replaced by the model's folder on this machine.

    A run may come from anybody, so its recipe must not cause downloads. ``named`` is a recogniser that the user names.

    Raises:
        WeightsError: if a model is not on this machine.
    """
    recogniser = recipe.speech.recogniser
    needed = recipe.may_recognise and recogniser != named
    speech = recipe.speech.model_copy(update={"recogniser": _local(recogniser, needed)})
    voice = recipe.voice.model_copy(update={"features": _local(recipe.voice.features, "audio" in recipe.parts)})
    face = recipe.face.model_copy(update={"features": _local(recipe.face.features, "vision" in recipe.parts)})
    return recipe.model_copy(update={"speech": speech, "voice": voice, "face": face})


def _local(name: str, needed: bool) -> str:
    if not needed or name in _OWN or Path(name).expanduser().is_dir():
        return name
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(name, local_files_only=True))
    except Exception as error:  # no such snapshot, or not a valid name for the hub
        raise WeightsError(
            f"the run's features come from the model {name!r}, which is not on this machine. A run may not start "
            f"downloads; if you trust this model, fetch it with: hf download {name}"
        ) from error
