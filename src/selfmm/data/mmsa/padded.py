"""Padded feature arrays of MMSA pickles, and the removal of their padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.messages import clips
from selfmm.data.finite import FiniteCheck, as_float, without_non_finite
from selfmm.data.manifest import Modality
from selfmm.data.pickle.reader import release
from selfmm.data.writer import Frames

Lengths = npt.NDArray[np.int64]
_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Padded:
    """One modality in one split.

    Attributes:
        values: (n, L, dim), padded to L frames; None if the split lacks the modality.
        size: n, the number of clips.
        stated: (n,) frames per clip, from ``<modality>_lengths`` or the mask of the text; None if the file has neither.
    """

    values: npt.NDArray[Any] | None
    size: int
    stated: Lengths | None = None

    @property
    def chunks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """First clip and values of a few clips at a time. Pages of a mapped file are released in between."""
        if self.values is None:
            return
        step = max(1, _CHUNK_BYTES // max(1, self.values[:1].nbytes))
        for start in range(0, self.size, step):
            yield start, self.values[start : start + step]
            release(self.values)


class PaddedModality:
    """One modality of all splits, and the place of each clip in its padded arrays.

    Args:
        name: name of the modality.
        parts: one per split, in the order of the table. All have the same dim.
    """

    def __init__(self, name: str, parts: Sequence[Padded]) -> None:
        self.name = name
        self.parts = parts
        self.notes: list[str] = []
        self.first = np.cumsum([0, *(part.size for part in parts)])
        stated = [self._stated(part) for part in parts]
        occupied = {n: _occupied(part) for n, part in enumerate(parts) if stated[n] is None}
        front = _is_front_padded(list(occupied.values()))
        if occupied:
            side = "front" if front else "end"
            self.notes.append(
                f"{name}: the file states no lengths; frames of zeros at the {side} were treated as padding."
            )
        spans = [span or _span(occupied[n], front) for n, span in enumerate(stated)]
        self.starts: Lengths = np.concatenate([starts for starts, _ in spans])
        self.lengths: Lengths = np.concatenate([lengths for _, lengths in spans])
        self._unreleased = 0

    def _stated(self, part: Padded) -> tuple[Lengths, Lengths] | None:
        zeros = np.zeros(part.size, dtype=np.int64)
        if part.values is None:
            return zeros, zeros
        if part.stated is None:
            return None
        longest = part.values.shape[1]
        longer = int((part.stated > longest).sum())
        if longer:
            self.notes.append(
                f"{self.name}: {clips(longer, ('has', 'have'))} a stated length above the {longest} frames in the "
                f"file; the length was cut to {longest}, as the frames were."
            )
        return zeros, np.minimum(part.stated, longest)

    def look(self, check: FiniteCheck, ids: Sequence[str]) -> None:
        """Pass every frame without padding to ``check``, in one pass over the file."""
        for part, first in zip(self.parts, self.first, strict=False):
            for start, values in part.chunks:
                for place, clip in enumerate(as_float(values), start=int(first) + start):
                    check.look(clip[self._unpadded(place)], ids[place])

    def _unpadded(self, clip: int) -> slice:
        return slice(int(self.starts[clip]), int(self.starts[clip] + self.lengths[clip]))

    def frames(self) -> Frames:
        """Return the frames for the writer: without padding, 0 where a feature is not finite."""
        arrays = [part.values for part in self.parts if part.values is not None]
        half = all(values.dtype == np.float16 for values in arrays)
        dtype = np.dtype(np.float16 if half else np.float32)
        dim = arrays[0].shape[2]

        def read(clip: int) -> npt.NDArray[Any]:
            number = int(np.searchsorted(self.first, clip, side="right")) - 1
            values = self.parts[number].values
            if values is None:
                return np.zeros((0, dim), dtype=dtype)
            frames = without_non_finite(values[clip - self.first[number]][self._unpadded(clip)], dtype)
            self._unreleased += values[:1].nbytes
            if self._unreleased > _CHUNK_BYTES:
                release(values)
                self._unreleased = 0
            return frames

        return Frames(Modality(kind="frames", dim=dim), self.lengths, read, dtype)


def _occupied(part: Padded) -> npt.NDArray[np.bool_]:
    """Return whether each frame, (n, L), holds anything but zeros."""
    chunks = [np.any(values != 0, axis=2) for _, values in part.chunks]
    return np.concatenate(chunks) if chunks else np.zeros((0, 1), dtype=bool)


def _is_front_padded(occupied: Sequence[npt.NDArray[np.bool_]]) -> bool:
    before = sum(int(frames.argmax(axis=1)[frames.any(axis=1)].sum()) for frames in occupied if frames.size)
    after = sum(int(frames[:, ::-1].argmax(axis=1)[frames.any(axis=1)].sum()) for frames in occupied if frames.size)
    return before > after


def _span(occupied: npt.NDArray[np.bool_], front: bool) -> tuple[Lengths, Lengths]:
    """Return the first frame and the number of frames per clip; 0 frames if a clip is all zeros."""
    n, longest = occupied.shape
    if not longest:
        return np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    any_frame = occupied.any(axis=1)
    starts = np.where(any_frame & front, occupied.argmax(axis=1), 0)
    ends = longest - (0 if front else occupied[:, ::-1].argmax(axis=1))
    return starts.astype(np.int64), np.where(any_frame, ends - starts, 0).astype(np.int64)
