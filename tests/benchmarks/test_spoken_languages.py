"""Speech in several languages, end to end: spoken by espeak-ng, recognised, and scored by a run that reads words."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from spoken_languages import POSITIVE, SENTENCES, right_signs, speak, words_of

import selfmm
from conftest import QUICK
from selfmm.core import weights
from selfmm.core.languages import ENGLISH_ONLY
from selfmm.recordings.model import SentimentModel

pytest.importorskip("av", reason="recordings are read by PyAV")
pytest.importorskip("faster_whisper", reason="it recognises speech")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed, so nobody speaks"),
]


def need(*names: str) -> None:
    if missing := [name for name in names if weights.find(name) is None]:
        pytest.skip(f"weights are not on this machine: selfmm weights get {' '.join(missing)}")


@pytest.fixture(scope="module")
def starter() -> SentimentModel:
    need("base", "e5", "face")
    return selfmm.load("starter")


@pytest.mark.parametrize("language", SENTENCES)
def test_plain_sentences_have_words_and_the_right_sign(starter: SentimentModel, language: str, tmp_path: Path) -> None:
    rows = words_of(starter, speak(language, tmp_path), "base", language)
    assert sum(name == language and bool(text) for name, text, _ in rows) >= 9
    assert right_signs([score for *_, score in rows]) >= 8


def test_english_words_are_not_invented(starter: SentimentModel, tmp_path: Path) -> None:
    need("tiny.en")
    german, english = (speak(language, tmp_path)[4] for language in ("de", "en"))
    [failure] = starter.recordings.clips([speak("es", tmp_path)[4]])
    assert "seems to be in Spanish" in failure.reason  # type: ignore[union-attr]
    [understood] = starter.predict([english])
    assert understood.transcript.language == "en"
    assert not any(ENGLISH_ONLY in warning for warning in understood.warnings)
    asked = starter.predict(german, language="de")
    assert (asked.transcript.recogniser, asked.transcript.language) == ("base", "de")


def german_table(folder: Path) -> Path:
    """A table of German recordings with their words and a rating; the last is kept out of it."""
    rows = [
        (file.name, text, 1 if number < POSITIVE else -1, split)
        for (number, file), text, split in zip(
            enumerate(speak("de", folder)), SENTENCES["de"], ["train", "test", "valid", "train"] * 3, strict=False
        )
    ]
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "text", "label", "split"), *rows[:-1]])
    return folder / "clips.csv"


def test_a_run_on_german_words_scores_a_german_recording(
    tiny_encoder: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    need("base", "tiny.en")
    table = german_table(tmp_path)
    common = {"parts": "text,audio", "cache": tmp_path / "cache", "jobs": 1}
    recording = tmp_path / "de_9.wav"

    english = selfmm.extract(table, tmp_path / "english", **common)  # type: ignore[arg-type]
    assert any("do not look English" in note for note in english.notes)
    recwarn.clear()
    model = selfmm.train(english.dataset, text_encoder=tiny_encoder, overrides=QUICK, out=tmp_path / "run_english")
    assert any("do not look English" in str(warning.message) for warning in recwarn)
    prediction = model.predict(recording)
    assert prediction.scores["text"] is None
    assert any("seems to be in German" in warning for warning in prediction.warnings)
    other = model.predict(recording, recogniser="base")
    assert "wirklich" in other.transcript.text
    assert "the words were recognised by base, those of the training clips by tiny.en" in other.warnings

    german = selfmm.extract(table, tmp_path / "german", recogniser="base", language="de", **common)  # type: ignore[arg-type]
    assert german.dataset.manifest.language == "de"
    assert not any("English" in note for note in german.notes)
    recwarn.clear()
    model = selfmm.train(german.dataset, text_encoder=tiny_encoder, overrides=QUICK, out=tmp_path / "run_german")
    assert not any("English" in str(warning.message) for warning in recwarn)
    prediction = model.predict(recording)
    assert "wirklich" in prediction.transcript.text
    assert prediction.scores["text"] is not None
    assert not any("language" in warning for warning in prediction.warnings)
