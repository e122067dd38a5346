"""Training objectives: everything in which methods differ besides their network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from selfmm.data.types import Batch, Loss, Output


class Objective(nn.Module):
    """The loss of a model, and its state in buffers; without one, there is nothing to ``observe``."""

    clean_features: bool = False
    """Whether ``observe`` needs an output computed without dropout."""

    def forward(self, output: Output, batch: Batch) -> Loss:
        """Return the (B,) losses of a batch; ``batch.index`` are the clips' positions in the training split."""
        raise NotImplementedError

    def observe(self, output: Output, index: Tensor, epoch: int) -> None:
        """Update the state from a batch of ``training.batch_size`` clips.

        The trainer calls it after the backward passes and before the optimizer's step.

        Args:
            output: of the model, detached.
            index: (B,) long, the clips' positions in the training split.
            epoch: its number, starting at 1.
        """

    def end_epoch(self) -> Mapping[str, Mapping[str, float]]:
        """Return figures per task for the history; called after the last step of an epoch."""
        return {}
