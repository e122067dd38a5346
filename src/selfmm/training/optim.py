"""The optimizer: one group of parameters per encoder and one for the rest, each with its own rate and decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from selfmm.config.settings import Settings
from selfmm.models.base import Model
from selfmm.models.text import TransformerEncoder

_NO_DECAY = ("bias", "LayerNorm.weight", "layer_norm.weight", "layernorm.weight")


def parameter_groups(model: Model, settings: Settings) -> list[dict[str, Any]]:
    """Return groups of parameters: each encoder has its own learning rate and decay, the rest has those of the fusion.

    The biases and LayerNorms of a transformer are not decayed. Parameters without a gradient are left out.
    """
    groups: list[dict[str, Any]] = []
    for name, encoder in model.encoders.items():
        words = isinstance(encoder, TransformerEncoder)
        branch = settings.text if words else settings.stream_for(name)
        decayed, plain = _split_by_decay(encoder) if words else (_trainable(encoder), [])
        groups.append({"params": decayed, "lr": branch.lr, "weight_decay": branch.weight_decay})
        groups.append({"params": plain, "lr": branch.lr, "weight_decay": 0.0})
    named = {id(parameter) for parameter in model.encoders.parameters()}
    rest = [parameter for parameter in _trainable(model) if id(parameter) not in named]
    groups.append({"params": rest, "lr": settings.fusion.lr, "weight_decay": settings.fusion.weight_decay})
    return [group for group in groups if group["params"]]


def make_optimizer(model: Model, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimizer that ``training.optimizer`` names, for the groups of ``parameter_groups``."""
    return DecayingAdam(parameter_groups(model, settings), decoupled=settings.training.optimizer == "adamw")


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
    """

    def __init__(self, groups: list[dict[str, Any]], *, decoupled: bool) -> None:
        # Fused, with one pass over each parameter: on a CPU, a step takes a quarter of the time.
        super().__init__(
            [{**group, "weight_decay": 0.0, "decay": group["weight_decay"]} for group in groups], fused=True
        )
        self.decoupled = decoupled

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Decay the parameters, then take Adam's step; a step with ``found_inf`` changes nothing."""
        skipped = getattr(self, "found_inf", None)
        for group in self.param_groups:
            for parameter in group["params"] if group["decay"] else ():
                gradient = parameter.grad
                decayed = parameter.where(gradient != 0, 0.0)
                if not self.decoupled:
                    gradient.add_(decayed, alpha=group["decay"])
                    continue
                if skipped is not None:
                    decayed *= 1 - skipped
                parameter.sub_(decayed, alpha=group["lr"] * group["decay"])
        return super().step(closure)


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _split_by_decay(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    plain = [p for name, p in module.named_parameters() if p.requires_grad and name.endswith(_NO_DECAY)]
    decayed = [p for name, p in module.named_parameters() if p.requires_grad and not name.endswith(_NO_DECAY)]
    return decayed, plain
