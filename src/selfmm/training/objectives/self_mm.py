"""The objective of Self-MM: the fused task learns the m-labels, each modality's task generated labels."""

from __future__ import annotations

import torch
from torch import Tensor

from selfmm.data.types import Batch, Loss, Output
from selfmm.labels import EstimatedLabels, UnimodalLabelGenerator
from selfmm.labels.shared import SharedLabelGenerator
from selfmm.training.objectives import Objective
from selfmm.training.objectives.fused import total_loss


class SelfMMObjective(Objective):
    """L = mean over clips of |y^_m - y_m| + sum_s W_s |y^_s - y_s|, W_s = tanh |y_s - y_m|.

    In epoch 1 every W_s is 0, so the unimodal heads get no gradient. A clip without a modality does not count in that
    modality's task.

    Source: Yu et al., AAAI 2021, https://arxiv.org/abs/2102.04830, equations 17-18 and algorithm 1.

    Args:
        generator: generates the labels y_s; its state is part of this module's state.
        clean_features: whether the generator gets features computed without dropout.
    """

    def __init__(
        self,
        generator: UnimodalLabelGenerator | SharedLabelGenerator | EstimatedLabels,
        *,
        clean_features: bool = True,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.clean_features = clean_features and not isinstance(generator, EstimatedLabels)

    def forward(self, output: Output, batch: Batch) -> Loss:
        parts = {"fusion": (output.fusion - batch.labels).abs()}
        weights = self.generator.weights(batch.index)
        for name, score in output.unimodal.items():
            target = self.generator.labels[name][batch.index].to(score.dtype)
            error = weights[name].to(score.dtype) * (score - target).abs()
            parts[name] = torch.where(output.present[name], error, torch.zeros_like(error))
        return total_loss(parts, output, self.generator.unit)

    def observe(self, output: Output, index: Tensor, epoch: int) -> None:
        """Generate new labels for these clips and move the class centres (algorithm 1); estimated labels stay."""
        if isinstance(self.generator, EstimatedLabels):
            return
        present = {name: output.present[name] for name in output.features}
        self.generator.update(output.fusion_feature, output.features, index, epoch, present=present)

    def end_epoch(self) -> dict[str, dict[str, float]]:
        """Recompute the running sums, so rounding errors do not add up; return figures of the class centres."""
        if isinstance(self.generator, EstimatedLabels):
            return {}
        self.generator.resync()
        return self.generator.figures()
