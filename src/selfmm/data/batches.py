"""Batches of stored clips, padded to the longest clip of the batch and never to that of the data set."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from selfmm.core.errors import DatasetError
from selfmm.core.tensors import Positions, Ragged
from selfmm.data.manifest import Modality
from selfmm.data.store import Dataset, DatasetClip
from selfmm.data.types import Batch, Stream

_AHEAD = 2


class BatchMaker:
    """Makes batches of some clips of a data set. A modality that the data set lacks is missing in every clip.

    Args:
        dataset: the data set with the frames.
        rows: (n,) row numbers of the clips; a clip's position among them is its ``Batch.index``.
        modalities: the modalities to read, as the model expects them.
        tokens: token ids per clip, for text that is stored as words in the table.
        max_tokens: number of token ids to which longer stored texts are cut.
        replaced: sequences that replace the stored ones: words that are already encoded, or frames on another time
            axis.
        shifts: (n, dim) float32 by modality, subtracted from all frames of each clip.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Positions,
        modalities: Mapping[str, Modality],
        *,
        tokens: Sequence[npt.NDArray[np.int64]] | None = None,
        max_tokens: int | None = None,
        replaced: Mapping[str, Ragged] | None = None,
        shifts: Mapping[str, npt.NDArray[np.float32]] | None = None,
    ) -> None:
        self.dataset = dataset
        self.rows = rows
        self.modalities = dict(modalities)
        self.labels = dataset.labels()[rows].astype(np.float32)
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._streams = {name: (replaced or {}).get(name) or self._index_modality(name) for name in self.modalities}
        self.lengths = {name: stream.lengths.numpy() for name, stream in self._streams.items()}
        self._shifts = {name: torch.from_numpy(values) for name, values in (shifts or {}).items()}
        self._checked: set[str] = set()
        self._known_labels = torch.from_numpy(self.labels)

    def _index_modality(self, name: str) -> Ragged:
        stored, dim = self.dataset.modalities.get(name), self.modalities[name].dim
        if stored is None:
            empty = np.zeros(0, dtype=np.int64) if dim is None else np.zeros((0, dim), dtype=np.float32)
            nowhere = np.zeros(len(self.rows), dtype=np.int64)
            return Ragged.of(empty, nowhere, nowhere)
        if stored.kind == "text":
            if self._tokens is None:
                raise ValueError(f"modality {name!r} is words in the table: pass their token ids")
            lengths = np.array([len(ids) for ids in self._tokens], dtype=np.int64)
            together = np.concatenate([*self._tokens, np.zeros(0, dtype=np.int64)])
            return Ragged.of(together, np.cumsum(lengths) - lengths, lengths)
        starts = self.dataset.samples[f"{name}_offset"].to_numpy(dtype=np.int64)[self.rows]
        lengths = self.dataset.lengths(name)[self.rows]
        if stored.kind == "tokens" and self._max_tokens is not None:
            lengths = np.minimum(lengths, self._max_tokens)
        return Ragged.of(self.dataset.matrix(name), starts, lengths)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def cost(self) -> Positions:
        """Cost of encoding each clip, (n,), for batches of clips of similar cost: its words, or else its frames."""
        for name in self.modalities:
            if self.modalities[name].kind != "frames":
                return self.lengths[name]
        total: Positions = np.sum(list(self.lengths.values()), axis=0)
        return total

    def settle(self, device: torch.device, limit: int) -> None:
        """Copy all clips to ``device`` and make batches there, if they need at most ``limit`` bytes.

        Raises:
            DatasetError: if frames are not finite.
        """
        if device.type == "cpu" or sum(stream.nbytes for stream in self._streams.values()) > limit:
            return
        for name, stream in self._streams.items():
            moved = self._streams[name] = stream.to(device)
            sound = self._sound(name, moved.rows)
            if not sound.all():
                clips = torch.arange(len(moved.lengths), device=device).repeat_interleave(moved.lengths)
                raise DatasetError(self._complaint(name, clips[~sound].cpu().numpy()))
            self._checked.add(name)
        self._known_labels = self._known_labels.to(device)
        self._shifts = {name: values.to(device) for name, values in self._shifts.items()}

    def make(self, positions: Positions) -> Batch:
        """Return the clips at these positions as one batch, on the device that holds the clips.

        Raises:
            DatasetError: if frames are not finite. Some networks hide that: an LSTM turns infinity into a finite score.
        """
        streams = {name: self.stream(name, positions) for name in self.modalities}
        index = self._on_device(positions)
        return Batch(index, self._known_labels[index], streams)

    def batches(self, plan: Iterable[Positions], device: torch.device) -> Iterator[Batch]:
        """Yield the batches of a plan on ``device``; the next ones are made while one is in use."""
        parts = iter(plan)
        first = list(islice(parts, 2))
        if len(first) == 1:  # such as one sentence: a thread would take longer than it saves
            yield self.make(first[0]).to(device)
            return
        with ThreadPoolExecutor(1) as thread:
            ahead: deque[Future[Batch]] = deque()
            try:
                for positions in chain(first, parts):
                    ahead.append(thread.submit(lambda clips: self.make(clips).to(device), positions))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def ragged(self, name: str) -> Ragged:
        """Return one modality of all clips."""
        return self._streams[name]

    def stream(self, name: str, positions: Positions) -> Stream:
        """Return one modality of these clips."""
        longest = max(int(self.lengths[name][positions].max()), 1)  # values need a shape even if no clip has any
        clips = self._on_device(positions)
        values, lengths = self._streams[name].padded(clips, longest)
        values = values.float() if values.is_floating_point() else values.long()
        if name not in self._checked and not (sound := self._sound(name, values)).all():
            raise DatasetError(self._complaint(name, positions[~sound.all(-1).numpy()]))
        if name in self._shifts:
            real = torch.arange(longest, device=lengths.device) < lengths[:, None]
            values = torch.where(real[:, :, None], values - self._shifts[name][clips][:, None], values)
        return Stream(values, lengths, lengths > 0)

    def _sound(self, name: str, values: Tensor) -> Tensor:
        """Return whether each frame, (...), is finite, or all NaN where the modality may have gaps."""
        if not values.is_floating_point():
            return torch.ones((), dtype=torch.bool)
        stored = self.dataset.modalities.get(name)
        finite = values.isfinite().all(-1)
        return finite | values.isnan().all(-1) if stored is not None and stored.gaps else finite

    def _on_device(self, positions: Positions) -> Tensor:
        return torch.from_numpy(np.asarray(positions, dtype=np.int64)).to(self._known_labels.device)

    def _complaint(self, name: str, positions: Positions) -> str:
        clips = self.dataset.samples["id"].iloc[self.rows[positions]].tolist()
        return (
            f"the {name} frames of clip {clips[0]!r} hold NaN or infinite values (`selfmm inspect` lists every such "
            "clip). Fix the features, or import them again with `non_finite='zero'`."
        )


def training_plan(
    cost: Positions, *, batch_size: int, accumulation: int, seed: int, epoch: int
) -> list[list[Positions]]:
    """Return the clips of every batch of every optimizer step of an epoch.

    Clips are shuffled by seed and epoch alone, then divided among the steps, and sorted by cost only within a step.
    The clips of a step, and so its gradient, are those of a plain shuffle, but there is less padding.

    Returns:
        A list of position arrays per step: ``accumulation`` arrays of ``batch_size`` each, except in the last step.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(cost))
    steps = cut(order, batch_size * accumulation)
    return [cut(step[np.argsort(cost[step], kind="stable")], batch_size) for step in steps]


def evaluation_plan(cost: Positions, batch_size: int) -> list[Positions]:
    """Return batches that hold every clip once, with clips of similar cost together."""
    return cut(np.argsort(cost, kind="stable"), batch_size)


def cut(order: Positions, size: int) -> list[Positions]:
    """Return ``order`` in parts of ``size``; the last part may be smaller."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def frame_statistics(
    dataset: Dataset, rows: Positions, modality: str, shifts: npt.NDArray[np.float32] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and standard deviation of each feature over all frames of these clips, both (dim,) float32.

    One pass in float64, clip by clip, with Chan's pairwise update, so memory does not grow with the data. Frames in
    which nothing could be measured do not count. ``shifts`` (n, dim) are first subtracted, as in `BatchMaker`.
    """
    dim, gaps = dataset.modalities[modality].dim or 0, dataset.modalities[modality].gaps
    count, mean, squares = 0, np.zeros(dim), np.zeros(dim)
    for place, row in enumerate(rows.tolist()):
        frames = dataset.frames(modality, row).astype(np.float64)
        frames = frames if shifts is None else frames - shifts[place]
        frames = frames[~np.isnan(frames).all(axis=1)] if gaps else frames
        if not len(frames):
            continue
        delta = frames.mean(axis=0) - mean
        total = count + len(frames)
        mean = mean + delta * (len(frames) / total)
        squares = squares + frames.var(axis=0) * len(frames) + delta**2 * (count * len(frames) / total)
        count = total
    deviation = np.sqrt(squares / max(count, 1))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


@dataclass(frozen=True)
class ClipBatch:
    """Some clips, padded to the longest of them.

    Attributes:
        ids, splits, texts: one entry per clip; a text is None where unknown.
        labels: (B,) float32 m-labels; NaN where unknown.
        streams: per modality with frames or token ids: values (B, L, dim) float32 or (B, L) int64 with zeros after the
            end of each clip, lengths (B,), and present (B,). L is at least 1.
    """

    ids: list[str]
    splits: list[str]
    texts: list[str | None]
    labels: Tensor
    streams: Mapping[str, Stream]


def collate(clips: Sequence[DatasetClip]) -> ClipBatch:
    """Pad clips to one batch: the ``collate_fn`` of a `torch.utils.data.DataLoader` over a data set.

    >>> import tempfile
    >>> from torch.utils.data import DataLoader, Subset
    >>> from selfmm.data.planted import PlantedSettings, write_planted
    >>> folder = tempfile.TemporaryDirectory()
    >>> dataset = write_planted(f"{folder.name}/planted", PlantedSettings(clips=30))
    >>> training_clips = Subset(dataset, dataset.rows("train"))
    >>> loader = DataLoader(training_clips, batch_size=8, shuffle=True, collate_fn=collate)
    >>> for batch in loader:
    ...     audio = batch.streams["audio"]
    ...     assert audio.values.shape == (len(batch.ids), audio.lengths.max(), 5)
    """
    return ClipBatch(
        ids=[clip.id for clip in clips],
        splits=[clip.split for clip in clips],
        texts=[clip.text for clip in clips],
        labels=torch.tensor([clip.label for clip in clips], dtype=torch.float32),
        streams={name: _padded([clip.frames[name] for clip in clips]) for name in clips[0].frames},
    )


def _padded(frames: Sequence[npt.NDArray[Any]]) -> Stream:
    lengths = torch.tensor([len(values) for values in frames])
    dtype = torch.float32 if frames[0].dtype.kind == "f" else torch.int64
    values = torch.zeros(len(frames), max(int(lengths.max()), 1), *frames[0].shape[1:], dtype=dtype)
    for row, of_clip in zip(values, frames, strict=True):
        row[: len(of_clip)] = torch.from_numpy(np.array(of_clip))
    return Stream(values, lengths, lengths > 0)
