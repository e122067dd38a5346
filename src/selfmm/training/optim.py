"""The optimizer: one group of parameters per encoder and one for the rest, each with its own rate and decay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from selfmm.config.settings import Settings
from selfmm.models.base import Model
from selfmm.models.text import TransformerEncoder

_NO_DECAY = ("bias", "LayerNorm.weight", "layer_norm.weight", "layernorm.weight")

_CACHED = 2**16  # numbers
_WARM_UP = 0.1


def parameter_groups(model: Model, settings: Settings) -> list[dict[str, Any]]:
    """Return groups of parameters: each encoder has its own learning rate and decay, the rest has those of the fusion.

    The biases and LayerNorms of a transformer are not decayed; the weights of its layers (``text.layer=weighted``) are
    part of the rest. Parameters without a gradient are left out.
    """
    groups: list[dict[str, Any]] = []
    for name, encoder in model.encoders.items():
        words = encoder.model if isinstance(encoder, TransformerEncoder) else None
        branch = settings.stream_for(name) if words is None else settings.text
        decayed, plain = (_trainable(encoder), []) if words is None else _split_by_decay(words)
        groups.append({"params": decayed, "lr": branch.lr, "weight_decay": branch.weight_decay})
        groups.append({"params": plain, "lr": branch.lr, "weight_decay": 0.0})
    named = {id(parameter) for group in groups for parameter in group["params"]}
    rest = [parameter for parameter in _trainable(model) if id(parameter) not in named]
    groups.append({"params": rest, "lr": settings.fusion.lr, "weight_decay": settings.fusion.weight_decay})
    return [group for group in groups if group["params"]]


def make_optimizer(model: Model, settings: Settings, steps: int) -> torch.optim.Optimizer:
    """Return the optimizer that ``training.optimizer`` names, for the groups of ``parameter_groups``.

    Args:
        steps: of an epoch.
    """
    limits = settings.training
    kept = max(1 - 1 / (limits.average * steps), 0.0) if limits.average else 0.0
    return DecayingAdam(parameter_groups(model, settings), decoupled=limits.optimizer == "adamw", kept=kept)


def rate_factor(schedule: str, done: float) -> float:
    """Return what the learning rates are multiplied by when the part ``done`` of all steps is over.

    >>> [round(rate_factor("linear", done), 3) for done in (0.05, 0.1, 0.55)]
    [0.5, 1.0, 0.5]
    """
    return 1.0 if schedule == "constant" else min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP))


class DecayingAdam(torch.optim.Adam):
    """Adam with weight decay that leaves alone every number whose gradient is exactly 0 in a step.

    L2 decay adds ``weight_decay * p`` to the gradient. Adam divides a gradient by its own running size, so where there
    is no other gradient, every step moves p by the whole learning rate towards 0, however small the decay is: heads
    whose losses have the weight 0 shrink within an epoch or two, and the embeddings of words that no clip has.
    Decoupled decay subtracts ``lr * weight_decay * p`` from p itself, in proportion to the decay.

    L2 decay still shrinks what gets a gradient far smaller than ``weight_decay * p``; decoupled decay does not.

    Source of the decoupled decay: Loshchilov and Hutter, ICLR 2019, https://arxiv.org/abs/1711.05101.

    Args:
        groups: of parameters, each with ``lr`` and ``weight_decay``.
        decoupled: whether decay is apart from the gradient (AdamW) or a part of it (L2).
        kept: what a moving average of the parameters keeps of itself in a step; 0 for no average. It begins with the
            parameters after the first step.
    """

    def __init__(self, groups: list[dict[str, Any]], *, decoupled: bool, kept: float = 0.0) -> None:
        # Fused, with one pass over each parameter: on a CPU, a step takes a quarter of the time.
        super().__init__(
            [{**group, "weight_decay": 0.0, "decay": group["weight_decay"]} for group in groups], fused=True
        )
        self.decoupled, self.kept = decoupled, kept
        self.found_inf: Tensor | None = None  # not 0 if a gradient of this step is not finite; torch looks for the name

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Decay the parameters, then take Adam's step; a step with ``found_inf`` changes nothing."""
        for group in self.param_groups:
            for parameter in group["params"] if group["decay"] else ():
                for part, gradient in _blocks(parameter, parameter.grad):
                    self._decay(part, gradient, group)
        result = super().step(closure)
        for parameter, state in self.state.items() if self.kept else ():
            if "average" in state:
                state["average"].lerp_(parameter, 1 - self.kept)
            else:
                state["average"] = parameter.clone()
        return result

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it, the parameters are their moving averages, if there are any."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, state in self.state.items():
            if "average" in state:
                now = parameter.clone()
                parameter.copy_(state["average"])
                state["average"].copy_(now)

    def _decay(self, part: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        acts = gradient.sign().abs_()  # 1 where there is a gradient; faster than a comparison
        if not self.decoupled:
            gradient.addcmul_(acts, part, value=group["decay"])
            return
        if self.found_inf is not None:
            acts.mul_(1 - self.found_inf)
        part.addcmul_(acts, part, value=-group["lr"] * group["decay"])


def _blocks(parameter: Tensor, gradient: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield views of a parameter and its gradient: on a CPU of a size that its cache holds, elsewhere the whole."""
    if not parameter.ndim:
        parameter, gradient = parameter[None], gradient[None]
    rows = len(parameter)
    if parameter.device.type == "cpu" and parameter.numel():
        rows = max(1, _CACHED * rows // parameter.numel())
    return zip(torch.split(parameter, rows), torch.split(gradient, rows), strict=True)


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _split_by_decay(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    plain = [p for name, p in module.named_parameters() if p.requires_grad and name.endswith(_NO_DECAY)]
    decayed = [p for name, p in module.named_parameters() if p.requires_grad and not name.endswith(_NO_DECAY)]
    return decayed, plain
