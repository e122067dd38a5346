"""Measure the voice as rows of named features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selfmm.config.recipe import VoiceSettings
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.voice import pitch, spectrum
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks
from selfmm.features.voice.pitch import HOP, Pitch, PitchTracker
from selfmm.features.voice.rows import FrameMeans

if TYPE_CHECKING:
    from selfmm.features.voice.states import PhraseReader

PITCH_COLUMNS = ("f0", "f0_slope", "voiced", "periodicity", "hnr")

COLUMNS = (*spectrum.COLUMNS, *PITCH_COLUMNS)
"""Columns of ``VoiceFeatures``."""

REFERENCE = 150.0
"""Hz of 0 semitones: between the usual pitches of men and women, so 0 for "unvoiced" is not an outlier."""

_FRAMES = 25  # per block; pitch is decided one block later
_FASTEST = 1.0  # semitones from frame to frame: the tracker jumps more, the voice glides less


def voice_analyser(settings: VoiceSettings, speech: PhraseReader | None = None) -> BlockAnalyser:
    """Return the analyser for these settings.

    Args:
        settings: of the recipe.
        speech: encodes phrases, for settings that read the states of the speech recogniser; see `SpokenStates`.

    Raises:
        MissingPackageError: if the settings name openSMILE and it is not installed.
        WeightsError: if the encoder does not exist or cannot be loaded.
    """
    if settings.features == "voice":
        return VoiceFeatures(settings.rate)
    if settings.features == "egemaps":
        from selfmm.features.voice.egemaps import EgemapsVoice

        return EgemapsVoice(settings.rate)
    if settings.reads_phrases:
        if speech is None:
            raise ValueError(f"voice.features = {settings.features} needs a reader of phrases")
        from selfmm.features.voice.states import SpokenStates

        measured = VoiceFeatures(settings.rate) if settings.features == "both" else None
        return SpokenStates(speech, settings.rate, measured)
    from selfmm.features.voice.encoder import EncodedVoice, load_voice_encoder

    return EncodedVoice(load_voice_encoder(settings.features), settings.rate)


class VoiceFeatures(BlockAnalyser):
    """Measures spectrum, energy, pitch and voicing every .01 s, and averages them over each row.

    Nothing is normalised by clip. A clip of T seconds has ceil(T * ``rate``) rows; silence is assumed around it.

    ``COLUMNS`` are those of ``spectrum.spectral_features`` and: f0: semitones above ``REFERENCE``; f0_slope: semitones
    per second; hnr: harmonics to noise in dB, -20 to 40; these three are means over voiced frames, and 0 in a row
    without voiced frames. voiced: share of the voiced frames. periodicity: 0 to 1, mean over all frames.

    Args:
        rate: rows per second, 100 at most.
    """

    def __init__(self, rate: float) -> None:
        # Pitch has the longest frames, and spectra need the frame before the block.
        margin = (pitch.FRAME - HOP) // 2
        super().__init__(COLUMNS, rate, SoundBlocks(_FRAMES * HOP, before=margin + HOP, after=margin))
        self._means = FrameMeans(self._rows, period=HOP / SOUND_RATE, middle=HOP / SOUND_RATE / 2)
        self._tracker = PitchTracker()
        self._waiting: Floats | None = None  # spectra of the block whose pitch is not decided yet
        self._before = np.zeros(1, dtype=np.float32)  # Hz, the last decided frame
        self._left = 0  # frames that are not averaged yet

    def _work(self, block: Block) -> None:
        frames = np.lib.stride_tricks.sliding_window_view(block.sound, pitch.FRAME)[::HOP]
        side = (pitch.FRAME - spectrum.WINDOW) // 2
        spectra = spectrum.spectral_features(frames[:, side : side + spectrum.WINDOW])
        self._add(self._tracker.feed(frames[1:]))
        self._waiting = spectra
        # A frame counts if its hop has begun before the end of the clip.
        self._left += min(-(-(self._blocks.samples - block.start) // HOP), _FRAMES)

    def _close(self) -> None:
        self._add(self._tracker.finish())
        self._means.finish(self._blocks.samples)

    def _add(self, pitch: Pitch | None) -> None:
        if pitch is None or self._waiting is None:
            return
        measured, weights = _pitch_features(pitch, self._before)
        self._before = pitch.frequency[-1:]
        values = np.concatenate([self._waiting, measured], axis=1)
        weights = np.concatenate([np.ones_like(self._waiting), weights], axis=1)
        self._means.add(values[: self._left], weights[: self._left])
        self._left = 0


def _pitch_features(pitch: Pitch, before: Floats) -> tuple[Floats, Floats]:
    # (n, PITCH_COLUMNS) and their weights; before: (1,) Hz of the previous frame.
    voiced = pitch.frequency > 0
    frequency = np.concatenate([before, pitch.frequency])
    semitones = np.where(frequency > 0, 12 * np.log2(np.maximum(frequency, 1) / REFERENCE), 0)
    change = np.diff(semitones)
    glides = voiced & (frequency[:-1] > 0) & (np.abs(change) <= _FASTEST)
    strength = np.clip(pitch.strength, 0.01, 0.9999)
    hnr = 10 * np.log10(strength / (1 - strength))
    always = np.ones_like(voiced)
    values = np.stack([semitones[1:], change * SOUND_RATE / HOP, voiced, pitch.strength, hnr], axis=1)
    weights = np.stack([voiced, glides, always, always, voiced], axis=1)
    return values.astype(np.float32), weights.astype(np.float32)
