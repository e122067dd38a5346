"""Hub models that the recipe of a run names. The run may come from anybody, so its recipe must not cause downloads."""

from __future__ import annotations

from pathlib import Path

from selfmm.config.recipe import Recipe
from selfmm.core.errors import WeightsError
from selfmm.core.weights import KNOWN

_OWN = frozenset({"none", "voice", "egemaps", "face", *KNOWN})


def without_network(recipe: Recipe) -> Recipe:
    """Return the recipe with every hub name replaced by the folder that holds this model on this machine.

    Raises:
        WeightsError: if the machine does not have a model.
    """
    speech = recipe.speech.model_copy(update={"recogniser": _local(recipe.speech.recogniser, "text" in recipe.parts)})
    voice = recipe.voice.model_copy(update={"features": _local(recipe.voice.features, "audio" in recipe.parts)})
    face = recipe.face.model_copy(update={"features": _local(recipe.face.features, "vision" in recipe.parts)})
    return recipe.model_copy(update={"speech": speech, "voice": voice, "face": face})


def _local(name: str, needed: bool) -> str:
    if not needed or name in _OWN or Path(name).expanduser().is_dir():
        return name
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(name, local_files_only=True))
    except Exception as error:  # no such snapshot, or a name that a hub cannot have
        raise WeightsError(
            f"the run's features come from the model {name!r}, which is not on this machine. A run may not download "
            f"anything by itself; if you trust this model, fetch it with: hf download {name}"
        ) from error
