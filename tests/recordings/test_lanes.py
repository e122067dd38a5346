"""Lanes: what was planted is at its time, spans fit together, and thinning keeps every peak."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.sounds import feed, voiced_sound
from selfmm.features.analysis import Features, Signals
from selfmm.features.face.landmarks import COLUMNS
from selfmm.features.streams import SOUND_RATE, Floats, Track, Transcript
from selfmm.features.voice.loudness import SoundLevel
from selfmm.features.voice.pitch_track import PitchTrack
from selfmm.recordings.lanes import FACE, NAMES, STEP, VOICE, Lanes, lanes_of, merged

BOX = ("left", "top", "right", "bottom")


def features_of(signals: Signals | None, start: float, end: float, vision: Track | None = None) -> Features:
    tracks = {} if vision is None else {"vision": vision}
    return Features(start, end, Transcript(""), tracks, None, None, None, signals)


def lane(lanes: Lanes | None, name: str) -> Floats:
    assert lanes is not None
    values = lanes.values[name]
    assert values is not None
    return values


def lanes_with(**values: Any) -> Lanes:
    given_ = {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}
    return Lanes(0.0, STEP, {**dict.fromkeys(NAMES), **given_}, {})


def voice_signals(sound: npt.NDArray[np.floating], speech: list[float], start: float, end: float) -> Signals:
    probability = Track(("speech",), np.array(speech, dtype=np.float32)[:, None], SOUND_RATE / 512)
    return Signals(
        level=feed(SoundLevel(), sound).track(start, end),
        speech=probability.part(start, end),
        pitch=feed(PitchTrack(), sound).track(start, end),
        face=None,
    )


def test_a_planted_tone_has_its_level_and_its_pitch_at_its_time() -> None:
    """Half a second of silence, a vowel of -20 dBFS at 200 Hz for a second, then a tenth of its level."""
    voice = voiced_sound(np.full(2 * SOUND_RATE, 200.0), snr=60, level=0.1)
    voice[SOUND_RATE:] *= 0.1
    sound = np.concatenate([np.zeros(SOUND_RATE // 2), voice])
    speech = [float(0.5 <= (row + 0.5) * 0.032 < 1.5) for row in range(79)]
    lanes = lanes_of(features_of(voice_signals(sound, speech, 0.0, 2.5), 0.0, 2.5))
    assert lanes is not None
    assert (lanes.start, lanes.step, len(lanes)) == (0.0, STEP, 50)
    energy, pitch, spoken = (lane(lanes, name) for name in VOICE)
    times = lanes.times
    np.testing.assert_array_equal(energy[times < 0.45], -100)
    np.testing.assert_allclose(energy[(times > 0.55) & (times < 1.4)], -20, atol=1)
    np.testing.assert_allclose(energy[times > 1.55], -40, atol=1)
    np.testing.assert_allclose(pitch[(times > 0.6) & (times < 2.4)], 200, rtol=0.01)
    assert np.isnan(pitch[times < 0.4]).all()
    np.testing.assert_array_equal(spoken, [0.0] * 10 + [1.0] * 20 + [0.0] * 20)
    assert set(lanes.missing) == set(FACE)
    assert all(lanes.values[name] is None for name in FACE)


def test_the_energy_is_the_mean_power_of_its_twentieth_of_a_second() -> None:
    noise = np.random.default_rng(3).normal(size=SOUND_RATE).astype(np.float32) * 0.05
    got = lane(lanes_of(features_of(voice_signals(noise, [0.0] * 32, 0.0, 1.0), 0.0, 1.0)), "energy")
    powers = np.square(noise.astype(np.float64)).reshape(20, -1).mean(axis=1)
    np.testing.assert_allclose(got, 10 * np.log10(powers), atol=1e-4)


def test_a_face_and_its_box() -> None:
    rows = np.full((10, 63), np.nan, dtype=np.float32)
    rows[2:6] = 0.0
    rows[2:6, COLUMNS.index("mouthSmileLeft")], rows[2:6, COLUMNS.index("mouthSmileRight")] = 0.4, 0.8
    rows[2:6, COLUMNS.index("browDownLeft")] = 0.5
    box = np.full((10, 4), np.nan, dtype=np.float32)
    box[2:6] = [0.1, 0.2, 0.5, 0.7]
    signals = Signals(None, None, None, Track(BOX, box, 10.0))
    lanes = lanes_of(features_of(signals, 0.0, 1.0, Track(COLUMNS, rows, 10.0)))
    here = [False] * 4 + [True] * 8 + [False] * 8
    for name, expected in {"smile": 0.6, "brow": 0.25, "left": 0.1, "top": 0.2, "right": 0.5, "bottom": 0.7}.items():
        got = lane(lanes, name)
        np.testing.assert_array_equal(np.isfinite(got), here)
        np.testing.assert_allclose(got[here], expected, rtol=1e-6)
    np.testing.assert_array_equal(lane(lanes, "face"), np.array(here, dtype=np.float32))
    assert lanes is not None
    assert lanes.missing == dict.fromkeys(VOICE, "the recording has no sound")


def test_a_face_that_an_encoder_describes_has_no_smile_but_a_place() -> None:
    box = Track(BOX, np.full((10, 4), 0.5, dtype=np.float32), 10.0)
    hidden = Track(("hidden_1",), np.zeros((10, 1), dtype=np.float32), 10.0)
    lanes = lanes_of(features_of(Signals(None, None, None, box), 0.0, 1.0, hidden))
    assert lanes is not None
    assert lanes.values["smile"] is None
    assert "encoder" in lanes.missing["smile"]
    assert (lane(lanes, "face") == 1).all()


def test_pictures_without_any_face() -> None:
    box = Track(BOX, np.full((10, 4), np.nan, dtype=np.float32), 10.0)
    lanes = lanes_of(features_of(Signals(None, None, None, box), 0.0, 1.0))
    assert (lane(lanes, "face") == 0).all()
    assert np.isnan(lane(lanes, "smile")).all()


def test_without_signals_there_are_no_lanes() -> None:
    assert lanes_of(features_of(None, 0.0, 1.0)) is None
    assert merged([]) is None


lane_values = arrays.arrays(
    np.float32,
    st.integers(0, 300),
    elements=st.one_of(st.just(float("nan")), st.floats(-100, 400, width=32)),
)


@given(lane_values, st.integers(2, 60))
def test_thinning_keeps_the_extremes_and_the_length_and_the_place(values: Floats, points: int) -> None:
    lanes = lanes_with(energy=values)
    thin = lanes.thinned(points)
    got = lane(thin, "energy")
    assert len(thin) <= max(points, 0)
    if len(values) <= points:
        np.testing.assert_array_equal(got, values)
        return
    assert len(values) * STEP <= len(thin) * thin.step + 1e-9 < len(values) * STEP + 2 * thin.step
    known = values[np.isfinite(values)]
    assert np.isfinite(got).any() == bool(len(known))
    if len(known):
        assert np.nanmin(got) == known.min()
        assert np.nanmax(got) == known.max()
    group = round(2 * thin.step / STEP)
    for place, value in enumerate(got):
        source = values[place // 2 * group : (place // 2 + 1) * group]
        assert value in source[np.isfinite(source)] or (np.isnan(value) and np.isnan(source).all())


def test_a_thinned_box_is_one_that_was_measured() -> None:
    box = np.arange(40, dtype=np.float32)
    thin = lanes_with(**{name: box + place for place, name in enumerate(BOX)}).thinned(8)
    left = lane(thin, "left")
    for place, name in enumerate(BOX):
        np.testing.assert_array_equal(lane(thin, name), left + place)
    with pytest.raises(ValueError, match="2 points or more"):
        thin.thinned(1)


@given(lane_values, st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80)), max_size=8))
def test_overlapping_parts_make_the_whole_again(values: Floats, cuts: list[tuple[int, int]]) -> None:
    whole = lanes_with(energy=values)
    spans = [(first, min(first + length, len(values))) for first, length in cuts if first < len(values)]
    parts = [
        replace(whole, start=first * STEP, values={**whole.values, "energy": values[first:last]})
        for first, last in spans
    ]
    together = merged(parts)
    if not spans:
        assert together is None
        return
    assert together is not None
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    covered = np.zeros(len(values), dtype=bool)
    for a, b in spans:
        covered[a:b] = True
    expected = np.where(covered, values, np.nan)[first:last]
    assert together.start == pytest.approx(first * STEP)
    np.testing.assert_array_equal(lane(together, "energy"), expected)
    assert together.values["pitch"] is None


def test_a_later_span_counts_where_it_has_a_value() -> None:
    early = lanes_with(energy=[1, 1, 1, 1], pitch=[100, 100, 100, 100])
    late = replace(lanes_with(energy=[2, np.nan, 2]), start=2 * STEP, missing={"pitch": "none"})
    together = merged([early, late])
    np.testing.assert_array_equal(lane(together, "energy"), [1, 1, 2, 1, 2])
    np.testing.assert_array_equal(lane(together, "pitch")[:4], 100)
    assert together is not None
    assert together.missing == {}
    with pytest.raises(ValueError, match="different steps"):
        merged([early, replace(late, step=0.1)])


@given(lane_values)
def test_json_has_four_digits_and_no_nan(values: Floats) -> None:
    content = json.loads(json.dumps(replace(lanes_with(pitch=values), missing={"smile": "no"}).to_json()))
    assert list(content["lanes"]) == ["pitch"]
    assert content["missing"] == {"smile": "no"}
    for got, value in zip(content["lanes"]["pitch"], values.tolist(), strict=True):
        assert (got is None) == math.isnan(value)
        assert got is None or got == pytest.approx(value, rel=1e-3)
