"""The state of a label generator that several processes share: join it from parts, and split it into parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_PER_CLIP = frozenset({"labels", "bank", "seen", "outcome", "fixed_weights", "evidence", "observed"})


def gather(states: Sequence[Mapping[str, Tensor]], indices: Sequence[Tensor]) -> dict[str, Tensor]:
    """Join the states of processes that each had a part of the clips into the state of a generator of all clips.

    Args:
        states: ``state_dict()`` of each process's generator, after the same step.
        indices: per process, (N_r,) long, the positions of its clips among all clips; together every position once.

    Returns:
        The state, on the CPU.

    Raises:
        ValueError: if the parts do not make a whole.
    """
    order = torch.cat([index.cpu() for index in indices]) if indices else torch.zeros(0, dtype=torch.long)
    if not states or len(states) != len(indices) or not torch.equal(order.sort().values, torch.arange(len(order))):
        raise ValueError(f"{len(states)} states and {len(order)} positions do not make a whole: give each clip once")
    if any(state.keys() != states[0].keys() for state in states):
        raise ValueError("the states belong to different generators: their buffers have different names")
    sizes = [{len(value) for key, value in state.items() if is_per_clip(key)} for state in states]
    if any(size != {len(index)} for size, index in zip(sizes, indices, strict=True)):
        raise ValueError(f"the states hold {sizes} clips, but indices name {[len(index) for index in indices]}")
    place = order.argsort()
    whole = {}
    for key, value in states[0].items():
        parts = [state[key].cpu() for state in states]
        whole[key] = torch.cat(parts)[place] if is_per_clip(key) else value.cpu().clone()
    return whole


def part(state: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    """Return the state of a generator of the clips at ``index``, (n,) long, from that of a generator of all clips."""
    return {key: value[index.to(value.device)] if is_per_clip(key) else value.clone() for key, value in state.items()}


def is_per_clip(key: str) -> bool:
    """Return whether a buffer of a generator has one row per clip; all others are equal in all processes."""
    return key.rsplit(".", 1)[-1] in _PER_CLIP
