"""Moving the state of a label generator between processes: one state made of several, and a part of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

# Buffers with a row per clip; all others are the same in every process.
_PER_CLIP = frozenset({"labels", "bank", "seen", "outcome", "given", "said", "heard"})


def gather(states: Sequence[Mapping[str, Tensor]], indices: Sequence[Tensor]) -> dict[str, Tensor]:
    """The state of a generator of all clips from those of the processes that each had a part of them.

    Args:
        states: ``state_dict()`` of each process's generator, after the same step.
        indices: for each, (N_r,) long, which of all clips its were; together every position once.

    Raises:
        ValueError: the parts do not make a whole.
    """
    order = torch.cat([index.cpu() for index in indices]) if indices else torch.zeros(0, dtype=torch.long)
    if not states or len(states) != len(indices) or not torch.equal(order.sort().values, torch.arange(len(order))):
        raise ValueError(f"{len(states)} states and {len(order)} positions do not make a whole: name each clip once")
    if any(state.keys() != states[0].keys() for state in states):
        raise ValueError("the states are of different generators: their buffers have different names")
    sizes = [{len(value) for key, value in state.items() if is_per_clip(key)} for state in states]
    if any(found != {len(index)} for found, index in zip(sizes, indices, strict=True)):
        raise ValueError(f"the states are of {sizes} clips, their positions of {[len(index) for index in indices]}")
    place = order.argsort()
    whole = {}
    for key, value in states[0].items():
        parts = [state[key].cpu() for state in states]
        whole[key] = torch.cat(parts)[place] if is_per_clip(key) else value.cpu().clone()
    return whole


def part(state: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    """The state for a generator of the clips at ``index``, (n,) long, from the state of one of all clips."""
    return {key: value[index.to(value.device)] if is_per_clip(key) else value.clone() for key, value in state.items()}


def is_per_clip(key: str) -> bool:
    """Whether a buffer of a generator has a row per clip."""
    return key.rsplit(".", 1)[-1] in _PER_CLIP
