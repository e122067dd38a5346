"""Measure the fundamental frequency of a voice, frame by frame.

The candidates are peaks of the autocorrelation divided by that of the window, and dynamic programming finds the best
path through them: Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound", 1993. Three things differ: only the low band, where voices have their harmonics, is correlated;
sound above this band counts against a voice; and the path is decided with a fixed look-ahead, for sound of any length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.features.streams import SOUND_RATE, Floats

LOWEST, HIGHEST = 60.0, 500.0
"""Range of pitches in Hz."""

HOP = SOUND_RATE // 100
"""Samples from frame to frame."""

FRAME = 5 * HOP
"""Samples of a frame: three periods of the lowest pitch."""

_FFT = 1024  # less than FRAME and the longest period, but only the ends of the window wrap around, which are near 0
_LAG_RATE = SOUND_RATE // 2  # half the rate is enough: the low band ends far below
_LAGS = np.arange(int(_LAG_RATE / HIGHEST), int(_LAG_RATE / LOWEST) + 1)
_LAG_OCTAVES = np.log2(_LAGS[-1] / _LAGS)  # above the lowest pitch
_CANDIDATES = 6

# Costs in units of the autocorrelation, 0 to 1.
_VOICING = 0.5  # score of being unvoiced
_OCTAVE = 0.02  # per octave towards low pitches, because two periods are as periodic as one
_JUMP = 0.35  # per octave between frames
_SWITCH = 0.14  # between voiced and unvoiced
_HIGH_BAND = 0.15  # how much sound above the low band counts against a voice
_FLOOR = 1e-8  # power (-80 dBFS) below which there is no voice
_ABSENT = -1e3  # score of a missing candidate


@dataclass(frozen=True)
class Pitch:
    """Pitch of n frames.

    Attributes:
        frequency: (n,) Hz; 0 in unvoiced frames.
        strength: (n,) periodicity at the best period, 0 to 1, also in unvoiced frames.
    """

    frequency: Floats
    strength: Floats

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each frame is voiced."""
        return self.frequency > 0


@dataclass(frozen=True)
class _Candidates:
    # (n, 1 + K): first "unvoiced", then K pitches in octaves above 1 Hz.
    octaves: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    strength: Floats  # (n,)


class PitchTracker:
    """Follows the pitch through blocks of frames. A block is decided when the next one arrives.

    The blocks must not depend on how the sound was cut into chunks. Blocks of 25 frames look ahead by .25 s.
    """

    def __init__(self) -> None:
        self._waiting: _Candidates | None = None
        self._totals: npt.NDArray[np.float64] | None = None  # scores of the best paths to the last decided frame
        self._last: npt.NDArray[np.float64] | None = None  # octaves of its candidates

    def feed(self, frames: Floats) -> Pitch | None:
        """Take (n, ``FRAME``) frames, ``HOP`` apart. Return the pitch of the previous ones; None the first time."""
        before, self._waiting = self._waiting, _candidates(frames)
        return self._decide(before, self._waiting) if before else None

    def finish(self) -> Pitch | None:
        """Return the pitch of the last frames; None if there were no frames."""
        before, self._waiting = self._waiting, None
        return self._decide(before, None) if before else None

    def _decide(self, block: _Candidates, ahead: _Candidates | None) -> Pitch:
        count = len(block.scores)
        octaves, scores = block.octaves, block.scores
        if ahead:
            octaves, scores = np.concatenate([octaves, ahead.octaves]), np.concatenate([scores, ahead.scores])
        if self._last is None or self._totals is None:
            self._last, self._totals = octaves[0], np.zeros(octaves.shape[1])
        costs = _transitions(np.concatenate([self._last[None], octaves]))
        totals, origins = self._totals, np.empty(scores.shape, dtype=np.intp)
        for time in range(len(scores)):
            ways = totals[:, None] - costs[time]
            origins[time] = ways.argmax(axis=0)
            totals = ways.max(axis=0) + scores[time]
            if time == count - 1:
                # Relative to the best, because the sums of an hour would lose precision.
                self._totals, self._last = totals - totals.max(), octaves[time]
        state = int(totals.argmax())
        path = np.empty(len(scores), dtype=np.intp)
        for time in reversed(range(len(scores))):
            path[time] = state
            state = int(origins[time, state])
        chosen = path[:count]
        frequency = np.where(chosen > 0, 2 ** block.octaves[np.arange(count), chosen], 0)
        return Pitch(frequency.astype(np.float32), block.strength)


def _transitions(octaves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # (n, 1 + K) -> (n - 1, 1 + K, 1 + K): cost of each step from a candidate to one in the next frame.
    costs = _JUMP * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    costs[:, 0, :] = costs[:, :, 0] = _SWITCH
    costs[:, 0, 0] = 0
    return costs


def _candidates(frames: Floats) -> _Candidates:
    correlation, share = _autocorrelation(frames)
    left, middle, right = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    peak = (middle > left) & (middle >= right) & (middle > 0)
    # A parabola through a peak and its neighbours has its top between the lags.
    slope = left - right
    shift = np.where(peak, slope / np.where(peak, left - 2 * middle + right, -1) / 2, 0)
    strength = np.where(peak, np.clip(middle - slope * shift / 4, 0, 1) * share[:, None], 0)
    scores = np.where(peak, strength + _OCTAVE * _LAG_OCTAVES, _ABSENT)
    best = np.argpartition(-scores, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    octaves = np.log2(_LAG_RATE / (_LAGS[best] + np.take_along_axis(shift, best, axis=1)))
    unvoiced = np.full((len(frames), 1), _VOICING)
    return _Candidates(
        octaves=np.concatenate([np.zeros_like(unvoiced), octaves], axis=1),
        scores=np.concatenate([unvoiced, np.take_along_axis(scores, best, axis=1)], axis=1),
        strength=strength.max(axis=1).astype(np.float32),
    )


def _autocorrelation(frames: Floats) -> tuple[Floats, Floats]:
    # (n, lags + 2) at the lags and one more on either side, and (n,) the share of the low band in the sound.
    sound = (frames - frames.mean(axis=1, keepdims=True)) * _WINDOW
    power = np.abs(np.fft.rfft(sound, _FFT)) ** 2
    low = power[:, : len(_BAND)] * _BAND
    correlation = np.fft.irfft(low, 2 * len(_BAND) - 2)
    energy = np.maximum(correlation[:, :1], np.finfo(np.float32).tiny)
    total, inside = power.sum(axis=1), low.sum(axis=1)
    floor = _FLOOR * _FFT / 2 * np.square(_WINDOW).sum()
    share = inside / (inside + _HIGH_BAND * (total - inside) + floor)
    lags = slice(_LAGS[0] - 1, _LAGS[-1] + 2)
    return correlation[:, lags] / energy / _WINDOW_CORRELATION[lags], share


_WINDOW = np.hanning(FRAME + 1)[:-1].astype(np.float32)
# Weights of the bins up to half of _LAG_RATE: the low band fades in around 50 Hz (hum, wind) and out around 1.6 kHz.
_bins = np.arange(_FFT // 4 + 1) * SOUND_RATE / _FFT
_BAND = (np.clip((_bins - 30) / 40, 0, 1) * np.clip((2200 - _bins) / 1200, 0, 1)).astype(np.float32)
_spectrum = np.abs(np.fft.rfft(_WINDOW, _FFT)[: len(_BAND)]) ** 2
_WINDOW_CORRELATION = (np.fft.irfft(_spectrum) / np.fft.irfft(_spectrum)[0]).astype(np.float32)
