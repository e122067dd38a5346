"""The objectives of models that make no labels: the fused task alone, or with people's labels per modality."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selfmm.data.types import Batch, Loss, Output


def total_loss(parts: Mapping[str, Tensor], output: Output, unit: float) -> Loss:
    """Loss of tasks and of the model's own terms.

    Args:
        parts: per task (B,) its error on the scale of the labels, with gradient.
        output: whose ``terms`` are added as they are.
        unit: of the scale, so that learning rates, decay and clipping mean the same on every one.
    """
    total = torch.stack([*parts.values()]).sum(dim=0) / unit
    for term in output.terms.values():
        total = total + term
    return Loss(per_clip=total, tasks={name: part.detach() for name, part in {**parts, **output.terms}.items()})


class FusedObjective(nn.Module):
    """L = mean over clips of |y^_m - y_m|, and the model's own terms.

    Args:
        unit: of the labels' scale; see :class:`selfmm.data.scales.LabelScale`.
    """

    clean_features = False

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, output: Output, batch: Batch) -> Loss:
        """(B,) losses of a batch."""
        return total_loss({"fusion": (output.fusion - batch.labels).abs()}, output, self.unit)

    def observe(self, output: Output, index: Tensor, epoch: int) -> None:
        """There is nothing to learn from it."""

    def end_epoch(self) -> dict[str, dict[str, float]]:
        return {}


class HumanObjective(FusedObjective):
    """L = mean over clips of |y^_m - y_m| + sum_s |y^_s - y_s| with people's y_s (Yu et al., CH-SIMS, ACL 2020, section
    4.3, with all weights 1).

    A clip that lacks a stream, or whose label for it nobody gave, has no part in that modality's task.

    Args:
        labels: per modality (N,) what people said of the training clips; NaN where unknown.
        unit: as of ``FusedObjective``.
    """

    def __init__(self, labels: Mapping[str, Tensor], unit: float) -> None:
        super().__init__(unit)
        # Not part of a checkpoint: they are read with the data.
        for name, values in labels.items():
            self.register_buffer(f"labels_{name}", values, persistent=False)

    def forward(self, output: Output, batch: Batch) -> Loss:
        """(B,) losses of a batch; ``batch.index`` are the clips' numbers in ``labels``."""
        parts = {"fusion": (output.fusion - batch.labels).abs()}
        for name, score in output.unimodal.items():
            target = getattr(self, f"labels_{name}")[batch.index].to(score.dtype)
            known = output.present[name] & target.isfinite()
            # Before the difference, not after: the gradient of what is left out must be 0, and not 0 times NaN.
            parts[name] = torch.where(known, (score - target.where(known, score.detach())).abs(), 0.0)
        return total_loss(parts, output, self.unit)
