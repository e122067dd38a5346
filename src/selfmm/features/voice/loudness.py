"""Measure how loud the sound is, and how much of it is clipped or silent, for warnings about its quality."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from selfmm.features.streams import SOUND_RATE
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks

FULL = 0.99
"""A sample at or beyond this (of 1) counts as clipped. It is below full scale, because lossy codecs blur flat tops."""

NOTHING = 2.0**-16
"""A sample below this is silence: half a step of 16 bits."""

FLOOR = -100.0
"""dBFS; the lowest level that is reported."""

_CELL = SOUND_RATE // 100
_CELLS = 10  # per block
_COLUMNS = ("samples", "squares", "clipped", "silent", "sum")


@dataclass(frozen=True)
class SoundFigures:
    """Figures about the sound of a span, on a grid of .01 s.

    Attributes:
        seconds: length of the sound.
        level: root mean square in dBFS, at least ``FLOOR``; a full-scale sine has -3.01.
        clipped: share of the samples at or beyond ``FULL``, 0 to 1.
        silent: share of the time with digital silence, 0 to 1.
        offset: mean of the samples, -1 to 1; a good recording has about 0.
    """

    seconds: float
    level: float
    clipped: float
    silent: float
    offset: float = 0.0

    @property
    def heard(self) -> float:
        """The level in dBFS without the offset, which nobody hears; at least ``FLOOR``."""
        return _decibels(10 ** (self.level / 10) - self.offset**2)


class SoundLevel(BlockAnalyser):
    """Collects the figures that quality warnings need."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, SOUND_RATE / _CELL, SoundBlocks(_CELL * _CELLS))

    def figures(self, start: float, end: float) -> SoundFigures:
        """Return the figures of [``start``, ``end``). A span without sound is all silent.

        Raises:
            ValueError: if ``end`` is not ready yet, or ``start`` was forgotten.
        """
        rows = self.track(start, end).values
        samples, squares, clipped, silent, total = rows.sum(axis=0, dtype=np.float64).tolist()
        if not samples:
            return SoundFigures(seconds=0.0, level=FLOOR, clipped=0.0, silent=1.0)
        level = _decibels(squares / samples)
        return SoundFigures(samples / SOUND_RATE, level, clipped / samples, silent / samples, total / samples)

    def _work(self, block: Block) -> None:
        sound = block.sound.reshape(_CELLS, _CELL)
        cells = np.abs(sound)
        count = np.clip(block.last - _CELL * np.arange(_CELLS), 0, _CELL)
        silent = np.where(cells.max(axis=1) < NOTHING, count, 0)
        squares = np.square(cells, dtype=np.float64).sum(axis=1)
        total = sound.sum(axis=1, dtype=np.float64)
        figures = np.stack([count, squares, (cells >= FULL).sum(axis=1), silent, total], axis=1)
        self._rows.append(figures[count > 0])


def _decibels(power: float) -> float:
    return 10 * math.log10(max(power, 10 ** (FLOOR / 10)))
