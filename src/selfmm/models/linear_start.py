"""Put a score of words into a head of two or three layers, so that training begins from it.

The first units of each layer are those of the score. A linear one, w.x, needs two: relu(a) - relu(-a) = a, so the
weights w and -w carry it through every ReLU, and the last layer takes their difference. The other units keep their
random weights, but the score does not read them yet: their weights in the last layer are 0, and training changes these
first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from selfmm.data.manifest import TEXT
from selfmm.models.base import Head, Model
from selfmm.models.late_fusion import ConcatenationFusion, LateFusion


def heads_of_text(model: Model) -> dict[str, tuple[Head | ConcatenationFusion, int]]:
    """Return the heads that read the text encoder's output: by name, each with the position where it begins.

    Empty for models that change this output before their heads read it.
    """
    if not isinstance(model, LateFusion) or type(model).combine is not LateFusion.combine or TEXT not in model.dims:
        return {}
    heads: dict[str, tuple[Head | ConcatenationFusion, int]] = {}
    if TEXT in model.heads and isinstance(head := model.heads[TEXT], Head):
        heads[f"heads.{TEXT}"] = head, 0
    fusion = model.fusion
    if isinstance(fusion, ConcatenationFusion):
        before = fusion.names[: fusion.names.index(TEXT)]
        heads["fusion"] = fusion, sum(model.dims[name] for name in before)
    return heads


Layers = Sequence[tuple[Tensor, Tensor]]
"""The weights and biases of a head's linear layers, with ReLUs between: (u, d) and (u,), ..., (1, u) and (1,)."""


def fuses_plainly(model: type[Model]) -> bool:
    """Return whether the fused score of a model is that of a head on the encoders' outputs, side by side."""
    if not issubclass(model, LateFusion):
        return False
    return model.combine is LateFusion.combine and model.make_fusion is LateFusion.make_fusion


def linear_layers(weights: Tensor, bias: Tensor) -> Layers:
    """Return ``weights`` . x + ``bias``, with (d,) and (1,), as two layers."""
    return [(torch.stack([weights, -weights]), weights.new_zeros(2)), (weights.new_tensor([[1.0, -1.0]]), bias)]


def fits(head: Head | ConcatenationFusion, layers: Layers) -> bool:
    """Return whether the head has enough layers, and enough units in each."""
    return len(_linear(head)) >= len(layers) and head.dim >= len(layers[0][1])


@torch.no_grad()
def begin_with(head: Head | ConcatenationFusion, layers: Layers, first: int = 0) -> None:
    """Make the output of a head's last layer that of ``layers``, which fit.

    Args:
        first: they read the part of the head's input from this position to ``first`` + d.
    """
    ours, units = _linear(head), len(layers[0][1])
    identity = (torch.eye(units), torch.zeros(units))
    theirs = [*layers[:-1], *[identity] * (len(ours) - len(layers)), layers[-1]]
    for number, (layer, (weights, bias)) in enumerate(zip(ours, theirs, strict=True)):
        rows, start = len(bias), 0 if number else first
        layer.weight[:rows] = 0
        layer.weight[:rows, start : start + weights.shape[1]] = weights
        layer.bias[:rows] = bias


def _linear(head: Head | ConcatenationFusion) -> list[nn.Linear]:
    return [layer for layer in (*head.project, *head.score) if isinstance(layer, nn.Linear)]
