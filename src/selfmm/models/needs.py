"""Check whether the data have what a model needs, and say what to do if they do not."""

from __future__ import annotations

from collections.abc import Mapping

from selfmm.config.settings import Settings
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import TEXT, Modality
from selfmm.models.base import Model


def check_needs(model: type[Model], modalities: Mapping[str, Modality], settings: Settings) -> None:
    """Raise ``SettingsError`` with every need of ``model`` that these modalities do not meet."""
    needs, name = model.needs, settings.model_name
    problems = []
    if len(modalities) < needs.modalities:
        problems.append(
            f"{name} needs at least {needs.modalities} modalities, and these data have {', '.join(modalities)}; use "
            "more of them with `overrides=['modalities=...']`, import further modalities, or choose another model"
        )
    if needs.text and TEXT not in modalities:
        problems.append(
            f"{name} needs text, and these data have {', '.join(modalities)}; import a text column, let "
            "`selfmm extract` recognise speech, or choose another model"
        )
    if needs.inside and TEXT in modalities and modalities[TEXT].kind == "frames":
        problems.append(
            f"{name} works inside the text encoder, so it needs words or token ids, but the text of these data is "
            "already features; import the raw text, or choose another model"
        )
    if problems:
        raise SettingsError(problems)
