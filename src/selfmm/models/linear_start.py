"""Put a linear score into a head of two or three layers, so that training begins from it.

relu(a) - relu(-a) = a. So two units of the first layer, with the weights w and -w, carry w.x through every ReLU, and
the last layer takes their difference. The other units keep their random weights, but the score does not read them yet:
their weights in the last layer are 0, and training changes these first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfmm.data.manifest import TEXT
from selfmm.models.base import Head, Model, Score
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
    return {name: (head, first) for name, (head, first) in heads.items() if head.dim >= 2}


@torch.no_grad()
def begin_with_linear(head: Head | ConcatenationFusion, weights: Tensor, bias: Tensor, first: int = 0) -> None:
    """Make the output of a head's last layer ``weights`` . x + ``bias``.

    Args:
        head: its projected feature has at least 2 units.
        weights: (d,).
        bias: (1,).
        first: x is the part of the head's input from this position to ``first`` + d.
    """
    project, *between = [layer for layer in (*head.project, *head.score) if isinstance(layer, nn.Linear)]
    score = between.pop()
    assert isinstance(score, Score)
    for layer in (project, *between):
        layer.weight[:2], layer.bias[:2] = 0, 0
    project.weight[:2, first : first + len(weights)] = torch.stack([weights, -weights])
    for layer in between:
        layer.weight[:2, :2] = torch.eye(2)
    score.weight.zero_()
    score.weight[0, :2] = torch.tensor([1.0, -1.0])
    score.bias.copy_(bias)
