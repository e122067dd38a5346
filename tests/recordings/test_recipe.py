"""A run's recipe names models; none of them is fetched because of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from selfmm.config.recipe import FaceSettings, Recipe, SpeechSettings, VoiceSettings
from selfmm.core.errors import WeightsError
from selfmm.recordings.recipe import without_network


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
