"""The pitch of a voice over time, in Hz, for people to look at; models read it as one of the features of the voice."""

from __future__ import annotations

import numpy as np

from selfmm.features.streams import SOUND_RATE
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks
from selfmm.features.voice.pitch import FRAME, HOP, Pitch, PitchTracker

_FRAMES = 25  # per block; pitch is decided one block later


class PitchTrack(BlockAnalyser):
    """Measures the pitch: column ``pitch``, Hz, a row for each .01 s; NaN if unvoiced. See `pitch.PitchTracker`."""

    def __init__(self) -> None:
        margin = (FRAME - HOP) // 2
        super().__init__(("pitch",), SOUND_RATE / HOP, SoundBlocks(_FRAMES * HOP, before=margin, after=margin))
        self._tracker = PitchTracker()
        self._left = 0  # frames of the block whose pitch is not decided yet

    def _work(self, block: Block) -> None:
        self._add(self._tracker.feed(np.lib.stride_tricks.sliding_window_view(block.sound, FRAME)[::HOP]))
        self._left = min(-(-(self._blocks.samples - block.start) // HOP), _FRAMES)

    def _close(self) -> None:
        self._add(self._tracker.finish())

    def _add(self, pitch: Pitch | None) -> None:
        if pitch is not None:
            self._rows.append(np.where(pitch.voiced, pitch.frequency, np.nan)[: self._left, None])
