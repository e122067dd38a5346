"""Pitch: planted truth is found, noise has none, and what is decided stays so."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from features.sounds import voiced_sound
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.voice.pitch import FRAME, HOP, Pitch, PitchTracker

SECONDS = np.arange(2 * SOUND_RATE) / SOUND_RATE
VOICES = {"low": 70.0, "man": 90.0, "woman": 220.0, "child": 350.0, "high": 450.0}


def follow(sound: npt.NDArray[np.floating], block: int = 25) -> Pitch:
    """Pitch of the whole sound; frame k has its middle at (k + .5) * HOP."""
    count = -(-len(sound) // HOP)
    margin = (FRAME - HOP) // 2
    padded = np.pad(sound.astype(np.float32), (margin, FRAME + block * HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    tracker = PitchTracker()
    found = [tracker.feed(frames[first : first + block]) for first in range(0, count, block)]
    assert found[0] is None
    parts = [part for part in [*found, tracker.finish()] if part is not None]
    frequency = np.concatenate([part.frequency for part in parts])[:count]
    return Pitch(frequency, np.concatenate([part.strength for part in parts])[:count])


def errors(sound: Floats, truth: npt.NDArray[np.floating]) -> tuple[float, float, float]:
    """Share of frames that are not voiced, share of the voiced that are off by more than 20 %, median cents."""
    found = follow(sound)
    at_frames = truth[HOP // 2 :: HOP][: len(found.frequency)]
    ratio = found.frequency[found.voiced] / at_frames[found.voiced]
    cents = 1200 * np.abs(np.log2(ratio))
    return float(1 - found.voiced.mean()), float((np.abs(ratio - 1) > 0.2).mean()), float(np.median(cents))


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("snr", [40, 10, 5])
def test_even_pitch_is_found_in_noise(voice: str, snr: float) -> None:
    truth = np.full(len(SECONDS), VOICES[voice])
    unvoiced, gross, cents = errors(voiced_sound(truth, snr=snr), truth)
    assert unvoiced <= 0.01
    assert gross == 0
    assert cents < 5


@pytest.mark.parametrize("voice", VOICES)
def test_a_weak_fundamental_is_no_trap(voice: str) -> None:
    truth = np.full(len(SECONDS), VOICES[voice])
    unvoiced, gross, cents = errors(voiced_sound(truth, fundamental=0.02, snr=30), truth)
    assert (unvoiced, gross) == (0, 0)
    assert cents < 5


@pytest.mark.parametrize("voice", VOICES)
def test_a_strong_second_harmonic_is_no_trap(voice: str) -> None:
    truth = np.full(len(SECONDS), VOICES[voice])
    unvoiced, gross, cents = errors(voiced_sound(truth, formants=[(2 * VOICES[voice], 40)]), truth)
    assert (unvoiced, gross) == (0, 0)
    assert cents < 5


@pytest.mark.parametrize("voice", ["man", "woman", "child"])
def test_vibrato_and_glides_are_followed(voice: str) -> None:
    vibrato = VOICES[voice] * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.5 * SECONDS))
    glide = VOICES[voice] * 2 ** (0.4 * np.sin(2 * np.pi * 1.5 * SECONDS))
    for truth in (vibrato, glide):
        unvoiced, gross, cents = errors(voiced_sound(truth, snr=30), truth)
        assert unvoiced <= 0.01
        assert gross == 0
        assert cents < 10


@pytest.mark.parametrize("level", [0.3, 0.01, 0.001])
def test_noise_has_no_pitch(level: float) -> None:
    rng = np.random.default_rng(1)
    white = rng.standard_normal(5 * SOUND_RATE)
    spectrum = np.fft.rfft(white)
    frequency = np.fft.rfftfreq(len(white), 1 / SOUND_RATE)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 20)))
    hiss = np.fft.irfft(spectrum * (frequency > 3000))
    for noise in (white, pink, hiss):
        found = follow(level * noise / noise.std())
        assert found.voiced.mean() < 0.005
        assert found.strength.mean() < 0.35


def test_a_faint_hum_under_a_hiss_is_no_voice() -> None:
    hum = voiced_sound(np.full(len(SECONDS), 120.0), level=0.01)
    spectrum = np.fft.rfft(np.random.default_rng(4).standard_normal(len(SECONDS)))
    hiss = np.fft.irfft(spectrum * (np.fft.rfftfreq(len(SECONDS), 1 / SOUND_RATE) > 3000))
    assert follow(hum).voiced.all()
    assert not follow(hum + 0.1 * hiss / hiss.std()).voiced.any()


@pytest.mark.parametrize("value", [0.0, 0.5, -1.0])
def test_silence_has_no_pitch(value: float) -> None:
    found = follow(np.full(SOUND_RATE, value))
    assert not found.voiced.any()
    # Not at the edges, where the value begins and ends.
    assert found.strength[3:-3].max() < 0.05


def test_voicing_follows_a_voice_that_comes_and_goes() -> None:
    truth = np.full(4 * SOUND_RATE, 130.0)
    speaks = np.arange(len(truth)) // (SOUND_RATE // 4) % 2 == 0
    noise = 0.02 * np.random.default_rng(2).standard_normal(len(truth))
    sound = voiced_sound(truth) * speaks + noise * ~speaks
    found = follow(sound)
    at_frames = speaks[HOP // 2 :: HOP]
    # A frame is five hops long, so two at each of the 15 edges may go either way.
    assert (found.voiced != at_frames).sum() <= 30
    both = found.voiced & at_frames
    assert both.sum() > 0.9 * at_frames.sum()
    assert np.abs(found.frequency[both] / 130 - 1).max() < 0.2


def test_loudness_and_offset_change_nothing() -> None:
    truth = 180 * 2 ** (0.2 * np.sin(2 * np.pi * 2 * SECONDS))
    sound = voiced_sound(truth)
    usual = follow(sound)
    for other in (follow(0.05 * sound), follow(sound + 0.4)):
        inside = slice(3, -3)  # at the edges the offset is a step
        np.testing.assert_allclose(other.frequency[inside], usual.frequency[inside], rtol=1e-3)
        np.testing.assert_allclose(other.strength[inside], usual.strength[inside], atol=0.02)


def test_noise_lowers_the_strength() -> None:
    truth = np.full(SOUND_RATE, 150.0)
    strengths = [float(follow(voiced_sound(truth, snr=snr)).strength[10:-10].mean()) for snr in (40, 10, 3, -6)]
    assert strengths[0] > 0.95
    assert strengths[-1] < 0.7
    assert all(more > less for more, less in pairwise(strengths))


def test_the_path_prefers_what_goes_on() -> None:
    # Half a period is as good as a whole one within the gap: only what lies around it tells.
    truth = np.full(SOUND_RATE, 110.0)
    sound = voiced_sound(truth, snr=30)
    gap = slice(SOUND_RATE // 2, SOUND_RATE // 2 + 640)
    sound[gap] = voiced_sound(np.full(640, 220.0), snr=30)
    found = follow(sound)
    assert found.voiced.all()
    assert np.abs(found.frequency / 110 - 1).max() < 0.2


def test_a_block_is_decided_with_the_next_one_and_no_further() -> None:
    rng = np.random.default_rng(3)
    frames = rng.standard_normal((75, FRAME)).astype(np.float32)
    one, other = PitchTracker(), PitchTracker()
    assert one.feed(frames[:25]) is None
    assert other.feed(frames[:25]) is None
    mine, theirs = one.feed(frames[25:50]), other.feed(frames[25:50])
    one.feed(frames[50:])
    assert mine is not None
    assert theirs is not None
    np.testing.assert_array_equal(mine.frequency, theirs.frequency)
    assert len(mine.frequency) == 25
    assert PitchTracker().finish() is None


def test_looking_ahead_a_quarter_of_a_second_is_as_good_as_hearing_it_all() -> None:
    rng = np.random.default_rng(0)
    level = np.repeat(rng.uniform(0, 1, 100), SOUND_RATE // 10)  # sinks into the noise and comes back
    truth = 160 * 2 ** (0.2 * np.sin(np.arange(len(level)) / SOUND_RATE))
    sound = voiced_sound(truth) * level + 0.05 * rng.standard_normal(len(level))
    piecewise, whole = follow(sound), follow(sound, block=1000)
    assert 0.3 < whole.voiced.mean() < 0.95
    np.testing.assert_array_equal(piecewise.frequency, whole.frequency)
