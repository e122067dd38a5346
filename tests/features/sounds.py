"""Sounds with known properties, and feeding them to analysers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from selfmm.features.streams import SOUND_RATE, Chunk, Floats


class Analyser(Protocol):
    def feed(self, chunk: Chunk) -> None: ...

    def finish(self) -> None: ...


A = TypeVar("A", bound=Analyser)


def feed(analyser: A, sound: npt.NDArray[np.floating], sizes: Sequence[int] = (1600,), *, finish: bool = True) -> A:
    """Feeds the sound in pieces of these sizes, over and over."""
    place, turn = 0, 0
    while place < len(sound):
        piece = sound[place : place + sizes[turn % len(sizes)]].astype(np.float32)
        analyser.feed(Chunk(place / SOUND_RATE, (place + len(piece)) / SOUND_RATE, piece, None))
        place, turn = place + len(piece), turn + 1
    if finish:
        analyser.finish()
    return analyser


def voiced_sound(
    pitch: npt.NDArray[np.floating],
    *,
    snr: float = 40,
    fundamental: float = 1.0,
    formants: Sequence[tuple[float, float]] = ((600, 100), (1200, 120), (2600, 180)),
    level: float = 0.1,
    seed: int = 0,
) -> Floats:
    """A vowel: harmonics that fall off by 6 dB per octave under formants, in white noise.

    Args:
        pitch: (n,) Hz at each sample.
        snr: dB.
        fundamental: factor of the first harmonic.
        formants: Hz of the middle, and width.
        level: root mean square of the harmonics.
    """
    phase = 2 * np.pi * np.cumsum(pitch) / SOUND_RATE
    sound = np.zeros(len(pitch))
    for number in range(1, int(7500 / pitch.min()) + 1):
        frequency = number * pitch
        resonances = [1 / (1 + ((frequency - middle) / width) ** 2) for middle, width in formants]
        gain = (fundamental if number == 1 else 1) / number * (frequency < 7500)
        sound += gain * (0.05 + np.sum(resonances, axis=0)) * np.cos(number * phase + 0.3 * number)
    sound *= level / np.sqrt(np.mean(sound**2))
    noise = np.random.default_rng(seed).standard_normal(len(pitch))
    return (sound + level * 10 ** (-snr / 20) * noise).astype(np.float32)
