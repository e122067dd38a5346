"""The sound of a recording on the clock of the clip."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from selfmm.features.media.lane import Lane
from selfmm.features.streams import SOUND_RATE, Floats

_JITTER = 0.04  # seconds; time stamps that stray less are roundings, more is a gap or an overlap


class SoundLane(Lane):
    """Decodes a stream to mono at `SOUND_RATE`, silent where the recording has none.

    Args:
        stream: PyAV's.
        zero: what its clock shows at the beginning of the clip, in seconds.
    """

    def __init__(self, stream: Any, zero: float) -> None:
        super().__init__(stream, zero)
        self.late = 0.0
        self._pieces: list[tuple[int, Floats]] = []
        self._taken = 0  # samples
        self._next = 0  # sample at which the resampler goes on
        self._known: int | None = None
        self._resampler: Any = None
        self._kind: tuple[str, str, int] | None = None  # of sound that the resampler takes
        self._begun = 0.0
        self._fed = 0  # samples since then, at the stream's rate

    @property
    def until(self) -> float:
        """Seconds; what is before will not change."""
        return -math.inf if self._known is None else self._known / SOUND_RATE

    def finish(self) -> float:
        """Gives what is still inside, and the time at which the sound ends."""
        self.feed(None)
        self._drain()
        return self.until

    def take(self, first: int, last: int) -> Floats:
        """(last - first,) samples; nothing before ``last`` can be asked for again."""
        sound = np.zeros(last - first, dtype=np.float32)
        kept = []
        for start, piece in self._pieces:
            part = piece[max(first - start, 0) : max(last - start, 0)]
            place = max(start - first, 0)
            sound[place : place + len(part)] = part
            if start + len(piece) > last:
                kept.append((start, piece))
        self._pieces, self._taken = kept, last
        return sound

    def _see(self, frame: Any) -> None:
        rate = frame.sample_rate
        expected = self._begun + self._fed / rate
        time = expected if frame.time is None else frame.time - self._zero
        kind = (frame.format.name, frame.layout.name, rate)
        if kind != self._kind or abs(time - expected) > _JITTER:
            self._drain()
            self._begin(time, kind)
        self._fed += frame.samples
        self._keep(self._resampler.resample(frame))

    def _begin(self, time: float, kind: tuple[str, str, int]) -> None:
        from av.audio.resampler import AudioResampler

        # Mixed down to floats, two equal channels would become 1.4 times as loud; to integers they keep their size.
        self._resampler = AudioResampler(format="s32", layout="mono", rate=SOUND_RATE)
        self._kind, self._begun, self._fed = kind, time, 0
        self._next = round(time * SOUND_RATE)

    def _drain(self) -> None:
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))
            self._resampler = None
            self._kind = None

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            piece = (frame.to_ndarray().reshape(-1) * 2.0**-31).astype(np.float32)
            start, self._next = self._next, self._next + len(piece)
            self._known = self._next if self._known is None else max(self._known, self._next)
            if self._next > self._taken:
                self._pieces.append((start, piece))
            if self._taken:  # not what lies before the clip
                self.late += max(min(self._next, self._taken) - start, 0) / SOUND_RATE
