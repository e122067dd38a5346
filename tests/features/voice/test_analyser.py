"""Voices: rows on their grid, means of the right frames, the same however the sound comes in, always finite."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.sounds import feed, voiced_sound
from selfmm.config.recipe import VoiceSettings
from selfmm.core.errors import MediaError, MissingPackageError
from selfmm.features.streams import SOUND_RATE, Chunk, Floats
from selfmm.features.voice import spectrum
from selfmm.features.voice.analyser import COLUMNS, REFERENCE, VoiceFeatures, voice_analyser

HOP = 160
RATES = [1.0, 7.3, 20.0, 29.97, 100.0]


def melody(seconds: float = 3.0) -> Floats:
    """A voice that glides and pauses, in a little noise."""
    time = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    sound = voiced_sound(170 * 2 ** (0.3 * np.sin(2 * np.pi * time)), snr=30)
    speaks = time % 1 < 0.6
    noise = 1e-3 * np.random.default_rng(5).standard_normal(len(sound))
    return (sound * speaks + noise).astype(np.float32)


def spectra(sound: Floats) -> npt.NDArray[np.float32]:
    """Of all frames that begin in the sound; each is centred in its hop."""
    count = -(-len(sound) // HOP)
    padded = np.concatenate([np.zeros(120 + HOP, np.float32), sound, np.zeros(1000, np.float32)])
    frames = np.stack([padded[k * HOP : k * HOP + 400] for k in range(count + 1)])
    return spectrum.spectral_features(frames)


@pytest.mark.parametrize("rate", RATES)
def test_rows_are_means_of_the_frames_in_their_time(rate: float) -> None:
    sound = melody()[: 3 * SOUND_RATE - 77]
    track = feed(VoiceFeatures(rate), sound).track(0, 10)
    frames = spectra(sound)
    rows = math.ceil(len(sound) * rate / SOUND_RATE)
    assert track.values.shape == (rows, len(COLUMNS))
    assert (track.rate, track.start) == (rate, 0)
    for row in range(rows):
        inside = [k for k in range(len(frames)) if row / rate <= (k + 0.5) / 100 < (row + 1) / rate]
        expected = frames[inside or [-1]].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(track.values[row, : frames.shape[1]], expected, rtol=1e-4, atol=1e-4)


def test_pitch_columns_tell_the_planted_voice() -> None:
    truth = np.full(2 * SOUND_RATE, 220.0)
    sound = voiced_sound(truth)
    sound[SOUND_RATE:] = 0.001 * np.random.default_rng(0).standard_normal(SOUND_RATE)
    track = feed(VoiceFeatures(20), sound).track(0, 2)
    speaks, rests = slice(1, 19), slice(21, 39)
    np.testing.assert_allclose(track.column("f0")[speaks], 12 * np.log2(220 / REFERENCE), atol=0.05)
    np.testing.assert_array_equal(track.column("voiced")[speaks], 1)
    assert track.column("periodicity")[speaks].min() > 0.95
    assert track.column("hnr")[speaks].min() > 13
    for column in ("f0", "f0_slope", "voiced", "hnr"):
        np.testing.assert_array_equal(track.column(column)[rests], 0)
    assert track.column("periodicity")[rests].max() < 0.45


def test_slope_is_that_of_the_glide() -> None:
    time = np.arange(2 * SOUND_RATE) / SOUND_RATE
    track = feed(VoiceFeatures(10), voiced_sound(150 * 2 ** (time / 4))).track(0, 2)
    np.testing.assert_allclose(track.column("f0_slope")[1:-1], 12 / 4, atol=0.3)
    np.testing.assert_allclose(track.column("f0")[1:-1], 12 / 4 * (track.times[1:-1] + 0.05), atol=0.1)


def test_every_frame_of_a_glide_has_its_slope() -> None:
    time = np.arange(SOUND_RATE) / SOUND_RATE
    track = feed(VoiceFeatures(100), voiced_sound(150 * 2 ** (time / 2), snr=60)).track(0, 1)
    np.testing.assert_allclose(track.column("f0_slope")[3:-3], 12 / 2, atol=3)


def test_a_jump_is_no_glide() -> None:
    half = np.ones(SOUND_RATE // 2)
    track = feed(VoiceFeatures(20), voiced_sound(np.concatenate([110 * half, 160 * half]))).track(0, 1)
    assert np.abs(track.column("f0_slope")).max() <= 100
    assert np.ptp(track.column("f0")) > 6


def test_pitch_is_averaged_over_voiced_frames_only() -> None:
    sound = voiced_sound(np.full(2 * SOUND_RATE, 300.0))
    sound[(np.arange(len(sound)) // 3200) % 2 == 1] = 0
    track = feed(VoiceFeatures(1), sound).track(0, 2)
    assert np.all((track.column("voiced") > 0.35) & (track.column("voiced") < 0.7))
    np.testing.assert_allclose(track.column("f0"), 12, atol=0.1)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=5),
    length=st.integers(0, 30000),
    rate=st.sampled_from(RATES),
)
def test_chunks_change_nothing(sizes: list[int], length: int, rate: float) -> None:
    sound = melody(2)[:length]
    whole, parts = feed(VoiceFeatures(rate), sound, [40000]), feed(VoiceFeatures(rate), sound, sizes)
    assert whole.track(0, 9).values.tobytes() == parts.track(0, 9).values.tobytes()
    assert len(whole.track(0, 9).values) == math.ceil(length * rate / SOUND_RATE - 1e-6)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.integers(1, 2000),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
        fill=st.sampled_from([0.0, 1.0, -1.0, math.nan]),
    )
)
def test_any_sound_gives_finite_rows(sound: Floats) -> None:
    track = feed(VoiceFeatures(20), sound).track(0, 1)
    assert len(track.values) == math.ceil(len(sound) / 800)
    assert np.isfinite(track.values).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_even_value_is_silence(value: float) -> None:
    track = feed(VoiceFeatures(20), np.full(SOUND_RATE, value)).track(0.1, 0.9)
    np.testing.assert_allclose(track.column("energy"), -100, atol=0.5)
    np.testing.assert_array_equal(track.column("voiced"), 0)
    np.testing.assert_array_equal(track.column("energy_change"), 0)


def test_clipped_sound_is_measured() -> None:
    sound = np.clip(30 * melody(), -1, 1)
    track = feed(VoiceFeatures(20), sound).track(0, 3)
    assert np.isfinite(track.values).all()
    assert track.column("energy").max() <= 0.5


def test_rows_that_are_ready_stay_as_they_are() -> None:
    sound = melody()
    live = VoiceFeatures(20)
    seen: list[Floats] = []
    for place in range(0, len(sound), 1600):
        feed(live, sound[place : place + 1600], finish=False)
        done = sum(len(part) for part in seen) / 20
        assert place / SOUND_RATE - live.ready <= 0.6
        seen.append(live.track(done, live.ready).values)
        live.forget(live.ready)
    done = sum(len(part) for part in seen) / 20
    live.finish()
    assert live.ready == math.inf
    seen.append(live.track(done, 3).values)
    whole = feed(VoiceFeatures(20), sound).track(0, 3).values
    assert np.concatenate(seen).tobytes() == whole.tobytes()


def test_spans_are_cut_from_the_grid() -> None:
    voice = feed(VoiceFeatures(20), melody())
    whole, part = voice.track(0, 3), voice.track(1.02, 1.5)
    assert part.start == pytest.approx(1.05)
    np.testing.assert_array_equal(part.values, whole.part(1.02, 1.5).values)
    assert len(part.values) == 9
    assert len(voice.track(5, 9).values) == 0
    assert len(voice.track(0, voice.ready).values) == 60


def test_rows_that_are_not_ready_or_forgotten_are_refused() -> None:
    voice = feed(VoiceFeatures(20), melody(), finish=False)
    with pytest.raises(ValueError, match=r"analysed up to 2\.\d+ s, but 3.000 s was requested"):
        voice.track(0, 3)
    voice.forget(1.5)
    with pytest.raises(ValueError, match="forgotten"):
        voice.track(1, 2)
    assert len(voice.track(1.5, 2).values) == 10


def test_memory_does_not_grow() -> None:
    voice, chunk = VoiceFeatures(20), melody(1)
    kept = []
    for _ in range(20):
        feed(voice, chunk, [SOUND_RATE], finish=False)
        voice.forget(voice.ready)
        kept.append(len(voice._rows._pieces) + len(voice._means._values) + len(voice._blocks._sound))
    assert max(kept[10:]) <= max(kept[:10])


def test_a_recording_without_sound_is_refused() -> None:
    with pytest.raises(MediaError, match="no sound"):
        VoiceFeatures(20).feed(Chunk(0, 1, None, None))


def test_settings_choose_the_analyser() -> None:
    chosen = voice_analyser(VoiceSettings(rate=25))
    assert isinstance(chosen, VoiceFeatures)
    assert chosen.columns == COLUMNS
    assert feed(chosen, melody(1)).track(0, 1).rate == 25


def test_egemaps_without_its_package_names_command_and_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    from selfmm.features.voice import egemaps

    egemaps._smile.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"research only.*pip install opensmile"):
        voice_analyser(VoiceSettings(features="egemaps"))


def test_egemaps_in_blocks_are_those_of_the_whole() -> None:
    opensmile = pytest.importorskip("opensmile")
    sound = melody(13)
    voice = feed(voice_analyser(VoiceSettings(features="egemaps", rate=10)), sound, [12345, 1])
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    frames = smile.process_signal(sound, SOUND_RATE).to_numpy()
    track = voice.track(0, 13)
    assert (track.columns, len(track.values)) == (tuple(smile.feature_names), 130)
    for row in range(1, 128):  # a frame has its middle .01 s after its beginning
        expected = frames[10 * row - 1 : 10 * row + 9].mean(axis=0)
        np.testing.assert_allclose(track.values[row], expected, rtol=1e-3, atol=1e-3)
