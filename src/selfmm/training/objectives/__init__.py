"""Training objectives: everything in which methods differ except their network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from selfmm.data.types import Batch, Loss, Output


class Objective(Protocol):
    """The loss of a model and the state that belongs to it; an ``nn.Module`` whose buffers are that state."""

    clean_features: bool
    """Whether ``observe`` needs an output computed without dropout."""

    def __call__(self, output: Output, batch: Batch) -> Loss:
        """Return the (B,) losses of a batch."""

    def observe(self, output: Output, index: Tensor, epoch: int) -> None:
        """Update the state from a batch of ``training.batch_size`` clips.

        The trainer calls it after the backward passes and before the optimizer's step.

        Args:
            output: of the model, detached.
            index: (B,) long, the clips' positions in the training split.
            epoch: starting at 1.
        """

    def end_epoch(self) -> Mapping[str, Mapping[str, float]]:
        """Return figures per task for the history; called after the last step of an epoch."""
