"""Sequences of unlike length, one after the other in one array, and padded batches of them without a loop."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """n sequences.

    Attributes:
        rows: (T, d) or (T,) what they consist of; may be a file mapped into memory.
        starts: (n,) int64, where each begins in ``rows``.
        lengths: (n,) int64, on the device of ``rows`` like ``starts``.
    """

    rows: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: npt.NDArray[Any], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Ragged:
        """Shares the memory of ``rows``."""
        with warnings.catch_warnings():
            # A file that is mapped for reading: nothing here ever writes into a batch's source.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return cls(torch.from_numpy(rows), torch.from_numpy(starts), torch.from_numpy(lengths))

    def part(self, positions: npt.NDArray[np.int64]) -> Ragged:
        """The sequences at these positions; nothing is copied."""
        at = torch.from_numpy(positions)
        return Ragged(self.rows, self.starts[at], self.lengths[at])

    @property
    def nbytes(self) -> int:
        """Of the sequences themselves, whatever else ``rows`` holds."""
        wide = self.rows.shape[1] if self.rows.ndim == 2 else 1
        return int(self.lengths.sum()) * wide * self.rows.element_size()

    def to(self, device: torch.device) -> Ragged:
        """A copy of the sequences alone, one after the other."""
        clips = torch.arange(len(self.lengths)).repeat_interleave(self.lengths)
        starts = self.lengths.cumsum(0) - self.lengths
        places = torch.arange(len(clips)) - starts[clips] + self.starts[clips]
        return Ragged(self.rows[places].to(device), starts.to(device), self.lengths.to(device))

    def padded(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """The sequences at ``positions``, (B, longest) or (B, longest, d), zeros behind their ends; and their lengths.

        Args:
            positions: (B,) int64, on the device of ``rows``.
            longest: of them, at least 1; given, so that nothing waits for the device.
        """
        lengths = self.lengths[positions].clamp(max=longest)
        steps = torch.arange(longest, device=lengths.device)
        real = steps < lengths[:, None]
        if not len(self.rows):
            return self.rows.new_zeros(len(positions), longest, *self.rows.shape[1:]), lengths
        values = self.rows[(self.starts[positions][:, None] + steps).where(real, 0)]
        real = real if values.ndim == 2 else real[:, :, None]
        return values.where(real, torch.zeros((), dtype=values.dtype, device=values.device)), lengths
