"""Values passed between data, models and objectives: `Batch` into a model, `Output` out of it, `Loss` of an objective.

B is the number of clips, L the longest length in the batch, d a modality's dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Stream:
    """One modality of a batch.

    Attributes:
        values: (B, L, d) float frames, or (B, L) int64 token ids; padded to the longest clip of the batch.
        lengths: (B,) int64, frames per clip without padding; 0 where the clip lacks the modality.
        present: (B,) bool, ``lengths > 0``.
    """

    values: Tensor
    lengths: Tensor
    present: Tensor

    def to(self, device: torch.device) -> Stream:
        return Stream(_move(self.values, device), _move(self.lengths, device), _move(self.present, device))


@dataclass(frozen=True)
class Batch:
    """Some clips of one split.

    Attributes:
        index: (B,) int64, position of each clip within its split, by which a label generator identifies it.
        labels: (B,) float32 m-labels; NaN where unknown.
        streams: one per modality.
    """

    index: Tensor
    labels: Tensor
    streams: Mapping[str, Stream]

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device) -> Batch:
        streams = {name: stream.to(device) for name, stream in self.streams.items()}
        return Batch(_move(self.index, device), _move(self.labels, device), streams)


@dataclass(frozen=True)
class Output:
    """Output of a model for a batch. Scores are on the scale of the labels.

    Attributes:
        fusion: (B,) scores of all modalities together, y^_m.
        unimodal: per modality, (B,) scores of this modality alone, y^_s.
        fusion_feature: (B, D) F_m*.
        features: per modality, (B, d) F_s*.
        encoded: per modality, (B, d') F_s, the output of the encoder, or its substitute where the modality is missing.
        head_inputs: per modality with a task of its own, (B, d) what its head reads, and only its head: a gradient that
            is changed here changes what the encoder learns from this task. Empty in ``detach``, ``part`` and ``join``.
        present: per modality, (B,) bool.
        terms: further losses of the model by name, (B,) each, weighted and without a unit; a loss over the whole batch
            is repeated for every clip.
        deviation: (B,) deviation of ``fusion`` over the members of an ensemble (over n - 1); None for one model.

    ``unimodal`` and ``features`` have only the modalities with a task of their own.
    """

    fusion: Tensor
    unimodal: Mapping[str, Tensor]
    fusion_feature: Tensor
    features: Mapping[str, Tensor]
    encoded: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    head_inputs: Mapping[str, Tensor] = field(default_factory=dict)
    deviation: Tensor | None = None

    def detach(self) -> Output:
        """Return the output without gradients."""
        return Output.join([self], lambda parts: parts[0].detach())

    def part(self, rows: slice) -> Output:
        """Return the output for some of the clips."""
        return Output.join([self], lambda parts: parts[0][rows])

    @staticmethod
    def join(outputs: Sequence[Output], how: Callable[[list[Tensor]], Tensor] = torch.cat) -> Output:
        """Return one output for the clips of several batches, in their order."""

        def per_modality(parts: list[Mapping[str, Tensor]]) -> dict[str, Tensor]:
            return {name: how([part[name] for part in parts]) for name in parts[0]}

        return Output(
            fusion=how([output.fusion for output in outputs]),
            unimodal=per_modality([output.unimodal for output in outputs]),
            fusion_feature=how([output.fusion_feature for output in outputs]),
            features=per_modality([output.features for output in outputs]),
            encoded=per_modality([output.encoded for output in outputs]),
            present=per_modality([output.present for output in outputs]),
            terms=per_modality([output.terms for output in outputs]),
        )


@dataclass(frozen=True)
class Loss:
    """A loss before averaging: the gradient must not depend on how clips are grouped into micro-batches.

    Attributes:
        per_clip: (B,) the loss to minimise, with gradient.
        tasks: per task (``fusion``, each modality with a task, the terms of the model), (B,) its part, detached.
        head_weights: per modality with a weighted task, (B,) the weight with which its head learns from the clip.
    """

    per_clip: Tensor
    tasks: Mapping[str, Tensor]
    head_weights: Mapping[str, Tensor] = field(default_factory=dict)

    def nothing(self) -> Loss:
        """Return a loss of 0 with the same clips and tasks."""

        def zeros(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: torch.zeros_like(part) for name, part in parts.items()}

        return Loss(torch.zeros_like(self.per_clip), zeros(self.tasks), zeros(self.head_weights))


def _move(values: Tensor, device: torch.device) -> Tensor:
    """Copy to the device without waiting; only pinned memory can be copied while the device computes."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
