"""Which model to train if the user names none: by the number of rated clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfmm.config.settings import Settings
from selfmm.core.messages import clips
from selfmm.data.manifest import TEXT
from selfmm.data.store import Dataset

FEW = 2000
"""Fewer rated clips than this are fitted in closed form; docs/starter.md has the learning curve."""
_FEW_WITHOUT_WORDS = 300
"""The same, where no word can be read, so that there is no score to start from."""
_BY_GRADIENTS = ("labels", "fusion", "stream", "training", "options", "align")
_ALSO_IN_CLOSED_FORM = ("training.device", "training.share", "options.unrated")


def choose_model(dataset: Dataset, overrides: Sequence[str]) -> tuple[str, str]:
    """Return the name of the model, and a sentence that says why.

    Args:
        overrides: settings that the user gave. One that only a model trained by gradients reads chooses such a model.
    """
    keys = [override.partition("=")[0].strip() for override in overrides]
    needs = [key for key in keys if _means_gradients(key)]
    default = Settings().model
    if needs:
        return default, f"model: {default}, because {needs[0]} is a setting of models that learn step by step."
    rated = int(np.isfinite(dataset.labels()[dataset.samples["split"].isin(["train", "valid"]).to_numpy()]).sum())
    words = TEXT in dataset.modalities and dataset.modalities[TEXT].kind == "text"
    limit = FEW if words else _FEW_WITHOUT_WORDS
    number = clips(rated, ("is rated", "are rated"))
    if rated >= limit:
        return default, f"model: {default}, because {number}; below {limit} it would be adapt."
    return "adapt", (
        f"model: adapt, because {number}: fewer than {limit} teach {default} little. "
        + ("It moves the starter's scores towards the ratings. " if words else "")
        + f"`model='{default}'` trains that one."
    )


def _means_gradients(key: str) -> bool:
    if key in _ALSO_IN_CLOSED_FORM:
        return False
    return key.split(".")[0] in _BY_GRADIENTS or (key.startswith("text.") and key not in _READING)


_READING = ("text.encoder", "text.layer", "text.capitals", "text.max_tokens")
