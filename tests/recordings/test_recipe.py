"""A run's recipe names models; none of them is fetched because of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from selfmm.config.recipe import FaceSettings, Recipe, SpeechSettings, VoiceSettings
from selfmm.core.errors import SettingsError, WeightsError
from selfmm.recordings.recipe import other_speech, without_network


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Every request to the hub's client, which has the model ``kept/model`` on this machine and no other."""
    found: list[tuple[str, dict[str, Any]]] = []

    def snapshot_download(name: str, **options: Any) -> str:
        found.append((name, options))
        if name != "kept/model":
            raise FileNotFoundError(name)
        return "/cache/kept"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return found


def test_what_is_here_stays_as_it_is(asked: list[Any], tmp_path: Path) -> None:
    for recipe in (
        Recipe(),
        Recipe(speech=SpeechSettings(recogniser="none"), voice=VoiceSettings(features="egemaps")),
        Recipe(speech=SpeechSettings(recogniser="base"), face=FaceSettings(features=str(tmp_path))),
    ):
        assert without_network(recipe) == recipe
    assert not asked


def test_a_model_of_the_hub_is_read_from_its_folder_only(asked: list[Any]) -> None:
    found = without_network(Recipe(voice=VoiceSettings(features="kept/model", rate=50)))
    assert found.voice == VoiceSettings(features="/cache/kept", rate=50)
    assert asked == [("kept/model", {"local_files_only": True})]


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [
        (Recipe(speech=SpeechSettings(recogniser="some/whisper")), "audio,vision"),
        (Recipe(voice=VoiceSettings(features="some/wavlm")), "text,vision"),
        (
            Recipe(
                speech=SpeechSettings(recogniser="some/whisper"), parts=("audio",), voice=VoiceSettings(features="both")
            ),
            "vision",
        ),
        (Recipe(face=FaceSettings(features="some/vit")), "text,audio"),
    ],
)
def test_one_that_is_not_here_is_refused_where_it_is_needed(asked: list[Any], recipe: Recipe, parts: str) -> None:
    with pytest.raises(WeightsError, match=r"some/.* not on this machine.*hf download some/"):
        without_network(recipe)
    assert without_network(Recipe.model_validate({**recipe.model_dump(), "parts": parts}))
    assert len(asked) == 1


def test_words_alone_can_be_recognised_in_another_way() -> None:
    recipe = Recipe(face=FaceSettings(rate=5))
    assert other_speech(recipe, None, None) is recipe
    base = other_speech(recipe, "base", None)
    assert (base.speech.recogniser, base.speech.language) == ("base", "")
    assert base.model_copy(update={"speech": recipe.speech}) == recipe
    assert other_speech(recipe, None, "de").speech == SpeechSettings(recogniser="base", language="de")
    assert other_speech(recipe, None, "en").speech == SpeechSettings(language="en")
    german = Recipe(speech=SpeechSettings(recogniser="base", language="de"))
    assert other_speech(german, "small", None).speech == SpeechSettings(recogniser="small")  # it detects the language
    assert other_speech(german, "base", None).speech == german.speech


@pytest.mark.parametrize(
    ("recipe", "recogniser", "language", "says"),
    [
        (Recipe(parts=("audio",)), "base", None, "reads no words"),
        (Recipe(voice=VoiceSettings(features="both")), "base", None, "states of tiny.en"),
        (Recipe(voice=VoiceSettings(features="both")), None, "de", "states of tiny.en"),
        (Recipe(), "bse", None, "did you mean 'base'"),
        (Recipe(), "tiny.en", "de", "tiny.en recognises English only"),
        (Recipe(), "base", "german", "speech.language"),
    ],
)
def test_a_way_that_cannot_be_is_refused(recipe: Recipe, recogniser: str, language: str | None, says: str) -> None:
    with pytest.raises((SettingsError, WeightsError), match=says):
        other_speech(recipe, recogniser, language)


def test_only_the_recogniser_that_the_user_names_may_come_from_the_hub(asked: list[Any]) -> None:
    recipe = Recipe(parts=("text",), speech=SpeechSettings(recogniser="owner/whisper"))
    assert without_network(recipe, "owner/whisper") == recipe
    assert not asked
