"""Speak a text in a speaker's voice and a mood, with espeak-ng or in tones."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

from selfmm.core.errors import MissingPackageError, SettingsError
from selfmm.demo.film import read_sound
from selfmm.demo.speakers import Voice
from selfmm.demo.tones import tone_speech
from selfmm.features.streams import SOUND_RATE, Floats

Synthesizer = Literal["auto", "tones", "espeak-ng"]
_ESPEAK = "espeak-ng"
_QUICKEST = 400  # words per minute; faster speech by espeak-ng is unintelligible
_TRIES = 5  # until it speaks the same twice: its first start on a machine was seen to sound different
_QUIET = 0.003  # amplitude; a quieter beginning or end of the sound is silence


def chosen(synthesizer: Synthesizer) -> Literal["tones", "espeak-ng"]:
    """Return the synthesizer to use on this machine.

    Raises:
        SettingsError: if the name is unknown.
        MissingPackageError: if espeak-ng is requested and not installed.
    """
    if synthesizer not in ("auto", "tones", _ESPEAK):
        raise SettingsError([f"synthesizer is {synthesizer!r}; it must be 'auto', 'tones' or 'espeak-ng'"])
    installed = shutil.which(_ESPEAK) is not None
    if synthesizer == _ESPEAK and not installed:
        raise MissingPackageError(
            "espeak-ng is not installed. Install it (Debian, Ubuntu: apt-get install espeak-ng; macOS: brew install "
            "espeak-ng), or use the synthesizer 'tones'."
        )
    return "espeak-ng" if installed and synthesizer != "tones" else "tones"


def speak(
    text: str,
    voice: Voice,
    mood: float,
    longest: float,
    rng: np.random.Generator,
    synthesizer: Literal["tones", "espeak-ng"],
) -> Floats:
    """Return the text as sound, (n,) mono in [-1, 1] at ``SOUND_RATE``, without silence around it.

    Args:
        text: lower-case words.
        voice: voice of the speaker.
        mood: -1 (flat: low, quiet, slow, even) to 1 (lively: high, loud, quick, with a wide range).
        longest: seconds; a longer text is spoken faster.
        rng: for the hiss of the tones; espeak-ng does not use it.
        synthesizer: the result of `chosen`.
    """
    if synthesizer == "tones":
        return tone_speech(text, voice, mood, longest, rng)
    rate = 170 + 40 * mood
    sound = _espeak(text, voice, mood, rate)
    limit = int(longest * SOUND_RATE)
    if len(sound) > limit:
        sound = _espeak(text, voice, mood, min(1.1 * rate * len(sound) / limit, _QUICKEST))
    return sound[:limit]


def _espeak(text: str, voice: Voice, mood: float, rate: float) -> Floats:
    # The mood shifts the pitch by up to about 3 semitones, and doubles or halves its range.
    spoken = f'<prosody range="{100 * 2**mood:.0f}%">{text}</prosody>'
    manner = ["-p", f"{50 + 22 * mood:.0f}", "-a", f"{100 * 10 ** (5 * mood / 20):.0f}", "-s", f"{rate:.0f}"]
    with tempfile.TemporaryDirectory(prefix="selfmm-demo-") as folder:
        file = Path(folder) / "spoken.wav"
        command = [_ESPEAK, "-m", "-v", f"en-us+{voice.variant}", *manner, "-w", str(file), spoken]
        spoken_before = None
        for _ in range(_TRIES):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode or not file.is_file():
                raise MissingPackageError(
                    f"espeak-ng does not work: {result.stderr.strip() or result.returncode}. Repair its installation, "
                    "or use the synthesizer 'tones'."
                )
            if file.read_bytes() == spoken_before:
                break
            spoken_before = file.read_bytes()
        # Loud vowels reach full scale; reduce them to the level of a person at arm's length.
        sound = 0.6 * read_sound(file)
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    return sound[loud[0] : loud[-1] + 1] if loud.size else sound[:0]
