"""Explain a loss that is not finite: the clip and the most likely cause, for the message that stops the run."""

from __future__ import annotations

import torch
from torch import nn

from selfmm.data.types import Batch, Loss


def explain_non_finite(batch: Batch, loss: Loss, model: nn.Module, names: list[str], epoch: int) -> str:
    """Return a message that names the first clip with such a loss, the cause, and what to do."""
    first = int(torch.nonzero(~torch.isfinite(loss.per_clip.detach()))[0, 0])
    clip = names[int(batch.index[first])]
    tasks = [task for task, values in loss.tasks.items() if not torch.isfinite(values[first])]
    lead = f"epoch {epoch}: the loss of clip {clip!r} is not finite (task: {', '.join(tasks)})."
    if not torch.isfinite(batch.labels[first]):
        return f"{lead} Its label is {float(batch.labels[first])}; correct the label or remove the clip."
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return (
                f"{lead} The weights {name} overflowed in an earlier step. "
                "Lower the learning rates or set training.clip_norm (for example 1.0)."
            )
    return (
        f"{lead} Its input and the weights are finite, so the forward pass overflowed: look for very large "
        "features (`selfmm inspect`), set standardise = true for them, or use training.precision = fp32."
    )
