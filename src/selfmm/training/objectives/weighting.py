"""How W_s weights the task of a modality: its whole loss, or only what its encoder learns from it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from selfmm.data.types import Output

Weighting = Literal["encoder", "published"]
"""The values of ``labels.weighting``."""


def scale_gradient(output: Output, name: str, weights: Tensor) -> None:
    """Multiply what the head of a modality passes back to its encoder by ``weights``, (B,), clip by clip.

    Raises:
        ValueError: if the model does not tell what its heads read.
    """
    if name not in output.head_inputs:
        raise ValueError(
            f"the model's Output has no head_inputs for {name!r}, so labels.weighting = 'encoder' cannot weight what "
            "the encoder learns. Make the Output with Model.output(), or set labels.weighting to 'published'."
        )
    inputs = output.head_inputs[name]
    if inputs.requires_grad:  # it does not if everything before the head is frozen
        inputs.register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: gradient * weights.to(gradient.dtype)[:, None]
        )
