"""Models of the hub that a recipe names. A run may be a stranger's: its recipe sends nobody to the network."""

from __future__ import annotations

from pathlib import Path

from selfmm.config.recipe import Recipe
from selfmm.core.errors import WeightsError
from selfmm.core.weights import KNOWN

_OWN = frozenset({"none", "voice", "egemaps", "face", *KNOWN})


def without_network(recipe: Recipe) -> Recipe:
    """The recipe with every hub name replaced by the folder in which this machine keeps that model.

    Raises:
        WeightsError: the machine does not have one.
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
    except Exception as error:  # no such snapshot, or no name that a hub could have
        raise WeightsError(
            f"the run's features come from the model {name!r}, which is not on this machine, and a run may not fetch "
            f"anything by itself. If you trust it, fetch it with: hf download {name}"
        ) from error
