"""Objectives without generated labels: the fused task alone, or with people's labels per modality."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from selfmm.data.types import Batch, Loss, Output
from selfmm.training.objectives import Objective


def total_loss(
    parts: Mapping[str, Tensor], output: Output, unit: float, head_weights: Mapping[str, Tensor] | None = None
) -> Loss:
    """Return the sum of the tasks' errors, in units of the label scale, and of the model's own terms.

    Args:
        parts: per task, (B,) absolute errors on the scale of the labels, with gradient.
        output: its ``terms`` are added as they are.
        unit: of the label scale, > 0; errors are divided by it, so learning rates and clipping fit every scale.
        head_weights: as in ``Loss``.
    """
    total = torch.stack([*parts.values()]).sum(dim=0) / unit
    for term in output.terms.values():
        total = total + term
    tasks = {name: part.detach() for name, part in {**parts, **output.terms}.items()}
    return Loss(per_clip=total, tasks=tasks, head_weights=head_weights or {})


class FusedObjective(Objective):
    """L = mean over clips of |y^_m - y_m|, plus the model's own terms.

    Args:
        unit: of the label scale, > 0; see :class:`selfmm.data.scales.LabelScale`.
    """

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, output: Output, batch: Batch) -> Loss:
        return total_loss({"fusion": (output.fusion - batch.labels).abs()}, output, self.unit)


class HumanObjective(FusedObjective):
    """L = mean over clips of |y^_m - y_m| + sum_s |y^_s - y_s|, with labels y_s by people.

    A clip without a modality or a label for it does not count in that modality's task.

    Source: Yu et al., CH-SIMS, ACL 2020, https://aclanthology.org/2020.acl-main.343, section 4.3, with all weights 1.

    Args:
        labels: per modality, (N,) labels of the training clips by people; NaN where unknown.
        unit: as for ``FusedObjective``.
    """

    def __init__(self, labels: Mapping[str, Tensor], unit: float) -> None:
        super().__init__(unit)
        # Not part of a checkpoint, because they come from the data.
        for name, values in labels.items():
            self.register_buffer(f"labels_{name}", values, persistent=False)

    def forward(self, output: Output, batch: Batch) -> Loss:
        parts = {"fusion": (output.fusion - batch.labels).abs()}
        for name, score in output.unimodal.items():
            target = getattr(self, f"labels_{name}")[batch.index].to(score.dtype)
            known = output.present[name] & target.isfinite()
            # Replace unknown labels before the difference: otherwise the gradient would be 0 times NaN, not 0.
            parts[name] = torch.where(known, (score - target.where(known, score.detach())).abs(), 0.0)
        return total_loss(parts, output, self.unit)
