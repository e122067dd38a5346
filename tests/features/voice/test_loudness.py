"""The level of a sound against what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sounds import feed
from selfmm.core.errors import MediaError
from selfmm.features.streams import SOUND_RATE, Chunk
from selfmm.features.voice.loudness import FLOOR, SoundLevel

SECOND = np.arange(SOUND_RATE) / SOUND_RATE


def test_the_level_of_a_sine_is_that_of_theory() -> None:
    level = feed(SoundLevel(), 0.5 * np.sin(2 * np.pi * 440 * SECOND))
    figures = level.figures(0, 1)
    assert figures.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1e-3)
    assert (figures.seconds, figures.clipped, figures.silent) == (1.0, 0.0, 0.0)


def test_clipped_samples_are_counted_where_they_are() -> None:
    sound = np.full(2 * SOUND_RATE, 0.3)
    sound[SOUND_RATE : SOUND_RATE + 1600] = 1.0
    sound[SOUND_RATE + 1600 : SOUND_RATE + 3200] = -1.7
    level = feed(SoundLevel(), sound)
    assert level.figures(0, 1).clipped == 0
    assert level.figures(1, 2).clipped == pytest.approx(0.2)
    assert level.figures(0, 2).clipped == pytest.approx(0.1)
    assert level.figures(1, 1.1).level == 0


def test_digital_silence_is_told_from_a_quiet_room() -> None:
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(SOUND_RATE)
    level = feed(SoundLevel(), np.concatenate([np.zeros(SOUND_RATE), quiet]))
    assert level.figures(0, 1).silent == 1
    assert level.figures(0, 1).level == FLOOR
    assert level.figures(1, 2).silent == 0
    assert level.figures(1, 2).level == pytest.approx(-80, abs=0.3)
    assert level.figures(0.5, 1.5).silent == pytest.approx(0.5)


def test_nothing_at_all_is_silent() -> None:
    figures = feed(SoundLevel(), np.zeros(0)).figures(0, 5)
    assert (figures.seconds, figures.level, figures.clipped, figures.silent) == (0, FLOOR, 0, 1)


def test_a_begun_cell_counts_by_its_samples() -> None:
    figures = feed(SoundLevel(), np.full(1003, 0.1)).figures(0, 1)
    assert figures.seconds == 1003 / SOUND_RATE
    assert figures.level == pytest.approx(-20, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5), st.integers(0, 20000))
def test_pieces_change_nothing(sizes: list[int], length: int) -> None:
    sound = np.clip(np.random.default_rng(length).standard_normal(length), -1, 1)
    whole, parts = feed(SoundLevel(), sound, [20000]), feed(SoundLevel(), sound, sizes)
    assert whole.figures(0, 2) == parts.figures(0, 2)


def test_spans_must_be_ready_and_not_forgotten() -> None:
    level = feed(SoundLevel(), np.zeros(SOUND_RATE), finish=False)
    assert level.ready == 1
    with pytest.raises(ValueError, match=r"analysed up to 1\.000 s, but 1\.500"):
        level.figures(0, 1.5)
    level.forget(0.55)
    assert level.figures(0.55, 1).silent == 1
    with pytest.raises(ValueError, match="forgotten"):
        level.figures(0.1, 1)


def test_a_chunk_without_sound_is_refused() -> None:
    with pytest.raises(MediaError, match="no sound"):
        SoundLevel().feed(Chunk(0, 1, None, ()))


@pytest.mark.parametrize("offset", [0.0, 0.4, -0.2])
def test_a_constant_offset_is_not_heard(offset: float) -> None:
    sine = 0.1 * np.sin(2 * np.pi * 440 * SECOND)
    figures = feed(SoundLevel(), sine + offset).figures(0, 1)
    assert figures.offset == pytest.approx(offset, abs=1e-6)
    assert figures.heard == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=1e-2)
    assert feed(SoundLevel(), np.full(SOUND_RATE, offset)).figures(0, 1).heard < -70
