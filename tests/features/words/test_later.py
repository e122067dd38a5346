"""What a run on given words lacks later is known when it is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from spoken_languages import SENTENCES

from selfmm.config.recipe import Recipe, load_recipe
from selfmm.core import weights
from selfmm.core.languages import ENGLISH_ONLY
from selfmm.data.manifest import Manifest, Modality
from selfmm.data.store import Dataset
from selfmm.features.words.later import foreign_speech, missing_later, notes_of


@pytest.fixture(autouse=True)
def all_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find", lambda name: Path())


def test_german_words_and_a_recogniser_of_english() -> None:
    [unknown] = missing_later(Recipe(), None, SENTENCES["de"])
    assert "do not look English" in unknown
    assert "`recogniser='base'`" in unknown
    [known] = missing_later(load_recipe(["speech.language=de"]), None, SENTENCES["de"])
    assert "knows English only" in known
    assert missing_later(Recipe(), "de", SENTENCES["de"]) == [known]


@pytest.mark.parametrize(
    ("overrides", "language"),
    [([], "en"), (["speech.recogniser=base"], "de"), (["speech.recogniser=none"], "de"), (["parts=audio"], "de")],
)
def test_nothing_is_missing(overrides: list[str], language: str) -> None:
    assert missing_later(load_recipe(overrides), None, SENTENCES[language]) == []


def test_features_from_elsewhere_name_no_recogniser() -> None:
    assert missing_later(None, "zh", SENTENCES["zh"]) == []


def test_weights_that_are_not_here_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find", lambda name: None)
    [line] = missing_later(load_recipe(["speech.recogniser=base"]), "de", SENTENCES["de"])
    assert "selfmm weights get base" in line


def test_clips_in_other_languages_are_counted() -> None:
    assert foreign_speech(["", "no face in any picture"], "tiny.en") == []
    [line] = foreign_speech(["", f"seems German, and tiny.en {ENGLISH_ONLY}"], "tiny.en")
    assert line.startswith("the speech of 1 clip does not seem to be in English")


def test_a_data_set_is_judged_by_its_texts() -> None:
    import pandas as pd

    samples = pd.DataFrame({"text": [*SENTENCES["fr"], None]})
    words, sounds = Modality(kind="text"), Modality(kind="frames", dim=5)
    manifest = Manifest(name="clips", label_range=(-3.0, 3.0), modalities={"text": words}, recipe=Recipe())
    assert "do not look English" in " ".join(notes_of(Dataset(Path(), manifest, samples)))
    manifest = manifest.model_copy(update={"modalities": {"audio": sounds}})
    assert notes_of(Dataset(Path(), manifest, samples)) == []
