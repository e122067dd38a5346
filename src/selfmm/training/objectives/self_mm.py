"""The objective of Self-MM: the fused task learns the m-labels, each modality's task generated labels."""

from __future__ import annotations

from torch import Tensor

from selfmm.data.types import Batch, Loss, Output
from selfmm.labels import EstimatedLabels, Outcome, UnimodalLabelGenerator
from selfmm.labels.base import key
from selfmm.labels.shared import SharedLabelGenerator
from selfmm.training.objectives import Objective
from selfmm.training.objectives.fused import total_loss
from selfmm.training.objectives.weighting import Weighting, scale_gradient


class SelfMMObjective(Objective):
    """L = mean over clips of |y^_m - y_m| + sum_s |y^_s - y_s|, with W_s = tanh |y_s - y_m| on what encoders get of it.

    Two weightings:

    - ``published``: W_s scales the whole term of a modality, W_s |y^_s - y_s|. The gradient of the head *and* of its
      encoder are multiplied by it, so a head learns nothing while its labels are the m-labels.
    - ``encoder``: the same gradient goes into the encoder, but the head learns with weight 1. W_s is applied where the
      gradient leaves the head: the gradient of the head's input is multiplied by W_s, clip by clip.

    Labels that were estimated before training have W_s = 1; see :class:`selfmm.labels.estimated.ClipLabels`.

    A label that people fixed has a weight that says how much to trust it. In both weightings it scales the whole term,
    and W_s is 1. A clip without a modality does not count in that modality's task.

    Source: Yu et al., AAAI 2021, https://arxiv.org/abs/2102.04830, equations 17-18 and algorithm 1.

    Args:
        generator: generates the labels y_s; its state is part of this module's state.
        clean_features: whether the generator gets features computed without dropout.
        weighting: see above.
    """

    def __init__(
        self,
        generator: UnimodalLabelGenerator | SharedLabelGenerator | EstimatedLabels,
        *,
        clean_features: bool = True,
        weighting: Weighting = "encoder",
    ) -> None:
        super().__init__()
        self.generator, self.weighting = generator, weighting
        self.clean_features = clean_features and not isinstance(generator, EstimatedLabels)
        for name, outcome in generator.outcomes.items():
            # They never change, so they are looked up once, and are not part of a checkpoint.
            self.register_buffer(f"fixed_{key(name)}", outcome == int(Outcome.FIXED), persistent=False)

    def forward(self, output: Output, batch: Batch) -> Loss:
        parts, heads = {"fusion": (output.fusion - batch.labels).abs()}, {}
        weights = self.generator.weights(batch.index)
        for name, score in output.unimodal.items():
            target = self.generator.labels[name][batch.index].to(score.dtype)
            weight = weights[name].to(score.dtype)
            if self.weighting == "encoder":
                fixed: Tensor = getattr(self, f"fixed_{key(name)}")[batch.index]
                scale_gradient(output, name, weight.where(~fixed, 1.0))
                weight = weight.where(fixed, 1.0)
            heads[name] = weight.where(output.present[name], 0.0)
            parts[name] = (weight * (score - target).abs()).where(output.present[name], 0.0)
        return total_loss(parts, output, self.generator.unit, heads)

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
