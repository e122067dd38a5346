"""Cut sound into blocks of one size: features must not depend on how the sound was cut into chunks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from selfmm.core.errors import MediaError
from selfmm.features.streams import Chunk, Floats, Track
from selfmm.features.voice.rows import Rows


@dataclass(frozen=True)
class Block:
    """A block of sound with its context.

    Attributes:
        start: first sample of the block without its context, counted from the beginning of the clip.
        sound: (before + size + after,) float32 with the context; zeros before and after the clip.
        first, last: ``sound[first:last]`` is in the clip.
    """

    start: int
    sound: Floats
    first: int
    last: int


class SoundBlocks:
    """Cuts chunks of any length into blocks of ``size`` samples, with ``before`` and ``after`` samples of context."""

    def __init__(self, size: int, before: int = 0, after: int = 0) -> None:
        self.samples = 0
        self._size, self._before, self._after = size, before, after
        self._start = 0  # of the next block
        self._sound = np.zeros(before, dtype=np.float32)  # from the beginning of its context

    def feed(self, chunk: Chunk) -> Iterator[Block]:
        """Yield the blocks that this chunk completes.

        Raises:
            MediaError: if the chunk has no sound.
        """
        sound = _clean(chunk)
        self.samples += len(sound)
        self._sound = np.concatenate([self._sound, sound])
        yield from self._blocks()

    def finish(self) -> Iterator[Block]:
        """Yield the remaining blocks, filled up with zeros."""
        left = max(-(-(self.samples - self._start) // self._size), 0)
        missing = left * self._size + self._before + self._after - len(self._sound)
        self._sound = np.concatenate([self._sound, np.zeros(max(missing, 0), dtype=np.float32)])
        for block in self._blocks():
            if block.start < self.samples:
                yield block

    def _blocks(self) -> Iterator[Block]:
        length = self._before + self._size + self._after
        taken = 0
        while len(self._sound) - taken >= length:
            # A copy, which does not keep the whole chunk in memory.
            sound = self._sound[taken : taken + length].copy()
            last = min(length, self.samples - self._start + self._before)
            yield Block(self._start, sound, max(self._before - self._start, 0), last)
            self._start += self._size
            taken += self._size
        self._sound = self._sound[taken:].copy()


def _clean(chunk: Chunk) -> Floats:
    # Files with floating-point samples can hold any value, and one NaN would spoil all later rows.
    if chunk.sound is None:
        raise MediaError("the recording has no sound, so it has no voice to measure. Leave out the part audio.")
    return np.clip(np.nan_to_num(chunk.sound.astype(np.float32), nan=0.0), -1, 1)


class BlockAnalyser(ABC):
    """Base of all analysers of sound, which turn blocks into rows of ``columns``, ``rate`` per second.

    An analyser is for one clip or live source: ``feed`` its sound in order, then ``finish``; get the rows that are
    ``ready`` with ``track``; ``forget`` those that are no longer needed.
    """

    def __init__(self, columns: tuple[str, ...], rate: float, blocks: SoundBlocks) -> None:
        self._rows = Rows(columns, rate)
        self._blocks = blocks
        self._finished = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return self._rows.columns

    @property
    def ready(self) -> float:
        """Seconds up to which all rows are final; infinite once finished."""
        return math.inf if self._finished else self._rows.count / self._rows.rate

    def feed(self, chunk: Chunk) -> None:
        """Take the next chunk of the recording.

        Raises:
            MediaError: if it has no sound.
        """
        for block in self._blocks.feed(chunk):
            self._work(block)

    def finish(self) -> None:
        """Take the end of the sound."""
        if not self._finished:
            for block in self._blocks.finish():
                self._work(block)
            self._close()
            self._finished = True

    def track(self, start: float, end: float) -> Track:
        """Return the rows with ``start`` <= time < ``end``, up to the end of the sound.

        Raises:
            ValueError: if ``end`` is not ready yet, or ``start`` was forgotten.
        """
        if end > self.ready:
            raise ValueError(f"the sound is analysed up to {self.ready:.3f} s, but {end:.3f} s was requested")
        return self._rows.track(start, end)

    def forget(self, before: float) -> None:
        """Free the rows before this time (seconds). They can no longer be requested."""
        self._rows.forget(before)

    @abstractmethod
    def _work(self, block: Block) -> None:
        """Append the rows that the block completes."""

    def _close(self) -> None:  # noqa: B027 - not every analyser has remaining rows
        """Append the remaining rows."""
