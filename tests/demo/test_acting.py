from __future__ import annotations

import numpy as np
import pytest

from selfmm.demo.acting import mouth_opening, perform
from selfmm.features.streams import SOUND_RATE, Floats

TIMES = np.arange(0, 12, 0.08)


def _pulses() -> Floats:
    """A hum that is on in every other second."""
    time = np.arange(12 * SOUND_RATE) / SOUND_RATE
    hum = 0.2 * np.sin(2 * np.pi * 150 * time) * (time.astype(int) % 2)
    pulses: Floats = hum.astype(np.float32)
    return pulses


def test_the_mouth_is_open_while_there_is_sound() -> None:
    jaw = mouth_opening(_pulses(), TIMES)
    on = (TIMES + 0.02).astype(int) % 2 == 1
    assert jaw[on].min() > 0.5
    assert jaw[~on & (TIMES % 1 < 0.9)].max() == 0
    assert jaw.max() <= 0.7


@pytest.mark.parametrize("length", [0, 100, SOUND_RATE])
def test_silence_and_sound_that_ends_early_keep_it_shut(length: int) -> None:
    assert not mouth_opening(np.zeros(length, dtype=np.float32), TIMES).any()


def test_the_mood_shows_in_every_part_of_the_face() -> None:
    sad, happy = (perform(mood, _pulses(), TIMES, np.random.default_rng(0)) for mood in (-1, 1))
    for name in ("smile", "brows", "eyes"):
        assert np.mean([getattr(e, name) for e in happy]) > np.mean([getattr(e, name) for e in sad]) + 0.1
    assert np.mean([e.nod for e in sad]) > 0.4, "the head is down"
    assert np.std([e.nod for e in happy]) > 2 * np.std([e.nod for e in sad]), "it nods"
    assert [e.jaw for e in sad] == [e.jaw for e in happy]


def test_eyes_blink_briefly() -> None:
    for seed in range(5):
        eyes = np.array([e.eyes for e in perform(0, _pulses(), TIMES, np.random.default_rng(seed))])
        shut = eyes < 0.6
        assert 0.02 < shut.mean() < 0.2


def test_values_stay_in_their_ranges() -> None:
    for mood in (-1.0, 0.3, 1.0):
        for e in perform(mood, _pulses(), TIMES, np.random.default_rng(1)):
            assert max(abs(e.smile), abs(e.brows), abs(e.turn), abs(e.nod)) <= 1
            assert 0 <= e.eyes <= 1
            assert 0 <= e.jaw <= 1


def test_no_times_no_expressions() -> None:
    assert perform(0.5, _pulses(), np.zeros(0), np.random.default_rng(0)) == []
