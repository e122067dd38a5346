"""The recogniser: what is loaded from where, and what is made of the model's answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from selfmm.core import weights
from selfmm.core.errors import MissingPackageError, SettingsError, WeightsError
from selfmm.features.words.recogniser import Recogniser, check_recogniser, load_recogniser

SOUND = np.zeros(16_000 * 4, dtype=np.float32)


class Model:
    """Answers by the width of its search; a second segment is always an invention."""

    def __init__(self, answers: dict[int, Any], languages: tuple[str, ...] = ("en",)) -> None:
        self.answers, self.supported_languages = answers, list(languages)
        self.asked: list[tuple[int, str | None]] = []

    def transcribe(self, sound: Any, *, beam_size: int, language: str | None, **_: Any) -> tuple[Iterator[Any], Any]:
        self.asked.append((beam_size, language))
        answer = self.answers[beam_size]
        segments = [] if answer is None else [answer, segment("invented")]
        return iter(segments), SimpleNamespace(language=language or "de", language_probability=np.float32(0.75))


def segment(text: str, ratio: float = 1.0, logprob: float = -0.2) -> Any:
    words = [
        SimpleNamespace(
            word=f" {word}", start=np.float64(place), end=np.float64(place + 1), probability=np.float64(0.5)
        )
        for place, word in enumerate(text.split())
    ]
    return SimpleNamespace(words=words, compression_ratio=ratio, avg_logprob=logprob)


def test_one_segment_is_taken_and_its_numbers_are_plain() -> None:
    model = Model({1: segment("so good")})
    heard = Recogniser(model).recognise(SOUND, None)
    assert heard.words == ((" so", 0, 1, 0.5), (" good", 1, 2, 0.5))
    assert {type(value) for word in heard.words for value in word} == {str, float}
    assert (heard.language, heard.language_probability) == ("de", 0.75)
    assert model.asked == [(1, None)]


class Reader(Model):
    """Tells what it is given to read, and how sure it then is."""

    def __init__(self, columns: int, answers: dict[int, Any]) -> None:
        super().__init__(answers)
        self.columns = columns
        self.read: list[tuple[int, npt.NDArray[np.float32]]] = []

    def transcribe(self, sound: Any, *, beam_size: int, **settings: Any) -> tuple[Iterator[Any], Any]:
        spectrogram = np.zeros((80, 3000), dtype=np.float32)
        spectrogram[3, : self.columns] = np.arange(1, self.columns + 1)
        self.encode(spectrogram)
        return super().transcribe(sound, beam_size=beam_size, **settings)

    def encode(self, spectrogram: npt.NDArray[np.float32]) -> None:
        self.read.append((spectrogram.shape[1], spectrogram[3]))


@pytest.mark.parametrize(("columns", "read"), [(400, 1400), (401, 1402), (0, 1000), (2500, 3000)])
def test_a_phrase_is_read_with_a_margin_and_the_rest_of_30_s_is_not(columns: int, read: int) -> None:
    model = Reader(columns, {1: segment("good")})
    Recogniser(model).recognise(SOUND, "en")
    [(width, row)] = model.read
    assert width == read
    assert row[:columns].tolist() == list(range(1, columns + 1))  # nothing of the phrase is lost
    assert not row[columns:].any()


def test_a_poor_answer_is_sought_again_in_all_30_s() -> None:
    model = Reader(400, {1: segment("xyz", logprob=-1.1), 5: segment("better")})
    assert [word[0] for word in Recogniser(model).recognise(SOUND, "en").words] == [" better"]
    assert [width for width, _ in model.read] == [1400, 3000]


class Encoder(Model):
    """Its states count the columns that they were computed from; detecting the language reads one column more."""

    def feature_extractor(self, sound: Any) -> npt.NDArray[np.float32]:
        return np.ones((80, len(sound) // 160 + 1), dtype=np.float32)

    feature_extractor.nb_max_frames = 3000  # type: ignore[attr-defined]

    def encode(self, spectrogram: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.full((1, spectrogram.shape[1] // 2, 5), spectrogram[0].sum(), dtype=np.float32)

    def transcribe(self, sound: Any, *, beam_size: int, **settings: Any) -> tuple[Iterator[Any], Any]:
        spectrogram = np.pad(self.feature_extractor(sound), ((0, 0), (0, 2000)))
        for columns in (len(sound) // 160 + 1, len(sound) // 160):
            self.encode(np.where(np.arange(spectrogram.shape[1]) < columns, spectrogram, 0))
        return super().transcribe(sound, beam_size=beam_size, **settings)


def test_states_are_those_on_which_the_words_are_based() -> None:
    recogniser = Recogniser(Encoder({1: segment("good")}))
    assert recogniser.width == 5
    for length in (16_000, 16_001, 15_999, 8000 - 160):
        states = recogniser.recognise(SOUND[:length], None).states
        assert states is not None
        assert states.shape == (-(-length // 320), 5)
        assert (states == length // 160).all()  # not one column more
        np.testing.assert_array_equal(recogniser.encode(SOUND[:length]), states)


def test_silence_gives_no_words() -> None:
    assert Recogniser(Model({1: None})).recognise(SOUND, "en").words == ()


@pytest.mark.parametrize("poor", [segment("la la la", ratio=2.5), segment("xyz", logprob=-1.1)])
def test_a_poor_answer_is_sought_again_more_widely_in_the_same_language(poor: Any) -> None:
    model = Model({1: poor, 5: segment("better")})
    assert [word[0] for word in Recogniser(model).recognise(SOUND, None).words] == [" better"]
    assert model.asked == [(1, None), (5, "de")]


def test_a_circle_is_dropped_and_a_refrain_is_kept() -> None:
    circle, refrain = segment("no " * 40, ratio=9.0), segment("no " * 20, ratio=5.0)
    assert Recogniser(Model({1: circle, 5: circle})).recognise(SOUND, "en").words == ()
    assert len(Recogniser(Model({1: refrain, 5: refrain})).recognise(SOUND, "en").words) == 20


def test_languages_are_checked() -> None:
    Recogniser(Model({}, ("en", "de"))).check("de")
    with pytest.raises(SettingsError, match="knows English only; choose base"):
        Recogniser(Model({})).check("de")
    with pytest.raises(SettingsError, match="does not know this language; did you mean 'de'"):
        Recogniser(Model({}, ("en", "de"))).check("dee")


def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"selfmm weights get tiny\.en"):
        load_recogniser("tiny.en", threads=7)


def test_a_folder_must_be_complete(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"holds no config\.json and no tokenizer\.json"):
        load_recogniser(str(tmp_path))
    with pytest.raises(WeightsError, match="does not exist"):
        load_recogniser(str(tmp_path / "gone"))


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(WeightsError, match=r"cannot load the speech recogniser .*format of faster-whisper"):
        load_recogniser(str(tmp_path))


def test_without_the_library_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(MissingPackageError, match=r"pip install 'selfmm\[video\]'"):
        load_recogniser(str(tmp_path))


def test_a_local_name_never_asks_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def model(name: str, *, local_files_only: bool, **_: Any) -> Any:
        asked.append((name, local_files_only))
        return SimpleNamespace(supported_languages=["en"], feature_extractor=SimpleNamespace(mel_filters=None))

    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=model))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: SimpleNamespace(head=lambda *_, **__: None))
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    load_recogniser.cache_clear()
    try:
        load_recogniser(str(tmp_path), 1)
        assert load_recogniser("someone/model", 1) is load_recogniser("someone/model", 1)
    finally:
        load_recogniser.cache_clear()
    assert asked == [(str(tmp_path), True), ("someone/model", False)]


@pytest.mark.slow
def test_torch_computes_with_as_many_threads_as_before() -> None:
    pytest.importorskip("faster_whisper")
    if weights.find("tiny.en") is None:
        pytest.skip("the weights are not here: selfmm weights get tiny.en")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    load_recogniser.cache_clear()
    try:
        load_recogniser("tiny.en", threads=3).recognise(SOUND, "en")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
        load_recogniser.cache_clear()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nope", "no speech recogniser 'nope'. Choose from: none, tiny.en, base"),
        ("smal", "did you mean 'small"),
        ("bas", "did you mean 'base'?"),
        ("./nowhere", "no speech recogniser './nowhere'"),
    ],
)
def test_a_wrong_name_is_refused_without_loading_anything(name: str, says: str) -> None:
    pytest.importorskip("faster_whisper")
    with pytest.raises(WeightsError) as error:
        check_recogniser(name)
    assert says in str(error.value)


def test_a_name_that_may_be_right_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faster_whisper")
    assert check_recogniser("small", "de") == check_recogniser("owner/whisper-small") == []
    with pytest.raises(WeightsError, match=r"model\.bin"):
        check_recogniser(str(tmp_path))
    monkeypatch.setattr(weights, "find", lambda name: None)
    assert ["selfmm weights get base" in note for note in check_recogniser("base")] == [True]
    assert ["knows English only" in note for note in check_recogniser("small.en", "de")] == [True]
