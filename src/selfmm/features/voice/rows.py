"""Rows of features over time, and rows that are means of finer frames."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from selfmm.features.streams import SOUND_RATE, Floats, Track

Doubles = npt.NDArray[np.float64]

_EPSILON = 1e-6  # rows; the rounding of times


class Rows:
    """Collects rows of ``columns``, ``rate`` per second since time 0. Old rows can be forgotten."""

    def __init__(self, columns: tuple[str, ...], rate: float) -> None:
        self.columns, self.rate = columns, rate
        self.count = 0
        self._first = 0
        self._pieces: deque[Floats] = deque()

    def append(self, values: npt.NDArray[np.floating]) -> None:
        """Add (n, d) rows."""
        if len(values):
            self._pieces.append(values.astype(np.float32))
            self.count += len(values)

    def track(self, start: float, end: float) -> Track:
        """Return the existing rows with ``start`` <= time < ``end``.

        Raises:
            ValueError: if some of these rows were forgotten.
        """
        first = max(int(np.ceil(start * self.rate - _EPSILON)), 0)
        last = int(np.ceil(min(end * self.rate, self.count) - _EPSILON))  # the end may be infinite
        if first < min(self._first, last):
            forgotten = self._first / self.rate
            raise ValueError(f"rows before {forgotten:.3f} s were forgotten, but {start:.3f} s was requested")
        pieces, place = [np.empty((0, len(self.columns)), dtype=np.float32)], self._first
        for piece in self._pieces:
            pieces.append(piece[max(first - place, 0) : max(last - place, 0)])
            place += len(piece)
        return Track(self.columns, np.concatenate(pieces), self.rate, first / self.rate)

    def forget(self, before: float) -> None:
        """Free the rows before this time (seconds)."""
        while self._pieces and (self._first + len(self._pieces[0])) <= before * self.rate + _EPSILON:
            self._first += len(self._pieces.popleft())


class FrameMeans:
    """Averages frames into rows: row i is the mean of the frames with their middle in [i, i + 1) / ``rate``.

    A row without any frame takes the frame nearest to its middle. A clip has one row for each 1 / ``rate`` seconds that
    have begun, whatever the number of its frames.

    Args:
        rows: where the means are added.
        period: seconds from frame to frame.
        middle: the middle of the first frame, in seconds.
    """

    def __init__(self, rows: Rows, period: float, middle: float) -> None:
        self._rows, self._period, self._middle = rows, period, middle
        width = len(rows.columns)
        self._values: Doubles = np.empty((0, width))
        self._weights: Doubles = np.empty((0, width))
        self._place = 0  # number of the first frame in memory

    def add(self, values: npt.NDArray[np.floating], weights: npt.NDArray[np.floating] | None = None) -> None:
        """Take the next frames.

        Args:
            values: (n, d).
            weights: (n, d) weight of each value, at least 0; None: all 1. A mean is 0 if all its weights are.
        """
        self._values = np.concatenate([self._values, values])
        self._weights = np.concatenate([self._weights, np.ones_like(values) if weights is None else weights])
        frames = self._place + len(self._values)
        done = self._rows.count
        while self._frames(done)[1] <= frames:
            done += 1
        self._write(done, frames)

    def finish(self, samples: int) -> None:
        """Add the remaining rows of a clip of this length. There must have been a frame."""
        count = int(np.ceil(samples * self._rows.rate / SOUND_RATE - _EPSILON))
        if count > self._rows.count:
            self._write(count, self._place + len(self._values))

    def _frames(self, row: int) -> tuple[int, int]:
        # The first frame of a row, and the one after its last.
        edges = (np.array([row, row + 1]) / self._rows.rate - self._middle) / self._period
        first, last = np.maximum(np.ceil(edges - _EPSILON).astype(int), 0)
        if first == last:
            first = max(int(np.rint(edges.mean())), 0)
        return int(first), int(max(last, first + 1))

    def _write(self, until: int, frames: int) -> None:
        means = np.zeros((until - self._rows.count, len(self._rows.columns)))
        for place in range(len(means)):
            first, last = self._frames(self._rows.count + place)
            first = max(min(first, frames - 1), self._place)
            part = slice(first - self._place, max(last, first + 1) - self._place)
            weights = self._weights[part]
            total = weights.sum(axis=0)
            means[place] = (self._values[part] * weights).sum(axis=0) / np.where(total > 0, total, 1)
        self._rows.append(means)
        # The previous frame may still be the nearest one to the next row.
        spare = max(min(self._frames(until)[0], frames) - 1 - self._place, 0)
        self._values, self._weights = self._values[spare:], self._weights[spare:]
        self._place += spare
