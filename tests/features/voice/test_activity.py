"""Speech activity: the model as its packager runs it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sounds import feed, voiced_sound
from selfmm.core.errors import MissingPackageError
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.voice import activity
from selfmm.features.voice.activity import STEP, SpeechActivity

pytest.importorskip("onnxruntime")
RATE = SOUND_RATE / STEP


def babble(seconds: float) -> Floats:
    """Syllables and pauses: as near to speech as a few lines come."""
    time = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    sound = voiced_sound(120 * 2 ** (0.3 * np.sin(2 * np.pi * 0.8 * time)), snr=30)
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * (time % 2 < 1.2)
    spoken: Floats = (sound * syllables).astype(np.float32)
    return spoken


def test_probabilities_are_those_of_the_packager() -> None:
    vad = pytest.importorskip("faster_whisper.vad")
    sound = babble(6.3)
    track = feed(SpeechActivity(), sound).track(0, 10)
    theirs = vad.get_vad_model()(np.pad(sound, (0, -len(sound) % STEP))).ravel()
    assert len(track.values) == len(theirs) == int(np.ceil(len(sound) / STEP))
    assert track.rate == RATE
    assert np.ptp(theirs) > 0.2
    # Theirs blanks the end of the last step.
    np.testing.assert_allclose(track.column("speech")[:-1], theirs[:-1], atol=1e-4)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=5), st.integers(0, 30000))
def test_pieces_of_sound_change_nothing(sizes: list[int], length: int) -> None:
    sound = babble(2)[:length]
    whole, parts = feed(SpeechActivity(), sound, [40000]), feed(SpeechActivity(), sound, sizes)
    assert whole.track(0, 3).values.tobytes() == parts.track(0, 3).values.tobytes()
    assert len(whole.track(0, 3).values) == int(np.ceil(len(sound) / STEP))


def test_clips_do_not_hear_each_other() -> None:
    alone = feed(SpeechActivity(), babble(1)).track(0, 1).values
    one, other = SpeechActivity(), SpeechActivity()
    feed(other, np.random.default_rng(0).standard_normal(SOUND_RATE))
    feed(one, babble(1))
    np.testing.assert_array_equal(one.track(0, 1).values, alone)


def test_silence_and_noise_are_no_speech() -> None:
    for sound in (np.zeros(2 * SOUND_RATE), 0.01 * np.random.default_rng(0).standard_normal(2 * SOUND_RATE)):
        assert feed(SpeechActivity(), sound).track(0, 2).values.max() < 0.35


def test_a_real_voice_is_speech() -> None:
    av = pytest.importorskip("av")
    clip = Path(__file__).parents[4] / "shared" / "data" / "clips" / "mosi_Oz06ZWiO20M_6.mp4"
    if not clip.is_file():
        pytest.skip("the real clips are not on this machine")
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
    with av.open(str(clip)) as recording:
        frames = [part.to_ndarray() for frame in recording.decode(audio=0) for part in resampler.resample(frame)]
    sound = np.concatenate(frames, axis=1)[0]
    length = len(sound) / SOUND_RATE
    silence = np.zeros(SOUND_RATE)
    track = feed(SpeechActivity(), np.concatenate([silence, sound, silence])).track(0, length + 2)
    spoken = track.times[track.column("speech") >= 0.5]
    assert spoken[0] == pytest.approx(1.1, abs=0.3)
    assert spoken[-1] == pytest.approx(length + 0.9, abs=0.5)
    assert np.diff(spoken).max() < 0.5


def test_without_its_packages_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    activity._model.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'selfmm\[video\]'"):
        SpeechActivity()
