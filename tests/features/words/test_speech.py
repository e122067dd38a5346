"""Words from sound: the same however the sound comes in, with times that are true, and none out of silence."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfmm.config.recipe import SpeechSettings
from selfmm.core import weights
from selfmm.core.errors import MediaError, SettingsError, WeightsError
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Track, Transcript
from selfmm.features.words import speech
from selfmm.features.words.foreign import Judgement
from selfmm.features.words.recogniser import Recognised
from selfmm.features.words.speech import SpeechAnalyser

STEP = 512
SPOKEN = "The plot was boring and slow, but I really enjoyed the music."


class LoudIsSpeech:
    """Stands for ``SpeechActivity``: a step is speech where it is loud; late by ``late`` steps."""

    def __init__(self, late: int = 0) -> None:
        self._sound, self._late = np.zeros(0, dtype=np.float32), late
        self._finished = False

    @property
    def ready(self) -> float:
        steps = max(len(self._sound) // STEP - self._late, 0)
        return float("inf") if self._finished else steps * STEP / SOUND_RATE

    def feed(self, chunk: Chunk) -> None:
        if chunk.sound is not None:
            self._sound = np.concatenate([self._sound, chunk.sound])

    def finish(self) -> None:
        self._finished = True

    def track(self, start: float, end: float) -> Track:
        assert end <= self.ready
        steps = np.pad(self._sound, (0, -len(self._sound) % STEP)).reshape(-1, STEP)
        loud = (np.abs(steps).max(axis=1, keepdims=True) > 0.1).astype(np.float32)
        return Track(("speech",), loud, SOUND_RATE / STEP).part(start, end)


class Ear:
    """Stands for ``Recogniser``: a word a second, named after every sample of the phrase."""

    def __init__(self, languages: Sequence[str] = ("en",), heard: Sequence[tuple[str, float]] = ()) -> None:
        self.languages, self._heard = tuple(languages), list(heard)
        self.asked: list[tuple[int, str | None]] = []

    def check(self, language: str) -> None:
        if language not in self.languages:
            raise SettingsError([language])

    def recognise(self, sound: Floats, language: str | None) -> Recognised:
        self.asked.append((len(sound), language))
        name = hashlib.sha256(sound.tobytes()).hexdigest()[:8]
        words = tuple((f" {name}", second - 0.1, second + 1.2, 0.5) for second in range(len(sound) // SOUND_RATE + 1))
        found = self._heard.pop(0) if self._heard else (language or "en", 1.0)
        return Recognised(words, *found)


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    monkeypatch.setattr(weights, "find", lambda name: None)  # nothing else detects the language
    return hears(monkeypatch, Ear())


def hears(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> Ear:
    monkeypatch.setattr(speech, "load_recogniser", lambda name, threads: ear)
    return ear


def talk(*stretches: tuple[float, float], seed: int = 0) -> Floats:
    """Noise of stretches: how loud, and how many seconds."""
    pieces = [loud * np.ones(round(seconds * SOUND_RATE)) for loud, seconds in stretches]
    loudness = np.concatenate([np.zeros(0), *pieces])
    sign = np.sign(np.random.default_rng(seed).normal(size=len(loudness)))
    return np.asarray(sign * loudness, dtype=np.float32)


def listen(analyser: SpeechAnalyser, activity: Any, sound: Floats, cuts: Sequence[int]) -> SpeechAnalyser:
    for first, last in zip([0, *cuts], [*cuts, len(sound)], strict=True):
        chunk = Chunk(first / SOUND_RATE, last / SOUND_RATE, sound[first:last], None)
        activity.feed(chunk)
        analyser.feed(chunk)
    activity.finish()
    analyser.finish()
    return analyser


def transcribe(sound: Floats, cuts: Sequence[int] = (), late: int = 0) -> Transcript:
    activity = LoudIsSpeech(late)
    analyser = listen(SpeechAnalyser(SpeechSettings(), activity), activity, sound, cuts)
    return analyser.transcript(0, len(sound) / SOUND_RATE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.3]), st.floats(0.05, 12)), min_size=1, max_size=5),
    st.lists(st.integers(0, 20 * SOUND_RATE), max_size=8),
    st.integers(0, 20),
)
def test_words_do_not_depend_on_how_the_sound_comes(
    ear: Ear, stretches: list[tuple[float, float]], cuts: list[int], late: int
) -> None:
    sound = talk(*stretches)
    whole = transcribe(sound)
    assert transcribe(sound, sorted(cut for cut in cuts if cut < len(sound)), late) == whole
    times = [0.0, *(time for word in whole.words for time in (word.start, word.end)), len(sound) / SOUND_RATE + 1e-3]
    assert times == sorted(times)
    assert whole.words or not any(loud and seconds > 0.3 for loud, seconds in stretches)


def test_only_speech_reaches_the_recogniser(ear: Ear) -> None:
    assert transcribe(talk((0.01, 60))) == Transcript("", (), "en", "recognised", "tiny.en")
    assert not ear.asked
    transcribe(talk((0, 20), (0.3, 3), (0, 20), (0.3, 2)))
    assert [round(samples / SOUND_RATE, 1) for samples, _ in ear.asked] == [3.5, 2.3]


def test_a_transcript_holds_the_words_whose_middle_lies_in_the_span(ear: Ear) -> None:
    activity = LoudIsSpeech()
    analyser = listen(SpeechAnalyser(SpeechSettings(), activity), activity, talk((0.3, 5)), [])
    words = analyser.transcript(0, 5).words
    assert [word.start for word in words[:3]] == [0, 1.2, 2.2]
    assert words[-1].end == 5
    middle = (words[1].start + words[1].end) / 2
    assert analyser.transcript(0, middle).words == words[:1]
    assert analyser.transcript(middle, 5).words == words[1:]
    assert analyser.transcript(0, 5).text == " ".join(word.text for word in words)


def test_what_is_ready_is_final_and_the_rest_is_refused(ear: Ear) -> None:
    sound = talk((0, 1), (0.3, 4), (0, 5), (0.3, 40), (0, 3))
    whole = transcribe(sound)
    activity = LoudIsSpeech()
    analyser = SpeechAnalyser(SpeechSettings(), activity)
    last = 0.0
    for first in range(0, len(sound), 1600):
        chunk = Chunk(first / SOUND_RATE, (first + 1600) / SOUND_RATE, sound[first : first + 1600], None)
        activity.feed(chunk)
        analyser.feed(chunk)
        ready = analyser.ready
        assert last <= ready <= chunk.end
        assert chunk.end - ready < 28.5
        last = ready
        expected = [word for word in whole.words if (word.start + word.end) / 2 < ready]
        assert list(analyser.transcript(0, ready).words) == expected
        with pytest.raises(ValueError, match="words are known up to"):
            analyser.transcript(0, ready + 0.01)
    assert last > 52


def test_a_live_source_takes_no_more_and_more_memory(ear: Ear) -> None:
    activity = LoudIsSpeech()
    analyser = SpeechAnalyser(SpeechSettings(), activity)
    kept: list[int] = []
    for minute in range(6):
        sound = talk((0, 10), (0.3, 5), (0, 5), (0.3, 40), seed=minute)
        chunk = Chunk(minute * 60, minute * 60 + 60, sound, None)
        activity.feed(chunk)
        analyser.feed(chunk)
        analyser.forget(analyser.ready)
        kept.append(sum(map(len, analyser._sound)) + len(analyser._words))
    assert max(kept) < 29 * SOUND_RATE
    with pytest.raises(ValueError, match="were forgotten"):
        analyser.transcript(0, 1)
    assert analyser.transcript(analyser.ready, analyser.ready).words == ()


def test_a_recording_without_sound_is_refused(ear: Ear) -> None:
    with pytest.raises(MediaError, match="no sound"):
        SpeechAnalyser(SpeechSettings(), LoudIsSpeech()).feed(Chunk(0, 1, None, ()))


def test_the_language_is_detected_until_it_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = hears(monkeypatch, Ear(("en", "de"), [("en", 0.3), ("en", 0.2), ("de", 0.8)]))
    activity = LoudIsSpeech()
    analyser = SpeechAnalyser(SpeechSettings(recogniser="base"), activity)
    listen(analyser, activity, talk(*[(0.3, 2.0), (0.0, 3.0)] * 4), [])
    assert [language for _, language in ear.asked] == [None, None, None, "de"]
    assert analyser.transcript(0, 9).language == "de"
    assert analyser.language_probability == 0.8


def test_a_language_that_is_given_is_not_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = hears(monkeypatch, Ear(("en", "de")))
    activity = LoudIsSpeech()
    analyser = SpeechAnalyser(SpeechSettings(recogniser="base", language="de"), activity)
    assert listen(analyser, activity, talk((0.3, 2)), []).transcript(0, 2).language == "de"
    assert [language for _, language in ear.asked] == ["de"]
    with pytest.raises(SettingsError):
        SpeechAnalyser(SpeechSettings(language="xx"), LoudIsSpeech())


def test_words_of_another_language_are_dropped_with_the_reason(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
    judgements = [Judgement("en"), Judgement("de", "it is German", drop=True)]
    monkeypatch.setattr(speech.ForeignSpeech, "judge", lambda *_: judgements.pop(0))
    activity = LoudIsSpeech()
    analyser = SpeechAnalyser(SpeechSettings(), activity)
    listen(analyser, activity, talk((0, 1), (0.3, 3), (0, 5), (0.3, 3), (0, 5)), [])
    first, gap, second = (analyser.transcript(*span) for span in ((0, 6), (6, 8), (8, 17)))
    assert first.words
    assert (first.language, first.warnings) == ("en", ())
    assert (gap.text, gap.warnings) == ("", ())
    assert (second.text, second.language, second.warnings) == ("", "de", ("it is German",))
    assert (analyser.transcript(0, 17).words, analyser.transcript(0, 17).warnings) == (first.words, second.warnings)


def test_the_language_is_checked_only_where_it_matters(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(speech.ForeignSpeech, "judge", fail)
    for chosen, check in ((SpeechSettings(language="en"), True), (SpeechSettings(), False)):
        activity = LoudIsSpeech()
        analyser = SpeechAnalyser(chosen, activity, check_language=check)
        assert listen(analyser, activity, talk((0.3, 3)), []).transcript(0, 3).words


# From here on with the real recogniser.


@pytest.fixture(scope="module")
def decode() -> Callable[[Path], Floats]:
    av = pytest.importorskip("av")
    pytest.importorskip("faster_whisper")
    try:
        weights.locate("tiny.en")
    except WeightsError:
        pytest.skip("the weights tiny.en are not on this machine: selfmm weights get tiny.en")

    def decode(path: Path) -> Floats:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
        with av.open(str(path)) as container:
            frames = [*container.decode(audio=0), None]
            pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
        return np.concatenate(pieces)

    return decode


def recognise(sound: Floats, step: int, threads: int = 1) -> Transcript:
    from selfmm.features.voice.activity import SpeechActivity

    activity = SpeechActivity()
    analyser = SpeechAnalyser(SpeechSettings(), activity, threads=threads)
    return listen(analyser, activity, sound, range(step, len(sound), step)).transcript(0, len(sound) / SOUND_RATE)


@pytest.mark.slow
def test_a_real_clip_is_understood_in_any_pieces(decode: Callable[[Path], Floats]) -> None:
    path = Path(__file__).parents[4] / "shared" / "data" / "clips" / "mosi_Oz06ZWiO20M_6.mp4"
    if not path.is_file():
        pytest.skip("the MOSI clip is not beside this checkout (it is not ours to ship)")
    sound = decode(path)
    transcript = recognise(sound, 1600)
    assert transcript.text.lower().endswith("really ambitious, weird, interesting idiosyncratic failure.")
    assert recognise(sound, 50_001) == transcript
    assert recognise(np.concatenate([np.zeros(SOUND_RATE * 5, np.float32), sound]), len(sound)).text == transcript.text


@pytest.mark.slow
def test_synthetic_speech_is_understood_at_the_right_time(decode: Callable[[Path], Floats], tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed, so there is no speech of known words")
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", tmp_path / "a.wav", SPOKEN], check=True)
    said = decode(tmp_path / "a.wav")
    silence = np.zeros(4 * SOUND_RATE, dtype=np.float32)
    transcript = recognise(np.concatenate([silence, said, silence, said, silence]), 4000)
    assert transcript.text == f"{SPOKEN} {SPOKEN}"
    assert (transcript.language, transcript.source) == ("en", "recognised")
    count, length = len(SPOKEN.split()), len(said) / SOUND_RATE
    for words, start in ((transcript.words[:count], 4.0), (transcript.words[count:], 8 + length)):
        assert start - 0.3 < words[0].start
        assert words[-1].end < start + length + 0.3
        boring = next(word for word in words if word.text == "boring")
        assert start + 0.1 * length < boring.start < boring.end < start + 0.5 * length


def test_noise_and_tones_say_nothing(decode: Callable[[Path], Floats]) -> None:
    time = np.arange(SOUND_RATE * 10) / SOUND_RATE
    noise = np.random.default_rng(0).normal(0, 0.1, len(time))
    chord = sum(0.1 * np.sin(2 * np.pi * pitch * time) for pitch in (220, 277.2, 329.6))
    assert recognise(np.asarray(np.concatenate([noise, chord]), dtype=np.float32), 4000).text == ""
