"""The sound of a clip as WAV bytes: as it is, or filtered so that its words cannot be understood."""

from __future__ import annotations

import functools
import io
import wave
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import MediaError
from selfmm.features.media.recording import read_chunks
from selfmm.features.streams import SOUND_RATE, Floats

Hearing = Literal["plain", "filtered"]
CUT_OFF = 400.0
"""Hz. Below it are the pitch of the voice and hardly any of what tells one word from another."""
_STEEP = 60.0  # Hz from what passes to what is removed
_REMOVED = 80.0  # dB
_BLOCK = 1 << 16  # samples to filter at a time: memory does not grow with the clip
_LOUDEST = 0.98  # of full scale
_GAIN = 10.0  # at most; else the hum under whispered speech would become loud


def clip_sound(
    path: str | Path, *, start: float | None = None, end: float | None = None, hearing: Hearing = "plain"
) -> bytes:
    """Return the sound of a clip as the bytes of a WAV file: mono, 16 bits, ``SOUND_RATE`` samples per second.

    Args:
        path: a video or sound file.
        start, end: seconds in the file; None: its beginning, its end.
        hearing: ``plain``, or ``filtered``: content-filtered speech. A steep low-pass at ``CUT_OFF`` keeps melody,
            rhythm and loudness, and removes the words. Its mean loudness is that of the plain sound.

    Raises:
        MediaError: if the recording does not exist, cannot be read, or has no sound in this span.
        MissingPackageError: if PyAV is not installed.

    Source: Rogers, Scherer and Rosenthal (1971), Content filtering human speech: a simple electronic system. Behavior
    Research Methods and Instrumentation 3, 16-18.
    """
    pieces = [chunk.sound for chunk in read_chunks(Path(path), start=start, end=end, frame_rate=None)]
    sounds = [piece for piece in pieces if piece is not None]
    if not sounds:
        raise MediaError(f"{path} has no sound in this clip.")
    sound = np.concatenate(sounds)
    return _wav(content_filtered(sound) if hearing == "filtered" else sound)


def content_filtered(sound: Floats) -> Floats:
    """Return the sound without what is above ``CUT_OFF``, (n,), as loud as before as far as it does not clip."""
    filtered = _convolved(sound, _low_pass())
    before, after, peak = _level(sound), _level(filtered), float(np.abs(filtered).max(initial=0.0))
    if not after:
        return filtered
    return (filtered * min(before / after, _GAIN, _LOUDEST / peak)).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _low_pass() -> npt.NDArray[np.float64]:
    """Return a symmetric filter, so that nothing is delayed: a sinc with Kaiser's window, and his formulas for it."""
    count = int(np.ceil((_REMOVED - 7.95) / (14.36 * _STEEP / SOUND_RATE))) | 1
    times = np.arange(count) - count // 2
    middle = 2 * (CUT_OFF + _STEEP / 2) / SOUND_RATE
    taps: npt.NDArray[np.float64] = np.sinc(middle * times) * np.kaiser(count, 0.1102 * (_REMOVED - 8.7))
    taps /= taps.sum()
    return taps


def _convolved(sound: Floats, taps: npt.NDArray[np.float64]) -> Floats:
    """Return the convolution, as long as the sound (overlap-save)."""
    margin = len(taps) - 1
    spectrum = np.fft.rfft(taps, _BLOCK)
    padded = np.pad(sound, (margin // 2, margin // 2 + _BLOCK))
    step, filtered = _BLOCK - margin, np.empty_like(sound)
    for first in range(0, len(sound), step):
        block = np.fft.irfft(np.fft.rfft(padded[first : first + _BLOCK], _BLOCK) * spectrum, _BLOCK)[margin:]
        filtered[first : first + step] = block[: len(sound) - first]
    return filtered


def _level(sound: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0


def _wav(sound: Floats) -> bytes:
    samples = np.clip(np.rint(sound * 32767.0), -32768, 32767).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes(samples.tobytes())
    return content.getvalue()
