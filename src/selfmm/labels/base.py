"""What the label generators share: a stream per modality, positions that fit, and moving without rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from selfmm.labels.outcomes import Outcome
from selfmm.labels.settings import shape


class GeneratorBase(nn.Module):
    """A generator of labels for clips 0 to N - 1, with one module of per-clip buffers per modality.

    ``.to(device)`` moves all of it; ``.half()`` changes nothing, because sums and labels would be rounded.

    Args:
        streams: per modality a module with buffers ``labels`` (N, ...) and ``outcome`` (N,).
    """

    def __init__(self, streams: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(streams)
        self.streams = nn.ModuleDict({key(name): stream for name, stream in streams.items()})

    @property
    def labels(self) -> dict[str, Tensor]:
        """(N, ...) current u-labels per modality: the live state, changed by the next ``update``. Clone to keep them;
        after writing into them call ``resync``, or the centres count the old classes."""
        return {name: self._stream(name).labels for name in self.names}

    @property
    def outcomes(self) -> dict[str, Tensor]:
        """(N,) uint8 per modality: the :class:`selfmm.labels.Outcome` of the clip's last ``update``. Live."""
        return {name: self._stream(name).outcome for name in self.names}

    def counts(self) -> dict[str, dict[str, int]]:
        """Per modality, how many of this process's labels have which outcome, those with none left out."""
        found = {name: torch.bincount(codes.long(), minlength=len(Outcome)) for name, codes in self.outcomes.items()}
        return {
            name: {outcome.word: int(number) for outcome, number in zip(Outcome, numbers, strict=True) if number}
            for name, numbers in found.items()
        }

    def _stream(self, name: str) -> Any:
        return self.streams[key(name)]

    def _check_index(self, index: Tensor) -> Tensor:
        """The index on the generator's device; raises ValueError."""
        if index.ndim != 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
            raise ValueError(f"index is {shape(index)} {index.dtype}; give a 1-D tensor of integers (torch.long)")
        labels = self.labels[self.names[0]]
        if index.device.type == "cpu" and len(index):
            low, high = int(index.min()), int(index.max())
            if low < 0 or high >= len(labels):
                raise ValueError(f"index runs from {low} to {high}; give positions from 0 to {len(labels) - 1}")
        return index.to(labels.device, torch.long)

    def _stays(self, buffer: Tensor) -> bool:
        """Whether a buffer never leaves its device."""
        return False

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # torch's hook behind .to(), .cuda() and .half()
        def keeping_dtype(buffer: Tensor) -> Tensor:
            if self._stays(buffer):
                return buffer
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        super()._apply(keeping_dtype, recurse)  # type: ignore[no-untyped-call]
        return self


def key(name: str) -> str:
    """A module's name for a modality: a module may not be called "type" or "pop"; a modality may."""
    return f"of_{name}"
