"""Speak in tones: without words, but with the syllables, vowels, pitch and mood of a real voice.

This is a source-filter model (Fant 1960) by additive synthesis: the formants determine the loudness of each harmonic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.demo.speakers import Voice
from selfmm.features.streams import SOUND_RATE, Floats

Array = npt.NDArray[np.float64]

_CONTROL = 200  # values per second of everything that changes slowly
_FORMANTS = {
    "a": (750, 1250, 2500), "e": (500, 1800, 2550), "i": (300, 2200, 2900), "o": (470, 880, 2500),
    "u": (330, 820, 2350), "y": (310, 2100, 2800),
}  # fmt: skip
_WIDTHS = (90, 120, 180)  # widths of the formants, in Hz
_GAINS = (1.0, 0.6, 0.3)
_SYLLABLES = 4.6  # syllables per second of a neutral voice
_TOP = 4000  # Hz; above it, there is only the hiss of consonants


@dataclass(frozen=True)
class _Sound:
    """A part of a syllable: its length in syllables, its loudness as voice and as hiss, its vowel and stress."""

    length: float
    voiced: float
    hiss: float
    vowel: str
    stress: float


def tone_speech(text: str, voice: Voice, mood: float, longest: float, rng: np.random.Generator) -> Floats:
    """Return a text spoken in tones, (n,) mono in [-1, 1] at ``SOUND_RATE``. See `selfmm.demo.spoken.speak`."""
    sounds = _sounds(text)
    total = sum(sound.length for sound in sounds)
    seconds = min(total / (_SYLLABLES * (1 + 0.22 * mood)), longest)
    steps = int(seconds * _CONTROL)
    ends = np.cumsum([sound.length for sound in sounds]) / total
    which = np.searchsorted(ends, (np.arange(steps) + 0.5) / steps)
    along = np.arange(steps) / steps
    reach = 2.6 + 2.0 * mood  # semitones between a stressed and an unstressed syllable
    stress = _smooth(np.array([sound.stress for sound in sounds])[which], 12)
    pitch = voice.pitch * 2 ** ((3.5 * mood + reach * (stress - 0.7 * along)) / 12)
    formants = voice.tract * np.array([_FORMANTS[sound.vowel] for sound in sounds], dtype=np.float64)[which].T
    formants = np.stack([_smooth(formant, 10) for formant in formants])
    voiced = _smooth(np.array([sound.voiced for sound in sounds])[which], 5) * (0.75 + 0.25 * stress)
    hiss = _smooth(np.array([sound.hiss for sound in sounds])[which], 4)
    loudness = 0.075 * 10 ** (5.0 * mood / 20)
    tones = _harmonics(pitch, formants, 1.1 - 0.25 * mood) * _at_rate(voiced)
    noise = np.diff(rng.normal(size=len(tones) + 1)) * _at_rate(hiss)
    return np.clip(loudness * (tones + 0.25 * noise), -1, 1).astype(np.float32)


def _sounds(text: str) -> list[_Sound]:
    sounds = []
    for word in text.split():
        # A final e is silent after another vowel: "mad(e)", but not in "the".
        spoken = re.sub(r"(?<=[aeiouy])([^aeiouy]+)e$", r"\1", word)
        for number, (onset, vowels) in enumerate(re.findall(r"([^aeiouy]*)([aeiouy]+)", spoken)):
            stress = 1.0 if number == 0 and len(word) > 3 else 0.0
            sounds += _onset(onset, vowels[0])
            sounds.append(_Sound(0.6 + 0.2 * stress, 1.0, 0.0, vowels[0], stress))
        sounds.append(_Sound(0.25, 0.0, 0.0, "e", 0.0))
    return sounds


def _onset(consonants: str, vowel: str) -> list[_Sound]:
    if not consonants:
        return []
    last = consonants[-1]
    if last in "mnlrwv":
        return [_Sound(0.3, 0.35, 0.0, vowel, 0.0)]
    if last in "sfhzxc":
        return [_Sound(0.35, 0.0, 0.6, vowel, 0.0)]
    return [_Sound(0.2, 0.0, 0.0, vowel, 0.0), _Sound(0.08, 0.1, 0.8, vowel, 0.0)]


def _harmonics(pitch: Array, formants: Array, tilt: float) -> Array:
    """Return the harmonics of a changing pitch. Their root mean square is always about 1."""
    phase = 2 * np.pi * np.cumsum(_at_rate(pitch)) / SOUND_RATE
    wave, before, twice = np.sin(phase), np.zeros_like(phase), 2 * np.cos(phase)
    sound, power = np.zeros_like(phase), np.zeros_like(pitch)
    for number in range(1, int(_TOP / pitch.min()) + 1):
        frequency = number * pitch
        through = sum(
            gain / (1 + ((frequency - formant) / width) ** 2)
            for formant, width, gain in zip(formants, _WIDTHS, _GAINS, strict=True)
        )
        strength = (0.02 + through) * number**-tilt * (frequency < _TOP)
        power += strength**2 / 2
        sound += _at_rate(strength) * wave
        wave, before = twice * wave - before, wave  # sin(n + 1)x from sin(nx) and sin(n - 1)x
    # Some vowels are louder than others, but the mood alone must decide how loud the voice is.
    level: Array = sound / _at_rate(np.sqrt(power))
    return level


def _at_rate(values: Array) -> Array:
    """Return the values at ``SOUND_RATE`` instead of ``_CONTROL``, interpolated linearly."""
    following = np.append(values[1:], values[-1:])
    share = np.arange(SOUND_RATE // _CONTROL) * (_CONTROL / SOUND_RATE)
    return (values[:, None] + (following - values)[:, None] * share).ravel()


def _smooth(values: Array, width: int) -> Array:
    """Return the mean over ``width`` neighbours; the values at the ends are repeated."""
    held = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(held, np.full(width, 1 / width), mode="valid")
