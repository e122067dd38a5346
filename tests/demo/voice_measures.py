"""Simple measures of a voice, apart from those that selfmm extracts."""

from __future__ import annotations

import numpy as np

from selfmm.features.streams import SOUND_RATE, Floats

_WINDOW, _STEP = 640, 320  # samples: 40 ms, every 20 ms


def level(sound: Floats) -> float:
    """Root mean square in decibels."""
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64))))


def pitches(sound: Floats) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Hz of every clearly voiced window, by autocorrelation between 75 and 400 Hz."""
    found = []
    taper = np.hanning(_WINDOW)
    lags = np.arange(SOUND_RATE // 400, SOUND_RATE // 75)
    fading = np.correlate(taper, taper, "full")[_WINDOW - 1 + lags] / np.sum(taper**2)
    dull = np.convolve(sound, np.full(20, 1 / 20), mode="same")  # without the formants, that would pass for a pitch
    for start in range(0, len(sound) - _WINDOW, _STEP):
        window = dull[start : start + _WINDOW] * taper
        if np.sqrt(np.mean(window**2)) < 0.003:
            continue
        likeness = np.correlate(window, window, "full")[_WINDOW - 1 + lags] / fading
        if likeness.max() > 0.5 * np.sum(window**2):
            # Two periods look as much alike as one: the first peak that is nearly the highest.
            peaks = (likeness[1:-1] >= likeness[:-2]) & (likeness[1:-1] >= likeness[2:])
            high = np.flatnonzero(peaks & (likeness[1:-1] > 0.9 * likeness.max()))
            found += [SOUND_RATE / lags[1 + high[0]]] if high.size else []
    return np.array(found)


def semitones(sound: Floats, reference: float) -> float:
    """Of the median pitch above ``reference`` Hz."""
    return float(12 * np.log2(np.median(pitches(sound)) / reference))
