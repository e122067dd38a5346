"""Which model to train if the user names none: by the number of rated clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from selfmm.config.model_name import STARTER
from selfmm.config.settings import Settings, each, load_settings
from selfmm.core import weights
from selfmm.core.messages import clips
from selfmm.data.manifest import TEXT
from selfmm.data.store import Dataset
from selfmm.models.assembly import chosen_modalities
from selfmm.training.adapt.trainer import rated_rows

FEW = 1000
"""Fewer rated clips than this are fitted in closed form; docs/starter.md has the learning curve."""
_FEW_WITHOUT_WORDS = 300
"""The same if the model reads no words, and so has no score to start from."""
_FROM_STARTER = ("training.schedule=linear", "training.max_epochs=4")
"""How to train from the starter: at a constant rate, an encoder forgets more than it learns."""
_BY_GRADIENTS = ("labels", "fusion", "stream", "training", "options", "align")
_ALSO_IN_CLOSED_FORM = ("training.device", "training.share", "training.log", "options.unrated")
_READING = ("text.encoder", "text.layer", "text.capitals", "text.max_tokens", "text.context")


class Choice(NamedTuple):
    """A model, the run that it starts from (None: none), a sentence that says why, and settings for it."""

    model: str
    start: str | None
    reason: str
    settings: tuple[str, ...] = ()


def choose_model(dataset: Dataset, overrides: Sequence[str], *, start: bool = False) -> Choice:
    """Return the model to train.

    Args:
        overrides: settings that the user gave. One that only models trained by gradients read chooses Self-MM.
        start: whether the user named a run to start from, which chooses it too.

    Raises:
        SettingsError: if a setting is not valid.
    """
    default, settings = Settings().model, load_settings(None, overrides)
    keys = [override.partition("=")[0].strip() for override in each(overrides)]
    needs = ["start"] if start or settings.start else [key for key in keys if _means_gradients(key)]
    if needs:
        return Choice(default, None, f"model: {default}, because {needs[0]} is set; `model='adapt'` fits few ratings.")
    rated = len(rated_rows(dataset, settings))
    modalities = chosen_modalities(dataset, settings)
    words = TEXT in modalities and modalities[TEXT].kind == "text"
    limit = FEW if words else _FEW_WITHOUT_WORDS
    number = clips(rated, ("is rated", "are rated"))
    if rated < limit:
        why = f"{number} in train and valid, fewer than the {limit:,} that {default} needs"
        return Choice("adapt", None, f"model: adapt, because {why}; `model='{default}'` trains it nevertheless.")
    why = f"because {number}; below {limit:,} it would be adapt."
    named = settings.text.model_dump(include=settings.text.model_fields_set & {"encoder", "layer", "capitals"})
    if not words or named not in ({}, {"encoder": "e5"}) or weights.find("e5") is None:
        return Choice(default, None, f"model: {default}, {why}")
    return Choice(default, STARTER, f"model: {default}, starting from the starter, {why}", _FROM_STARTER)


def _means_gradients(key: str) -> bool:
    if key in _ALSO_IN_CLOSED_FORM:
        return False
    return key.split(".")[0] in _BY_GRADIENTS or (key.startswith("text.") and key not in _READING)
