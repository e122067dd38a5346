"""The label generator of a run of several processes: each keeps the features of its own clips, all know all labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from selfmm.labels.generator import UnimodalLabelGenerator
from selfmm.labels.settings import FixedLabels
from selfmm.labels.shards import is_per_clip, part
from selfmm.labels.streams import ROWS_AT_ONCE


class SharedLabelGenerator(nn.Module):
    """Looks like a :class:`UnimodalLabelGenerator` of all N clips; process r of P keeps the banks of r, r + P, ...

    Of each batch every process shows its part. The features travel to all of them, each makes the labels of the clips
    that it keeps, and these travel to all. Every message is of a fixed size, so nothing waits for an accelerator.
    What differs from one process is the rounding of sums. Bytes per batch, with ``rows = P * most`` and S modalities:

    - features, gathered: ``4 rows (2 + D + sum of d_s + S)``
    - centres, summed: ``16 (1 + S + D + sum of d_s)``
    - labels, weights and outcomes, summed: ``12 rows S``

    All processes make the same calls, ``state_dict()`` and ``load_state_dict()`` among them. Those speak of the whole:
    the state is that of a generator of all clips, and in process 0 alone. So a run can go on with other processes.

    Args:
        labels: (N,) m-labels of all clips.
        dims, fusion_dim: as for the generator.
        group: the processes.
        most: how many clips of a batch one process shows at most.
        fixed: as for the generator, of all clips.
        settings: its other arguments.
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
        # The last row is nobody's. It takes the features of other processes' clips, so that all do the same work.
        nobody = labels.new_tensor([settings.get("neutral", 0.0)])
        known = {name: self._kept(of_all) for name, of_all in (fixed or {}).items()}
        own = UnimodalLabelGenerator(
            torch.cat([labels[self.mine], nobody]), dims, fusion_dim, fixed=known, group=group, **settings
        )
        self._own = (own,)  # no submodule: its state is a part only
        self.names, self.unit = own.names, own.unit
        self._refresh()

    @property
    def own(self) -> UnimodalLabelGenerator:
        """The generator of this process's clips, and of one more that is nobody's."""
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
        """Loss weights, (B,) per modality, of the clips at ``index``."""
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
        """``UnimodalLabelGenerator.update`` with this process's part of the batch, of ``most`` clips or fewer."""
        there = {name: torch.ones_like(index, dtype=torch.bool) for name in self.names} | dict(present or {})
        columns = [fusion, *(features[name] for name in self.names), *(there[name][:, None] for name in self.names)]
        rows, index = self._gather(torch.cat([column.to(self._device, torch.float32) for column in columns], 1), index)
        own = (index >= 0) & (index % self.processes == self.rank)
        rows = rows.where(own[:, None], math.nan)  # what is not finite is not stored
        fusion, *parts = torch.split(rows, [column.shape[1] for column in columns], 1)
        modalities = len(self.names)
        place = torch.where(own, index // self.processes, len(self.mine))
        seen = {name: mask[:, 0] == 1 for name, mask in zip(self.names, parts[modalities:], strict=True)}
        self.own.update(fusion, dict(zip(self.names, parts, strict=False)), place, epoch, present=seen)
        said = self._said(place).where(own, 0.0)
        dist.all_reduce(said, group=self.group)
        self._table[:, :, index] = said  # -1, of rows that are no clip, is the last

    def resync(self) -> None:
        """``UnimodalLabelGenerator.resync``, over the clips of all processes."""
        self.own.resync()

    def figures(self) -> dict[str, dict[str, float]]:
        """``UnimodalLabelGenerator.figures``, of the clips of all processes."""
        return self.own.figures()

    @property
    def _device(self) -> torch.device:
        return self.own.m_labels.device

    def _kept(self, known: FixedLabels) -> FixedLabels:
        here = known.index % self.processes == self.rank
        return FixedLabels(known.index[here] // self.processes, known.labels[here], known.weights[here])

    def _said(self, place: Tensor) -> Tensor:
        """(S, 3, n) labels, weights and outcomes of this process's clips."""
        own = self.own
        labels, weights, outcomes = own.labels, own.weights(place), own.outcomes
        return torch.stack(
            [torch.stack([labels[n][place], weights[n], outcomes[n][place].to(labels[n])]) for n in self.names]
        )

    def _gather(self, rows: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """The (b, w) rows and (b,) positions of all processes, in blocks of ``most``; a position that is none is -1."""
        if len(rows) > self.most:
            raise ValueError(f"{len(rows)} clips of a batch in one process; expected {self.most} at most")
        index_block, block = (
            index.new_full((self.most,), -1, device=rows.device),
            rows.new_zeros(self.most, rows.shape[1]),
        )
        index_block[: len(index)], block[: len(rows)] = index, rows
        # As bits: floats could not tell the positions of very many clips apart.
        bits = torch.cat([index_block.view(torch.int32).view(-1, 2), block.view(torch.int32)], 1)
        everything = bits.new_empty(self.processes * self.most, bits.shape[1])
        dist.all_gather([*torch.split(everything, self.most)], bits, group=self.group)
        positions, values = torch.split(everything, [2, rows.shape[1]], 1)
        return values.contiguous().view(torch.float32), positions.contiguous().view(torch.int64)[:, 0]

    def _refresh(self) -> None:
        """Makes the table of all labels, (S, 3, N + 1), anew from what each process keeps."""
        said = self._said(torch.arange(len(self.mine), device=self._device))
        block = said.new_zeros(-(-len(self.m_labels) // self.processes), *said.shape[:2])
        block[: said.shape[2]] = said.permute(2, 0, 1)
        blocks = block.new_empty(self.processes * len(block), *block.shape[1:])
        dist.all_gather([*torch.split(blocks, len(block))], block, group=self.group)
        rows = blocks.view(self.processes, *block.shape).transpose(0, 1).flatten(0, 1)[: len(self.m_labels)]
        self._table = torch.cat([rows, rows[:1]]).permute(1, 2, 0).contiguous()

    def _collect(self, rows: Tensor) -> Tensor:
        """(N, ...) on the CPU of process 0: a buffer's rows of all processes. Elsewhere it is not filled in."""
        here = self.rank == 0
        whole = torch.empty(len(self.m_labels) if here else 0, *rows.shape[1:], dtype=rows.dtype)
        longest = -(-len(self.m_labels) // self.processes)
        for start in range(0, longest, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, longest)
            piece = torch.zeros(stop - start, *rows.shape[1:], dtype=rows.dtype, device=self._device)
            found = rows[start:stop]
            piece[: len(found)] = found.to(self._device)
            bits = piece.view(torch.uint8)  # not every backend sends every type
            blocks = [torch.empty_like(bits) for _ in range(self.processes)] if here else None
            dist.gather(bits, blocks, dst=dist.get_global_rank(self.group, 0), group=self.group)
            for rank, block in enumerate(blocks or ()):
                place = whole[rank :: self.processes][start:stop]
                place.copy_(block.view(rows.dtype)[: len(place)])
        return whole

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        # torch's hook behind state_dict()
        for key, value in self.own.state_dict().items():
            whole = self._collect(value[:-1]) if is_per_clip(key) else value
            if self.rank == 0:
                destination[prefix + key] = whole

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        *lists: list[str],
    ) -> None:
        # torch's hook behind load_state_dict()
        own = self.own.state_dict()
        found = {key: state_dict[prefix + key] for key in own if prefix + key in state_dict}
        missing_keys += [prefix + key for key in own if key not in found]
        for key, value in part(found, self.mine).items():
            (own[key][:-1] if is_per_clip(key) else own[key]).copy_(value)
        self._refresh()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # torch's hook behind .to() and .cuda()
        self.own._apply(fn, recurse)
        self.m_labels, self._table = self.m_labels.to(self._device), self._table.to(self._device)
        return self
