from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.voice_measures import level, pitches
from selfmm.core.errors import MissingPackageError
from selfmm.data.planted_words import sentence
from selfmm.demo.speakers import SPEAKERS, Speaker
from selfmm.demo.spoken import Synthesizer, chosen, speak
from selfmm.demo.tones import tone_speech
from selfmm.features.streams import SOUND_RATE

TEXT = "honestly the acting was really good and the plot was a bit dull"
SYNTHESIZERS: tuple[Synthesizer, ...] = ("auto", "tones", "espeak-ng")
MOODS = (-1.0, -0.5, 0.0, 0.5, 1.0)


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
def test_a_livelier_voice_is_higher_louder_quicker_and_wider(speaker: Speaker) -> None:
    sounds = [tone_speech(TEXT, speaker.voice, mood, 20, np.random.default_rng(0)) for mood in MOODS]
    tracks = [pitches(sound) for sound in sounds]
    assert np.all(np.diff([np.median(track) for track in tracks]) > 0)
    assert np.all(np.diff([level(sound) for sound in sounds]) > 1)
    assert np.all(np.diff([len(sound) for sound in sounds]) < 0)
    reach = [np.log2(np.percentile(track, 90) / np.percentile(track, 10)) for track in tracks]
    assert reach[-1] > 2 * reach[0]
    assert 12 * abs(np.log2(np.median(tracks[2]) / speaker.voice.pitch)) < 2, "an indifferent voice has its own pitch"


def test_speakers_differ_in_pitch_and_none_is_louder_by_nature() -> None:
    sounds = [tone_speech(TEXT, speaker.voice, 0, 20, np.random.default_rng(0)) for speaker in SPEAKERS]
    assert len({speaker.voice.pitch for speaker in SPEAKERS}) == len(SPEAKERS)
    assert np.ptp([level(sound) for sound in sounds]) < 1.5


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    mood=st.floats(-1, 1),
    number=st.integers(0, len(SPEAKERS) - 1),
    longest=st.floats(0.65, 12),
)
def test_any_sentence_is_spoken_in_time_and_in_range(seed: int, mood: float, number: int, longest: float) -> None:
    text = sentence(3 * mood, np.random.default_rng(seed))
    voice = SPEAKERS[number].voice
    sound, again = (tone_speech(text, voice, mood, longest, np.random.default_rng(seed)) for _ in range(2))
    assert sound.dtype == np.float32
    assert 0.3 < len(sound) / SOUND_RATE <= longest
    assert np.isfinite(sound).all()
    assert 0.02 < np.abs(sound).max() < 1
    np.testing.assert_array_equal(sound, again)


def test_more_syllables_take_longer() -> None:
    lengths = [
        len(tone_speech(text, SPEAKERS[0].voice, 0, 20, np.random.default_rng(0)))
        for text in ("so", "so the plot", "so the plot was unbearable", TEXT)
    ]
    assert np.all(np.diff(lengths) > 0)


espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@espeak
def test_espeak_is_what_auto_means_where_it_is_there() -> None:
    assert [chosen(name) for name in SYNTHESIZERS] == ["espeak-ng", "tones", "espeak-ng"]


def test_without_espeak_auto_means_tones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [chosen(name) for name in SYNTHESIZERS[:2]] == ["tones", "tones"]
    with pytest.raises(MissingPackageError, match="apt-get install espeak-ng"):
        chosen("espeak-ng")


@espeak
@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
def test_espeak_follows_the_mood(speaker: Speaker) -> None:
    rng = np.random.default_rng(0)
    flat, lively = (speak(TEXT, speaker.voice, mood, 20, rng, "espeak-ng") for mood in (-1, 1))
    assert np.median(pitches(lively)) > 1.15 * np.median(pitches(flat))
    assert level(lively) > level(flat) + 4
    assert len(lively) < 0.85 * len(flat)
    assert np.abs(lively).max() < 1


@espeak
def test_espeak_hurries_where_there_is_little_time() -> None:
    rng = np.random.default_rng(0)
    free, hurried = (speak(TEXT, SPEAKERS[0].voice, 0, longest, rng, "espeak-ng") for longest in (20, 2.5))
    assert len(free) > 3 * SOUND_RATE
    assert 2 * SOUND_RATE < len(hurried) <= 2.5 * SOUND_RATE
    assert np.abs(hurried[-800:]).max() < 0.3 * np.abs(hurried).max(), "it has come to an end, not been cut off"


def test_a_broken_espeak_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(command: list[str], **settings: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no voice data")

    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(MissingPackageError, match=r"no voice data.*tones"):
        speak(TEXT, SPEAKERS[0].voice, 0, 20, np.random.default_rng(0), "espeak-ng")


def test_a_sound_counts_if_espeak_makes_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was seen to speak one clip differently, when it was started for the first time on a machine."""
    pitches = iter([110.0, 220.0, 220.0, 330.0])

    def speaks(command: list[str], **settings: object) -> subprocess.CompletedProcess[str]:
        tone = np.sin(2 * np.pi * next(pitches) * np.arange(SOUND_RATE) / SOUND_RATE)
        with wave.open(command[command.index("-w") + 1], "wb") as file:
            file.setparams((1, 2, SOUND_RATE, 0, "NONE", ""))
            file.writeframes((tone * 20_000).astype("<i2").tobytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", speaks)
    sound = speak(TEXT, SPEAKERS[0].voice, 0, 20, np.random.default_rng(0), "espeak-ng")
    assert np.abs(np.fft.rfft(sound)).argmax() * SOUND_RATE / len(sound) == pytest.approx(220, abs=2)
