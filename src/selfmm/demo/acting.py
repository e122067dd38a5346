"""Choose the expressions of a speaker's face."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfmm.demo.drawn_face import Expression
from selfmm.features.streams import SOUND_RATE, Floats

_WINDOW = 0.04  # seconds of sound that determine the opening of the mouth
_BLINK = 0.16  # seconds
_BETWEEN_BLINKS = (1.5, 4.0)  # seconds


def perform(mood: float, sound: Floats, times: npt.NDArray[np.float64], rng: np.random.Generator) -> list[Expression]:
    """Return the expression at each of ``times``.

    Args:
        mood: -1 (frown, lowered brows, narrow eyes, head down) to 1 (smile, raised brows, open eyes, nodding).
        sound: (n,) at ``SOUND_RATE``; the louder it is, the wider the mouth opens.
        times: (t,) seconds, increasing.
    """
    jaw = mouth_opening(sound, times)
    wave, slow = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.25, 0.5, 2)
    glad, sorry = max(mood, 0), max(-mood, 0)
    smile = np.clip(mood + 0.08 * np.sin(2 * np.pi * slow[0] * times + wave[0]), -1, 1)
    # Speakers stress words with their brows in any mood.
    brows = np.clip(0.75 * mood + 0.25 * (jaw - 0.3), -1, 1)
    nod = 0.55 * sorry + (0.08 + 0.35 * glad) * np.sin(2 * np.pi * (1.1 + 0.5 * glad) * times + wave[1])
    turn = (0.25 + 0.15 * sorry) * np.sin(2 * np.pi * slow[1] * times + wave[2])
    eyes = (0.7 + 0.12 * mood) * _open(times, rng)
    columns = zip(smile, brows, eyes, jaw, turn, nod, strict=True)
    return [Expression(*map(float, values)) for values in columns]


def mouth_opening(sound: Floats, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how wide the mouth is at each of ``times``, (t,), 0 to .7, relative to the loudest moment."""
    power = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    first, last = (np.clip(((times + shift) * SOUND_RATE).astype(int), 0, len(sound)) for shift in (0, _WINDOW))
    loudness = np.sqrt((power[last] - power[first]) / np.maximum(last - first, 1))
    peak = max(float(loudness.max(initial=0)), 1e-6)
    opening: npt.NDArray[np.float64] = 0.7 * np.clip(loudness / peak - 0.03, 0, 1) ** 0.8
    return opening


def _open(times: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return (t,): 1 while the eyes are open, down to 0 in a blink."""
    lids = np.ones(len(times))
    blink = rng.uniform(0.3, _BETWEEN_BLINKS[1])
    while times.size and blink < times[-1]:
        lids = np.minimum(lids, np.abs(times - blink) / (_BLINK / 2))
        blink += rng.uniform(*_BETWEEN_BLINKS)
    return lids
