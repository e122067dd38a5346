"""Describe the voice by the states of the speech recogniser's encoder, which recognition computes anyway."""

from __future__ import annotations

import itertools
import math
from typing import Protocol

import numpy as np

from selfmm.features.streams import SOUND_RATE, STATE, Chunk, Floats
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks

_EPSILON = 1e-6  # rows; the rounding of times


class PhraseReader(Protocol):
    """Encodes speech phrase by phrase; see `selfmm.features.words.speech.SpeechAnalyser`."""

    @property
    def width(self) -> int: ...

    @property
    def ready(self) -> float: ...

    def take_states(self) -> list[tuple[float, Floats]]: ...


class SpokenStates(BlockAnalyser):
    """Averages the states of each phrase over rows, ``rate`` per second: columns ``whisper_000`` and so on.

    A row is the mean of the states centred in its time; at more than 50 rows per second, a row without any takes the
    nearest. A row outside the phrases is NaN: the recogniser reads only speech, with pauses of less than 2 s in it. A
    clip of T seconds has ceil(T * ``rate``) rows.

    Args:
        reader: encodes the phrases. Feed it each chunk, and finish it, before this analyser.
        rate: rows per second, 100 at most.
        measured: features of the voice at the same rate, which become the first columns of the rows inside phrases.
    """

    def __init__(self, reader: PhraseReader, rate: float, measured: BlockAnalyser | None = None) -> None:
        columns = tuple(f"whisper_{number:03d}" for number in range(reader.width))
        super().__init__((*(measured.columns if measured else ()), *columns), rate, SoundBlocks(SOUND_RATE // 10))
        self._reader, self._measured = reader, measured
        self._states: dict[int, list[Floats]] = {}  # by the rows that are not written yet

    def feed(self, chunk: Chunk) -> None:
        super().feed(chunk)
        if self._measured:
            self._measured.feed(chunk)
        self._take()
        ready = min(self._reader.ready, self._measured.ready if self._measured else math.inf)
        if math.isfinite(ready):
            self._write(math.floor(ready * self._rows.rate + _EPSILON))

    def _work(self, block: Block) -> None:
        """Nothing: the reader has its own sound, and blocks only count the samples."""

    def _close(self) -> None:
        if self._measured:
            self._measured.finish()
        self._take()
        self._write(math.ceil(self._blocks.samples * self._rows.rate / SOUND_RATE - _EPSILON))

    def _take(self) -> None:
        rate = self._rows.rate
        for start, states in self._reader.take_states():
            times = start + STATE / SOUND_RATE * np.arange(len(states))
            first, last = (math.floor(times[end] * rate + _EPSILON) for end in (0, -1))
            edges = np.searchsorted(times, (np.arange(first, last + 2) - _EPSILON) / rate)
            for row, (begin, end) in enumerate(itertools.pairwise(edges.tolist()), start=first):
                if begin == end:
                    begin = int(np.abs(times - (row + 0.5) / rate).argmin())
                    end = begin + 1
                self._states.setdefault(row, []).append(states[begin:end])

    def _write(self, until: int) -> None:
        first = self._rows.count
        if until <= first:
            return
        values = np.full((until - first, len(self.columns)), np.nan, dtype=np.float32)
        own = slice(len(self._measured.columns) if self._measured else 0, None)
        rows = [row for row in range(first, until) if row in self._states]
        for row in rows:
            values[row - first, own] = np.concatenate(self._states.pop(row)).mean(axis=0, dtype=np.float64)
        if self._measured:
            rate = self._rows.rate
            measured = self._measured.track(first / rate, until / rate).values
            spoken = np.array(rows, dtype=np.int64) - first
            values[spoken, : own.start] = measured[spoken]
            self._measured.forget(until / rate)
        self._rows.append(values)
