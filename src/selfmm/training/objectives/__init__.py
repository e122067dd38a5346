"""What a model is trained for. All that differs between methods beyond their network is here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from selfmm.data.types import Batch, Loss, Output


class Objective(Protocol):
    """An ``nn.Module`` whose buffers are the method's state.

    ``__call__`` gives the loss; ``observe`` is called with each batch of ``training.batch_size`` clips, detached, after
    the backward passes and before the optimizer's step; ``index`` (B,) are the clips' positions in the split.
    ``end_epoch`` is called after the last step of an epoch; it returns figures per task for the history.
    """

    clean_features: bool
    """Whether ``observe`` wants an output computed without dropout."""

    def __call__(self, output: Output, batch: Batch) -> Loss: ...

    def observe(self, output: Output, index: Tensor, epoch: int) -> None: ...

    def end_epoch(self) -> Mapping[str, Mapping[str, float]]: ...
