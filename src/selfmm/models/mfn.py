"""MFN, the Memory Fusion Network: an LSTM per modality, and a memory updated by attention over changes of their cells.

Zadeh, Liang, Mazumder, Poria, Cambria, Morency: Memory Fusion Network for Multi-view Sequential Learning, AAAI 2018,
https://arxiv.org/abs/1802.00927.

Deviations from the published code: the states and the memory after the last real step are used, while the code reads on
through the padding; dropout before the score comes before the head's first linear layer, as in all models here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import Group, Settings
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Output
from selfmm.models.base import COMMON_SEARCH, Needs, Space
from selfmm.models.sequences import Sequence, SequenceModel


class MemoryOptions(Group):
    """Sizes of the memory and its networks; each network is two linear layers with ReLU and dropout between them."""

    text_hidden: int = Field(256, ge=1, le=65536, description="LSTM units for words; frames: stream.NAME.hidden")
    memory: int = Field(400, ge=1, le=65536, description="size of the memory")
    proposal: int = Field(64, ge=1, le=65536, description="units of the network that proposes new content")
    proposal_dropout: float = Field(0.0, ge=0, lt=1, description="dropout in it")
    retain: int = Field(256, ge=1, le=65536, description="units of the gate that keeps the memory")
    retain_dropout: float = Field(0.7, ge=0, lt=1, description="dropout in it")
    update: int = Field(32, ge=1, le=65536, description="units of the gate that writes to it")
    update_dropout: float = Field(0.5, ge=0, lt=1, description="dropout in it")


class Options(MemoryOptions):
    """MFN's own settings; the defaults are the sizes published for MOSI."""

    attention: int = Field(32, ge=1, le=65536, description="units of the attention over the cells")
    attention_dropout: float = Field(0.2, ge=0, lt=1, description="dropout in it")


MEMORY_SEARCH: Mapping[str, Space] = {
    **COMMON_SEARCH,
    "options.memory": (64, 128, 256, 400),
    "options.proposal_dropout": (0.0, 0.2, 0.5, 0.7),
    "options.retain_dropout": (0.0, 0.2, 0.5, 0.7),
    "options.update_dropout": (0.0, 0.2, 0.5, 0.7),
}


def view_sizes(modalities: Mapping[str, Modality], settings: Settings, words: int) -> dict[str, int]:
    """Return the LSTM units per modality: ``words`` where a transformer reads it, else ``stream.NAME.hidden``."""
    return {
        name: settings.stream_for(name).hidden if modality.kind == "frames" else words
        for name, modality in modalities.items()
    }


def two_layers(size: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    """Make Linear(dropout(ReLU(Linear(x)))), (..., ``size``) to (..., ``out``)."""
    return nn.Sequential(nn.Linear(size, hidden), *_second(hidden, out, dropout))


def lstm_states(cell: nn.LSTMCell, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return all h_t and all c_t, (B, L, H) each, for ``values`` (B, L, d), with h_0 = c_0 = 0.

    torch's fused LSTM returns only the last c, so this is a loop. The part that depends on the input is computed for
    all steps together, so the loop takes only about 1.3 times as long as the fused kernel.
    """
    inputs = functional.linear(values, cell.weight_ih, cell.bias_ih + cell.bias_hh)
    h = c = values.new_zeros(len(values), cell.hidden_size)
    recurrent, hidden, cells = cell.weight_hh.t(), [], []
    for step in inputs.unbind(dim=1):
        enter, keep, new, leave = torch.addmm(step, h, recurrent).chunk(4, dim=1)
        c = torch.addcmul(enter.sigmoid() * new.tanh(), keep.sigmoid(), c)
        h = leave.sigmoid() * c.tanh()
        hidden.append(h)
        cells.append(c)
    return torch.stack(hidden, dim=1), torch.stack(cells, dim=1)


def with_previous(states: Tensor) -> Tensor:
    """Return [s_(t-1); s_t] (B, L, 2H) for states (B, L, H), with s_0 = 0."""
    return torch.cat([functional.pad(states, (0, 0, 1, -1)), states], dim=-1)


class DeltaMemoryAttention(nn.Module):
    """c^[t-1,t] * softmax(D_a(c^[t-1,t])): the weighted cells before and after a step (paper, equations 1-2).

    Input: cells (B, L, H) of all modalities, concatenated. Output: (B, L, 2H).
    """

    def __init__(self, cells: int, options: Options) -> None:
        super().__init__()
        self.network = two_layers(2 * cells, options.attention, 2 * cells, options.attention_dropout)

    def forward(self, cells: Tensor) -> Tensor:
        pair = with_previous(cells)
        weighted: Tensor = pair * self.network(pair).softmax(dim=-1)
        return weighted


class GatedMemory(nn.Module):
    """u_t = g1_t * u_(t-1) + g2_t * tanh(D_u(a_t)), g_t = sigmoid(D_g([a_t; u_(t-1)])), u_0 = 0 (paper, equations 3-5).

    Input: a (B, L, ``seen``). Output: u (B, L, M).
    """

    def __init__(self, seen: int, options: MemoryOptions) -> None:
        super().__init__()
        self.seen, self.size = seen, options.memory
        self.propose = two_layers(seen, options.proposal, self.size, options.proposal_dropout)
        self.units = [options.retain, options.update]
        self.gates = nn.Linear(seen + self.size, sum(self.units))  # the first layer of both gates
        self.retain = _second(options.retain, self.size, options.retain_dropout)
        self.update = _second(options.update, self.size, options.update_dropout)

    def forward(self, seen: Tensor) -> Tensor:
        weight = self.gates.weight
        inputs = functional.linear(seen, weight[:, : self.seen], self.gates.bias)
        recurrent, proposals = weight[:, self.seen :].t(), self.propose(seen).tanh()
        memory, memories = seen.new_zeros(len(seen), self.size), []
        for step, proposal in zip(inputs.unbind(dim=1), proposals.unbind(dim=1), strict=True):
            keep, write = torch.split(torch.addmm(step, memory, recurrent), self.units, dim=1)
            memory = self.retain(keep).sigmoid() * memory + self.update(write).sigmoid() * proposal
            memories.append(memory)
        return torch.stack(memories, dim=1)


def _second(hidden: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, out))


class MemoryFusion(nn.Module):
    """The system of LSTMs, the attention and the memory; MFM uses it too.

    Input: aligned sequences. Output: per modality h_T (B, H_s) of the last real step T, and u_T (B, M).

    Args:
        dims: size of each modality's steps.
        hidden: LSTM units of each modality.

    Attributes:
        dim: size of all outputs, concatenated.
    """

    def __init__(self, dims: Mapping[str, int], hidden: Mapping[str, int], options: Options) -> None:
        super().__init__()
        self.cells = nn.ModuleDict({name: nn.LSTMCell(dim, hidden[name]) for name, dim in dims.items()})
        self.attention = DeltaMemoryAttention(sum(hidden.values()), options)
        self.memory = GatedMemory(2 * sum(hidden.values()), options)
        self.dim = sum(hidden.values()) + options.memory

    def forward(self, sequences: Mapping[str, Sequence]) -> tuple[dict[str, Tensor], Tensor]:
        ends, cells = {}, []
        for name, sequence in sequences.items():
            states, contents = lstm_states(self.cells[name], sequence.values)  # type: ignore[arg-type]
            ends[name] = sequence.last(states)
            cells.append(contents)
        memories = self.memory(self.attention(torch.cat(cells, dim=-1)))
        return ends, next(iter(sequences.values())).last(memories)


class MFN(SequenceModel):
    """h_t, c_t = LSTM_s(x_t) per modality s; u_t is the gated memory of the attended [c_(t-1); c_t] of all modalities.

    Then F_m* = ReLU(W [h_T of all s; u_T]) (B, D) of the last real step T, and y^_m = W' F_m* (B,). A modality's own
    representation is its h_T (B, H_s): its LSTM reads nothing else.
    """

    paper: ClassVar[str] = "Zadeh et al., AAAI 2018"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(aligned=True)
    search: ClassVar[Mapping[str, Space]] = {
        **MEMORY_SEARCH,
        "options.text_hidden": (64, 128, 256),
        "options.attention_dropout": (0.0, 0.2, 0.5, 0.7),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        hidden = view_sizes(modalities, settings, self.options.text_hidden)
        self.heads = self.make_heads(hidden)
        self.views = MemoryFusion(self.dims, hidden, self.options)
        self.fusion = self.fusion_head(self.views.dim)
        self.fusion_dim = self.fusion.dim

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        ends, memory = self.views(sequences)
        fused = self.fusion(torch.cat([*ends.values(), memory], dim=-1))
        return self.output(batch, fused, ends, self.means(sequences))
