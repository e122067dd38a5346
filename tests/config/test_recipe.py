"""Settings of extraction: what is refused, and that they survive every way they travel."""

from __future__ import annotations

import json

import pytest

from selfmm.config.recipe import PARTS, Recipe, load_recipe
from selfmm.core.errors import SettingsError


def test_defaults() -> None:
    assert load_recipe() == Recipe()
    assert Recipe().parts == PARTS


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["parts=vision,text", "align=words", "face.rate=5"],
        ["speech.recogniser=none", "speech.language=zh", "voice.features=egemaps", "face.choose=largest"],
    ],
)
def test_there_and_back_through_json(settings: list[str]) -> None:
    recipe = load_recipe(settings)
    assert Recipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json")))) == recipe


def test_parts_are_in_one_order() -> None:
    assert load_recipe(["parts=vision,text"]).parts == ("text", "vision")
    assert load_recipe(["parts=vision,text"]) == load_recipe(["parts=text,vision"])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("parts=", "one or more of text, audio, vision"),
        ("parts=text,text", "each once"),
        ("parts=words", r"= 'words': give one or more of"),
        ("voice.rate=0", "greater than or equal to 1"),
        ("voice.rate=nan", "voice.rate"),
        ("face.rate=61", "less than or equal to 60"),
        ("face.faces=9", "less than or equal to 8"),
        ("face.choose=best", "speaking"),
        ("speech.recognizer=base", "did you mean 'speech.recogniser'"),
        ("version=2", "version"),
        ("rate", "face.rate=5"),
    ],
)
def test_what_is_refused(setting: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_recipe([setting])


def test_states_of_the_recogniser_need_a_recogniser() -> None:
    with pytest.raises(SettingsError, match=r"speech\.recogniser is none; set it to tiny\.en or base"):
        load_recipe(["voice.features=whisper", "speech.recogniser=none"])
    assert load_recipe(["voice.features=both", "speech.recogniser=none", "parts=text"])
    assert load_recipe(["voice.features=both", "parts=audio"]).may_recognise
    assert not load_recipe(["parts=audio"]).may_recognise


def test_every_setting_has_a_meaning() -> None:
    def described(group: type) -> bool:
        fields = group.model_fields.values()  # type: ignore[attr-defined]
        return all(
            field.description or (isinstance(field.annotation, type) and described(field.annotation))
            for field in fields
        )

    assert described(Recipe)
