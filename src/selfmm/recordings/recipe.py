"""The recipe for extracting the recordings that a run scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.config.recipe import Recipe, SpeechSettings
from selfmm.core.errors import RunError, WeightsError
from selfmm.core.weights import KNOWN
from selfmm.data.manifest import TEXT
from selfmm.features.dataset import STREAMS

if TYPE_CHECKING:
    from selfmm.runs.folder import RunInfo

_OWN = frozenset({"none", "voice", "whisper", "both", "egemaps", "face", *KNOWN})


def recipe_of(info: RunInfo) -> tuple[Recipe, tuple[str, ...]]:
    """Return how to extract what a model reads, and a warning for each modality that cannot be extracted.

    Raises:
        RunError: if nothing that the model reads can be extracted from a recording.
        WeightsError: if a hub model that the recipe names is not on this machine.
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
        return Recipe(parts=tuple(parts), speech=speech), warnings
    if recipe.align == "words":
        parts |= {TEXT} & set(recipe.parts)  # frames are averaged over words, even if the model does not read words
    return without_network(Recipe.model_validate({**recipe.model_dump(), "parts": tuple(parts)})), warnings


def without_network(recipe: Recipe) -> Recipe:
    """Return the recipe with each hub name replaced by the model's folder on this machine.

    A run may come from anybody, so its recipe must not cause downloads.

    Raises:
        WeightsError: if a model is not on this machine.
    """
    speech = recipe.speech.model_copy(update={"recogniser": _local(recipe.speech.recogniser, recipe.may_recognise)})
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
