"""Measure eGeMAPS features with openSMILE, for users whose license allows it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import numpy as np

from selfmm.core.errors import MissingPackageError
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks
from selfmm.features.voice.rows import FrameMeans

_HOP, _WINDOW = SOUND_RATE // 100, SOUND_RATE // 50  # as in openSMILE
_SHORTEST = SOUND_RATE // 10  # openSMILE returns no frame for much shorter sound


class EgemapsVoice(BlockAnalyser):
    """Averages the 25 low-level descriptors of eGeMAPSv02 (Eyben et al., 2016) over rows, ``rate`` per second.

    Blocks of 5 s are measured with 1 s of context on either side. A clip of T seconds has ceil(T * ``rate``) rows.

    Raises:
        MissingPackageError: if openSMILE is not installed.
    """

    def __init__(self, rate: float) -> None:
        self._smile = _smile()
        size, context = 5 * SOUND_RATE, SOUND_RATE
        super().__init__(tuple(self._smile.feature_names), rate, SoundBlocks(size, before=context, after=context))
        self._size, self._context = size, context
        self._means = FrameMeans(self._rows, _HOP / SOUND_RATE, _WINDOW / 2 / SOUND_RATE)

    def _work(self, block: Block) -> None:
        sound = block.sound[block.first : block.last]
        sound = np.pad(sound, (0, max(_SHORTEST - len(sound), 0)))
        described: Floats = self._smile.process_signal(sound, SOUND_RATE).to_numpy(np.float32)
        first = (self._context - block.first) // _HOP
        self._means.add(np.nan_to_num(described[first : first + self._size // _HOP]))

    def _close(self) -> None:
        self._means.finish(self._blocks.samples)


@functools.lru_cache(maxsize=1)
def _smile() -> Any:
    if importlib.util.find_spec("opensmile") is None:
        raise MissingPackageError(
            "voice.features = egemaps needs openSMILE, which audEERING licenses for research only (for commercial use, "
            "ask them). If you may use it: pip install opensmile. Otherwise use voice.features = voice."
        )
    # Not a plain import: type checkers would look for a package that few have installed.
    opensmile = importlib.import_module("opensmile")
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.LowLevelDescriptors
    )
