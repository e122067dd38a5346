"""The base of the label generators: one module of buffers per modality, and checks of positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from selfmm.labels.outcomes import Outcome
from selfmm.labels.settings import shape


class GeneratorBase(nn.Module):
    """Generates labels of clips 0 to N - 1, with one module of per-clip buffers per modality.

    ``.to(device)`` moves all state; ``.half()`` changes nothing, because sums and labels would be rounded.

    Args:
        streams: per modality a module with buffers ``labels`` (N, ...) and ``outcome`` (N,).
    """

    def __init__(self, streams: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(streams)
        # "streams" is part of the keys of the state, which reports of older runs read.
        self.streams = nn.ModuleDict({key(name): space for name, space in streams.items()})
        self.register_load_state_dict_pre_hook(rename_keys)  # type: ignore[no-untyped-call]

    @property
    def labels(self) -> dict[str, Tensor]:
        """(N, ...) current u-labels per modality: the live state, which the next ``update`` changes.

        Clone them to keep them. After changing them call ``resync``, or the centres count the old classes.
        """
        return {name: self._space(name).labels for name in self.names}

    @property
    def outcomes(self) -> dict[str, Tensor]:
        """(N,) uint8 per modality: the :class:`selfmm.labels.Outcome` of the clip's last ``update``. Live."""
        return {name: self._space(name).outcome for name in self.names}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return, per modality, the number of this process's labels by outcome; empty outcomes are left out."""
        counts = {name: torch.bincount(codes.long(), minlength=len(Outcome)) for name, codes in self.outcomes.items()}
        return {
            name: {outcome.word: int(number) for outcome, number in zip(Outcome, numbers, strict=True) if number}
            for name, numbers in counts.items()
        }

    def _space(self, name: str) -> Any:
        return self.streams[key(name)]

    def _check_index(self, index: Tensor) -> Tensor:
        """Return the index on the generator's device; raise ``ValueError`` if it does not hold positions of clips."""
        if index.ndim != 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
            raise ValueError(f"index is {shape(index)} {index.dtype}; give a 1-D tensor of integers (torch.long)")
        labels = self.labels[self.names[0]]
        if index.device.type == "cpu" and len(index):
            low, high = int(index.min()), int(index.max())
            if low < 0 or high >= len(labels):
                raise ValueError(f"index runs from {low} to {high}; give positions from 0 to {len(labels) - 1}")
        return index.to(labels.device, torch.long)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The hook of torch behind .to(), .cuda() and .half().
        def keeping_dtype(buffer: Tensor) -> Tensor:
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        super()._apply(keeping_dtype, recurse)  # type: ignore[no-untyped-call]
        return self


def key(name: str) -> str:
    """Return the name of a modality's module; the prefix allows modalities like "type", a name that torch reserves."""
    return f"of_{name}"


_FORMER_KEYS = {"given": "fixed_weights"}


def rename_keys(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Rename the keys of a state in place, so a state that an older version saved can be loaded."""
    for old in list(state):
        parts = old.removeprefix(prefix).split(".")
        state[prefix + ".".join(_FORMER_KEYS.get(part, part) for part in parts)] = state.pop(old)
