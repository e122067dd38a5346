"""The label generator of a run with several processes: each stores features of its own clips, all know all labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from selfmm.labels.base import rename_keys
from selfmm.labels.feature_space import ROWS_AT_ONCE
from selfmm.labels.generator import UnimodalLabelGenerator
from selfmm.labels.settings import FixedLabels

_PER_CLIP = frozenset({"labels", "bank", "seen", "outcome", "fixed_weights"})


class SharedLabelGenerator(nn.Module):
    """A :class:`UnimodalLabelGenerator` of all N clips, shared: process r of P keeps the banks of clips r, r + P, ...

    Every process passes its part of each batch to ``update``. The features go to all processes, each process generates
    the labels of its clips, and the labels go to all processes. Every message has a fixed size, so nothing waits for an
    accelerator. Compared with a single process, only sums are rounded differently. Bytes per batch, with
    ``rows = P * most`` and S modalities:

    - features, gathered: ``4 rows (2 + D + sum of d_s + S)``
    - centres, summed: ``16 (1 + S + D + sum of d_s)``
    - labels, weights and outcomes, summed: ``12 rows S``

    All processes make the same calls, including ``state_dict()`` and ``load_state_dict()``. Only process 0 gets the
    state, which is that of a generator of all clips, so a run can be resumed with another number of processes.

    Args:
        labels, dims, fusion_dim, fixed, settings: as for the generator, of all clips.
        group: the processes.
        most: largest number of clips of a batch in one process.
    """

    def __init__(
        self,
        labels: Tensor,
        dims: Mapping[str, int],
        fusion_dim: int,
        *,
        group: dist.ProcessGroup,
        most: int,
        fixed: Mapping[str, FixedLabels] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.rank, self.processes = dist.get_rank(group), dist.get_world_size(group)
        self.group, self.most, self.m_labels = group, most, labels
        self.mine = torch.arange(self.rank, len(labels), self.processes)
        # The last row belongs to no clip. Features of other processes' clips go there, so all do the same work.
        no_clip = labels.new_tensor([settings.get("neutral", 0.0)])
        known = {name: self._own_part(known) for name, known in (fixed or {}).items()}
        own = UnimodalLabelGenerator(
            torch.cat([labels[self.mine], no_clip]), dims, fusion_dim, fixed=known, group=group, **settings
        )
        self._own = (own,)  # in a tuple, so not a submodule: its state is only a part
        self.names, self.unit = own.names, own.unit
        self._refresh()

    @property
    def own(self) -> UnimodalLabelGenerator:
        """The generator of this process's clips, and of one more row that belongs to no clip."""
        return self._own[0]

    @property
    def labels(self) -> dict[str, Tensor]:
        """(N,) current u-labels per modality."""
        return {name: self._table[at, 0, :-1] for at, name in enumerate(self.names)}

    @property
    def outcomes(self) -> dict[str, Tensor]:
        """(N,) uint8 per modality: the ``Outcome`` of the clip's last ``update``."""
        return {name: self._table[at, 2, :-1].to(torch.uint8) for at, name in enumerate(self.names)}

    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Return the loss weights in [0, 1], (B,) per modality, of the clips at ``index``."""
        return {name: self._table[at, 1, index] for at, name in enumerate(self.names)}

    @torch.no_grad()
    def update(
        self,
        fusion: Tensor,
        features: Mapping[str, Tensor],
        index: Tensor,
        epoch: int,
        *,
        present: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Call ``UnimodalLabelGenerator.update`` with this process's part of the batch, at most ``most`` clips."""
        masks = {name: torch.ones_like(index, dtype=torch.bool) for name in self.names} | dict(present or {})
        columns = [fusion, *(features[name] for name in self.names), *(masks[name][:, None] for name in self.names)]
        rows, index = self._gather(torch.cat([column.to(self._device, torch.float32) for column in columns], 1), index)
        own = (index >= 0) & (index % self.processes == self.rank)
        rows = rows.where(own[:, None], math.nan)  # rows that are not finite are not stored
        fusion, *parts = torch.split(rows, [column.shape[1] for column in columns], 1)
        modalities = len(self.names)
        place = torch.where(own, index // self.processes, len(self.mine))
        seen = {name: mask[:, 0] == 1 for name, mask in zip(self.names, parts[modalities:], strict=True)}
        self.own.update(fusion, dict(zip(self.names, parts, strict=False)), place, epoch, present=seen)
        entries = self._table_at(place).where(own, 0.0)
        dist.all_reduce(entries, group=self.group)
        self._table[:, :, index] = entries  # rows without a clip have index -1, the last column

    def resync(self) -> None:
        """Call ``UnimodalLabelGenerator.resync``, over the clips of all processes."""
        self.own.resync()

    def figures(self) -> dict[str, dict[str, float]]:
        """Return ``UnimodalLabelGenerator.figures`` of the clips of all processes."""
        return self.own.figures()

    @property
    def _device(self) -> torch.device:
        return self.own.m_labels.device

    def _own_part(self, known: FixedLabels) -> FixedLabels:
        own = known.index % self.processes == self.rank
        return FixedLabels(known.index[own] // self.processes, known.labels[own], known.weights[own])

    def _table_at(self, place: Tensor) -> Tensor:
        """(S, 3, n) labels, weights and outcomes of this process's clips at ``place``, (n,)."""
        own = self.own
        labels, weights, outcomes = own.labels, own.weights(place), own.outcomes
        return torch.stack(
            [torch.stack([labels[n][place], weights[n], outcomes[n][place].to(labels[n])]) for n in self.names]
        )

    def _gather(self, rows: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """The (b, w) rows and (b,) positions of all processes, in blocks of ``most``; -1 where a row holds no clip."""
        if len(rows) > self.most:
            raise ValueError(f"a process has {len(rows)} clips of a batch; expected at most {self.most}")
        index_block = index.new_full((self.most,), -1, device=rows.device)
        block = rows.new_zeros(self.most, rows.shape[1])
        index_block[: len(index)], block[: len(rows)] = index, rows
        # As bits: float32 cannot represent every position above 16.7 million.
        bits = torch.cat([index_block.view(torch.int32).view(-1, 2), block.view(torch.int32)], 1)
        gathered = bits.new_empty(self.processes * self.most, bits.shape[1])
        dist.all_gather([*torch.split(gathered, self.most)], bits, group=self.group)
        positions, values = torch.split(gathered, [2, rows.shape[1]], 1)
        return values.contiguous().view(torch.float32), positions.contiguous().view(torch.int64)[:, 0]

    def _refresh(self) -> None:
        """Make the table of all labels, (S, 3, N + 1), from the rows that each process keeps."""
        own = self._table_at(torch.arange(len(self.mine), device=self._device))
        block = own.new_zeros(-(-len(self.m_labels) // self.processes), *own.shape[:2])
        block[: own.shape[2]] = own.permute(2, 0, 1)
        blocks = block.new_empty(self.processes * len(block), *block.shape[1:])
        dist.all_gather([*torch.split(blocks, len(block))], block, group=self.group)
        rows = blocks.view(self.processes, *block.shape).transpose(0, 1).flatten(0, 1)[: len(self.m_labels)]
        self._table = torch.cat([rows, rows[:1]]).permute(1, 2, 0).contiguous()

    def _collect(self, rows: Tensor) -> Tensor:
        """A buffer's rows of all processes, (N, ...) on the CPU of process 0; empty in the other processes."""
        first = self.rank == 0
        whole = torch.empty(len(self.m_labels) if first else 0, *rows.shape[1:], dtype=rows.dtype)
        longest = -(-len(self.m_labels) // self.processes)
        for start in range(0, longest, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, longest)
            piece = torch.zeros(stop - start, *rows.shape[1:], dtype=rows.dtype, device=self._device)
            piece[: len(rows[start:stop])] = rows[start:stop]
            bits = piece.view(torch.uint8)  # not every backend can send every type
            blocks = [torch.empty_like(bits) for _ in range(self.processes)] if first else None
            dist.gather(bits, blocks, dst=dist.get_global_rank(self.group, 0), group=self.group)
            for rank, block in enumerate(blocks or ()):
                place = whole[rank :: self.processes][start:stop]
                place.copy_(block.view(rows.dtype)[: len(place)])
        return whole

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        # The hook of torch behind state_dict().
        for key, value in self.own.state_dict().items():
            whole = self._collect(value[:-1]) if is_per_clip(key) else value
            if self.rank == 0:
                destination[prefix + key] = whole

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        *lists: list[str],
    ) -> None:
        # The hook of torch behind load_state_dict().
        rename_keys(self, state_dict, prefix)
        own = self.own.state_dict()
        whole = {key: state_dict[prefix + key] for key in own if prefix + key in state_dict}
        missing_keys += [prefix + key for key in own if key not in whole]
        for key, value in part(whole, self.mine).items():
            (own[key][:-1] if is_per_clip(key) else own[key]).copy_(value)
        self._refresh()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The hook of torch behind .to() and .cuda().
        self.own._apply(fn, recurse)
        self.m_labels, self._table = self.m_labels.to(self._device), self._table.to(self._device)
        return self


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
