"""The pitch to look at: that of the planted voice, at its time, however the sound comes in."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sounds import feed, voiced_sound
from selfmm.features.streams import SOUND_RATE
from selfmm.features.voice.pitch_track import PitchTrack


def test_a_planted_voice_and_silence() -> None:
    glide = np.linspace(120, 240, SOUND_RATE)
    sound = np.concatenate([voiced_sound(glide), np.zeros(SOUND_RATE // 2 + 70)])
    track = feed(PitchTrack(), sound).track(0, 5)
    pitch = track.column("pitch")
    assert (track.rate, len(track)) == (100, 151)
    truth = glide[80::160]
    np.testing.assert_allclose(pitch[5:95], truth[5:95], rtol=0.02)
    assert np.isnan(pitch[105:]).all()


@settings(max_examples=10)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=5))
def test_it_does_not_depend_on_the_chunks(sizes: list[int]) -> None:
    sound = voiced_sound(np.full(SOUND_RATE, 180.0))
    whole, parts = feed(PitchTrack(), sound, [SOUND_RATE]), feed(PitchTrack(), sound, sizes)
    np.testing.assert_array_equal(whole.track(0, 1).values, parts.track(0, 1).values)
