"""From stored clips to batches: padded to the longest clip of the batch, never to that of the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from selfmm.data.store import Dataset, Modality
from selfmm.errors import DatasetError
from selfmm.types import Batch, Stream

Positions = npt.NDArray[np.int64]


class BatchMaker:
    """Makes batches of some clips of a data set. A modality that the data set lacks is missing in every clip.

    Args:
        dataset: where the frames lie.
        rows: (n,) row numbers of the clips; a clip's position among them is its ``Batch.index``.
        modalities: what to read, as the model wants it.
        tokens: token ids per clip, for text that lives in the table as words.
        max_tokens: token ids stored in the data set are cut to this many.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Positions,
        modalities: Mapping[str, Modality],
        *,
        tokens: Sequence[npt.NDArray[np.int64]] | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.rows = rows
        self.modalities = dict(modalities)
        self.labels = dataset.labels()[rows].astype(np.float32)
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._offsets: dict[str, Positions] = {}
        self.lengths = {name: self._index_modality(name) for name in self.modalities}

    def _index_modality(self, name: str) -> Positions:
        stored = self.dataset.modalities.get(name)
        if stored is None:
            return np.zeros(len(self.rows), dtype=np.int64)
        if stored.kind == "text":
            if self._tokens is None:
                raise ValueError(f"modality {name!r} is words in the table: pass their token ids")
            return np.array([len(ids) for ids in self._tokens], dtype=np.int64)
        self._offsets[name] = self.dataset.samples[f"{name}_offset"].to_numpy(dtype=np.int64)[self.rows]
        lengths = self.dataset.lengths(name)[self.rows]
        if stored.kind == "tokens" and self._max_tokens is not None:
            return np.minimum(lengths, self._max_tokens)
        return lengths

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def cost(self) -> Positions:
        """(n,) what a clip costs to encode, for batching clips of like cost: its words, or else its frames."""
        for name in self.modalities:
            if self.modalities[name].kind != "frames":
                return self.lengths[name]
        total: Positions = np.sum(list(self.lengths.values()), axis=0)
        return total

    def make(self, positions: Positions) -> Batch:
        """The clips at these positions, as one batch on the CPU.

        Raises:
            DatasetError: frames are not finite. Some networks hide that: an LSTM makes a finite score of infinity.
        """
        return Batch(
            index=torch.from_numpy(np.asarray(positions, dtype=np.int64)),
            labels=torch.from_numpy(self.labels[positions]),
            streams={name: self._stream(name, positions) for name in self.modalities},
        )

    def _stream(self, name: str, positions: Positions) -> Stream:
        lengths = self.lengths[name][positions]
        longest = max(int(lengths.max()), 1)  # a batch in which nobody has the stream still has a shape
        dim = self.modalities[name].dim
        values: npt.NDArray[Any] = (
            np.zeros((len(positions), longest), dtype=np.int64)
            if dim is None
            else np.zeros((len(positions), longest, dim), dtype=np.float32)
        )
        for i, (position, length) in enumerate(zip(positions.tolist(), lengths.tolist(), strict=True)):
            if length:
                values[i, :length] = self._read(name, position, length)
        if dim is not None and not np.isfinite(values).all():
            raise DatasetError(self._complaint(name, positions[~np.isfinite(values).all(axis=(1, 2))]))
        ends = torch.from_numpy(lengths)
        return Stream(torch.from_numpy(values), ends, ends > 0)

    def _complaint(self, name: str, positions: Positions) -> str:
        clips = self.dataset.samples["id"].iloc[self.rows[positions]].tolist()
        return (
            f"the {name} frames of clip {clips[0]!r} hold NaN or infinite values (`selfmm inspect` lists every such "
            "clip). Repair the features, or import them anew with --non-finite zero."
        )

    def _read(self, name: str, position: int, length: int) -> npt.NDArray[Any]:
        if name not in self._offsets:
            assert self._tokens is not None
            return self._tokens[position]
        start = int(self._offsets[name][position])
        return self.dataset.matrix(name)[start : start + length]


def training_plan(
    cost: Positions, *, batch_size: int, accumulation: int, seed: int, epoch: int
) -> list[list[Positions]]:
    """Which clips go into which forward pass of which optimizer step of an epoch.

    Clips are shuffled by seed and epoch alone, then dealt to steps; only within a step are they sorted by
    cost. So a step's clips, and with them its gradient, are those of a plain shuffle, and padding shrinks.

    Returns:
        Per step a list of position arrays, ``accumulation`` of ``batch_size`` each but for the last step.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(cost))
    size = batch_size * accumulation
    steps = [order[start : start + size] for start in range(0, len(order), size)]
    return [_cut(step[np.argsort(cost[step], kind="stable")], batch_size) for step in steps]


def evaluation_plan(cost: Positions, batch_size: int) -> list[Positions]:
    """Every clip once, those of like cost together."""
    return _cut(np.argsort(cost, kind="stable"), batch_size)


def _cut(order: Positions, size: int) -> list[Positions]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def frame_statistics(dataset: Dataset, rows: Positions, modality: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each feature over all frames of the given clips, both (dim,) float32.

    One pass in float64, a clip at a time, by Chan's pairwise update: memory does not grow with the data.
    """
    dim = dataset.modalities[modality].dim or 0
    count, mean, squares = 0, np.zeros(dim), np.zeros(dim)
    for row in rows.tolist():
        frames = dataset.frames(modality, row).astype(np.float64)
        if not len(frames):
            continue
        delta = frames.mean(axis=0) - mean
        total = count + len(frames)
        mean = mean + delta * (len(frames) / total)
        squares = squares + frames.var(axis=0) * len(frames) + delta**2 * (count * len(frames) / total)
        count = total
    deviation = np.sqrt(squares / max(count, 1))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()
