"""Modalities of a clip on one time axis, for models that read them together step by step.

The axis is that of the first modality that the clip has. Text comes first; its axis is that of its tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from selfmm.core.errors import DatasetError
from selfmm.core.messages import count
from selfmm.core.tensors import Positions, Ragged
from selfmm.data.manifest import TEXT


def pooled(frames: npt.NDArray[Any], steps: int) -> npt.NDArray[np.float32]:
    """Return (T, d) frames as (``steps``, d): the mean over each of ``steps`` equal parts of the time.

    A part includes every frame that it touches, so frames repeat if they are fewer than the steps. Frames of NaN, in
    which nothing could be measured, do not count; a part with only such frames is NaN.

    >>> pooled(np.array([[1.0], [3.0], [5.0], [7.0]]), 2).tolist()
    [[2.0], [6.0]]
    >>> pooled(np.array([[1.0], [3.0]]), 4).tolist()
    [[1.0], [1.0], [3.0], [3.0]]
    """
    count = len(frames)
    step = np.arange(steps, dtype=np.int64)
    first, behind = step * count // steps, -(-(step + 1) * count // steps)
    known = ~np.isnan(frames).all(axis=1)
    zero = np.zeros((1, frames.shape[1]))
    sums = np.concatenate([zero, np.where(known[:, None], frames, 0.0).cumsum(axis=0, dtype=np.float64)])
    counts = np.concatenate([[0], known.cumsum()])
    with np.errstate(invalid="ignore"):
        means = (sums[behind] - sums[first]) / (counts[behind] - counts[first])[:, None]
    return means.astype(np.float32)  # type: ignore[no-any-return]


def pool_to(stream: Ragged, steps: Positions) -> Ragged:
    """Return the frames of every clip pooled to its number of ``steps`` (n,); clips without frames stay empty."""
    rows = stream.rows.numpy()
    starts, lengths = stream.starts.numpy(), stream.lengths.numpy()
    parts = [
        pooled(rows[start : start + length].astype(np.float64), count)
        for start, length, count in zip(starts.tolist(), lengths.tolist(), steps.tolist(), strict=True)
        if length
    ]
    return _joined(parts, np.where(lengths > 0, steps, 0), rows.shape[1])


def spread_to(stream: Ragged, words: Sequence[Positions]) -> Ragged:
    """Return frames per token from frames per word: each token gets the frame of its word.

    Args:
        stream: one frame per word of a clip, or no frame at all.
        words: for each clip, (tokens,) the number of each token's word.
    """
    rows = stream.rows.numpy()
    starts, lengths = stream.starts.numpy(), stream.lengths.numpy()
    parts = [rows[start + word] for start, length, word in zip(starts, lengths, words, strict=True) if length]
    counts = np.array([len(word) for word in words], dtype=np.int64)
    return _joined(parts, np.where(lengths > 0, counts, 0), rows.shape[1])


def _joined(parts: list[npt.NDArray[np.float32]], lengths: Positions, dim: int) -> Ragged:
    together = np.concatenate([*parts, np.zeros((0, dim), dtype=np.float32)]).astype(np.float32, copy=False)
    return Ragged.of(together, np.cumsum(lengths) - lengths, lengths)


@dataclass(frozen=True)
class _Axis:
    """The time axis of n clips.

    Attributes:
        steps: (n,) number of steps of each clip.
        source: the modality that gives the steps of each clip.
        words, ids: as in ``on_one_axis``.
        cut: (n,) bool, whether steps may have been cut off.
    """

    steps: Positions
    source: Sequence[str]
    words: Sequence[Positions] | None
    cut: npt.NDArray[np.bool_]
    ids: Sequence[str]

    def fits(self, lengths: Positions, wanted: Positions) -> npt.NDArray[np.bool_]:
        """Return whether each clip has ``wanted`` frames, (n,); more are allowed where steps were cut off."""
        return np.where(self.cut, lengths >= wanted, lengths == wanted)


def on_one_axis(
    streams: Mapping[str, Ragged],
    *,
    how: Literal["stored", "pool"],
    ids: Sequence[str],
    words: Sequence[Positions] | None = None,
    limit: int | None = None,
) -> dict[str, Ragged]:
    """Return all modalities with the steps of the first one that a clip has.

    Args:
        streams: the sequences of n clips, by modality; the modality that gives the axis comes first.
        how: ``pool`` frames to the axis in equal parts of the time, or take them as ``stored``, if a clip has as many
            frames as steps or words.
        ids: ids of the clips, for messages.
        words: for each clip, (tokens,) the number of each token's word, if the first modality consists of such tokens.
        limit: number of steps to which the first modality was cut; stored frames beyond them are left out.

    Raises:
        DatasetError: if stored frames are on another axis.
    """
    lengths = np.stack([stream.lengths.numpy() for stream in streams.values()])
    source = (lengths > 0).argmax(axis=0)
    steps = np.take_along_axis(lengths, source[None], axis=0)[0]
    first, *others = names = list(streams)
    cut = (source == 0) & (steps == (-1 if limit is None else limit))
    axis = _Axis(steps, [names[number] for number in source], words, cut, ids)
    aligned = {first: streams[first]}
    for name in others:
        aligned[name] = pool_to(streams[name], steps) if how == "pool" else _as_stored(name, streams[name], axis)
    return aligned


_SPECIAL = 2  # tokens that mark the beginning and end of a text, for which some files hold no frame


def _as_stored(name: str, stream: Ragged, axis: _Axis) -> Ragged:
    lengths, steps = stream.lengths.numpy(), axis.steps
    present = lengths > 0
    if (lengths == steps)[present].all():
        return stream
    if axis.words is not None and _per_word(lengths, axis)[present].all():
        words = [w if len(w) else np.arange(n) for w, n in zip(axis.words, steps, strict=True)]
        return spread_to(stream, words)
    if axis.fits(lengths, steps)[present].all():
        return Ragged(stream.rows, stream.starts, torch.from_numpy(np.minimum(lengths, steps)))
    if axis.words is None and ((steps - lengths)[present] <= _SPECIAL).all() and (steps >= lengths)[present].all():
        return spread_to(stream, [np.minimum(np.arange(n), max(k - 1, 0)) for n, k in zip(steps, lengths, strict=True)])
    raise _misfit(name, lengths, axis)


def _per_word(lengths: Positions, axis: _Axis) -> npt.NDArray[np.bool_]:
    """Return whether each clip has a frame for each word, or for each step if it has no words; (n,)."""
    counts = _counts(axis)
    return np.where(counts > 0, axis.fits(lengths, counts), lengths == axis.steps)


def _counts(axis: _Axis) -> Positions:
    """Return the number of words per clip, (n,), without those that were cut off."""
    return np.array([int(word.max(initial=-1)) + 1 for word in axis.words or []], dtype=np.int64)


def _misfit(name: str, lengths: Positions, axis: _Axis) -> DatasetError:
    off = (lengths > 0) & (lengths != axis.steps)
    counts = _counts(axis)
    # A clip that fits neither words nor steps explains the problem best.
    worst = off & ~_per_word(lengths, axis) if axis.words is not None else off
    wrong = int(np.flatnonzero(worst if worst.any() else off)[0])
    source = axis.source[wrong]
    of_words = f" of {count(int(counts[wrong]), 'word')}" if len(counts) and counts[wrong] else ""
    steps = count(int(axis.steps[wrong]), "token" if source == TEXT else "frame")
    return DatasetError(
        f"this model reads all modalities together step by step, but the {name} of clip {axis.ids[wrong]!r} has "
        f"{count(int(lengths[wrong]), 'frame')}, and its {source} has {steps}{of_words}. Extract with align=words, "
        "import aligned features, or train with `overrides=['align=pool']`, which pools frames in equal parts of the "
        "time."
    )
