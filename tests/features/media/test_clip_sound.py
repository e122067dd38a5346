"""The sound of clips: as it is, and filtered so that the words are gone and the melody is not."""

from __future__ import annotations

import difflib
import io
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from features.recordings import grey, tone, write_recording
from features.sounds import voiced_sound
from selfmm.core import weights
from selfmm.core.errors import MediaError
from selfmm.features.media.clip_sound import clip_sound, content_filtered
from selfmm.features.streams import SOUND_RATE, Floats

SENTENCES = (
    "honestly the acting was really good and the plot was a bit dull",
    "I would not watch this film again because the story makes no sense",
    "the music is wonderful and every single person in the room was laughing",
    "he said that the camera work was terrible but the ending surprised me",
)


def read_wav(content: bytes) -> Floats:
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SOUND_RATE)
        return (np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768).astype(np.float32)


def test_the_plain_sound_is_that_of_the_span(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, 2 * SOUND_RATE).astype(np.float32)
    path = write_recording(tmp_path / "noise.wav", sound=sound)
    assert np.abs(read_wav(clip_sound(path)) - sound).max() < 2e-4
    part = read_wav(clip_sound(path, start=0.5, end=1.25))
    assert np.abs(part - sound[8000:20000]).max() < 2e-4


@pytest.mark.parametrize("seconds", [0.01, 0.3, 20.0])
def test_the_filter_removes_what_is_high_and_delays_nothing(seconds: float) -> None:
    low, high = tone(seconds, hertz=300, loudness=0.3), tone(seconds, hertz=500, loudness=0.3)
    filtered = content_filtered((low + high).astype(np.float32))
    assert filtered.shape == low.shape
    if seconds < 0.2:
        return
    inner = slice(1000, -1000)  # at its ends a tone has other frequencies
    gain = float(filtered[inner] @ low[inner] / (low[inner] @ low[inner]))
    assert gain == pytest.approx(2**0.5, rel=0.05)  # as loud as both were
    assert np.abs(filtered - gain * low)[inner].max() < 1e-3


def test_silence_loud_and_empty_sound() -> None:
    assert not content_filtered(np.zeros(5000, dtype=np.float32)).any()
    assert content_filtered(np.zeros(0, dtype=np.float32)).shape == (0,)
    loud = np.sign(tone(1, hertz=100))  # without its overtones it would be louder than full scale
    assert np.abs(content_filtered(loud)).max() <= 0.98
    hiss = np.random.default_rng(0).normal(0, 0.01, SOUND_RATE).astype(np.float32)
    assert np.abs(content_filtered(tone(1, hertz=3000)))[1000:-1000].max() < 0.002, "hardly anything is not made loud"
    assert np.std(content_filtered(hiss)) < 1.01 * np.std(hiss)


def test_melody_and_loudness_survive() -> None:
    times = np.arange(3 * SOUND_RATE) / SOUND_RATE
    sound = voiced_sound(150 * 2 ** (0.4 * np.sin(2 * np.pi * 0.7 * times)))
    sound *= (0.55 + 0.45 * np.sin(2 * np.pi * 1.1 * times)).astype(np.float32)
    plain, filtered = contours(sound), contours(content_filtered(sound))
    assert np.median(np.abs(12 * np.log2(filtered[0] / plain[0]))) < 0.2  # semitones
    assert np.corrcoef(filtered[1], plain[1])[0, 1] > 0.95


def contours(sound: Floats) -> tuple[Floats, Floats]:
    """The pitch by autocorrelation (Hz) and the level (dB) of every 40 ms."""
    pitches, levels = [], []
    for first in range(0, len(sound) - 640, 640):
        piece = sound[first : first + 640] - sound[first : first + 640].mean()
        levels.append(20 * np.log10(np.sqrt(np.mean(piece**2)) + 1e-9))
        likeness = np.correlate(piece, piece, "full")[len(piece) - 1 :] / np.arange(len(piece), 0, -1)
        lag = 60 + int(np.argmax(likeness[60:200]))
        left, middle, right = likeness[lag - 1 : lag + 2]
        pitches.append(SOUND_RATE / (lag + 0.5 * (left - right) / (left - 2 * middle + right)))
    return np.asarray(pitches, dtype=np.float32), np.asarray(levels, dtype=np.float32)


def test_a_film_without_sound(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "silent.mp4", pictures=grey)
    with pytest.raises(MediaError, match="has pictures but no sound"):
        clip_sound(path)


@pytest.mark.slow
def test_a_recogniser_understands_the_plain_words_and_none_of_the_filtered(tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None or weights.find("tiny.en") is None:
        pytest.skip("needs espeak-ng and the weights of tiny.en")
    pytest.importorskip("faster_whisper")
    from selfmm.features.words.recogniser import load_recogniser

    recogniser, understood, spoken = load_recogniser("tiny.en"), {"plain": 0, "filtered": 0}, 0
    for voice in ("en-us", "en-us+f3", "en-gb"):
        for sentence in SENTENCES:
            path = tmp_path / "spoken.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), sentence], check=True)
            spoken += len(sentence.split())
            for hearing in understood:
                sound = read_wav(clip_sound(path, hearing=hearing))  # type: ignore[arg-type]
                words = [word[0].strip(" .,?!").lower() for word in recogniser.recognise(sound, "en").words]
                blocks = difflib.SequenceMatcher(None, sentence.lower().split(), words).get_matching_blocks()
                understood[hearing] += sum(block.size for block in blocks)
    assert understood["plain"] > 0.75 * spoken  # measured: 86%
    assert understood["filtered"] < 0.03 * spoken  # measured: none
