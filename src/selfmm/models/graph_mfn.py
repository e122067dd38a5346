"""Graph-MFN, the Graph Memory Fusion Network: MFN with a graph over all subsets of modalities instead of attention.

Zadeh, Liang, Poria, Cambria, Morency: Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and Interpretable
Dynamic Fusion Graph, ACL 2018, https://aclanthology.org/P18-1208/.

Deviations from the published code: each efficacy passes through a sigmoid, so it is the share of an edge that gets
through, while the code allows any number; there is a ReLU between two consecutive linear layers, while the code has
none, which makes them one layer; and the networks of the vertices are trained, which the code forgets. Padding and
dropout are as in MFN here.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Output
from selfmm.models.base import Needs, Space
from selfmm.models.mfn import MEMORY_SEARCH, GatedMemory, MemoryOptions, view_sizes, with_previous
from selfmm.models.sequences import Sequence, SequenceModel

MOST = 6
"""The largest number of modalities: six make 63 vertices with 665 edges, and each further one triples the edges."""
_UNITS = 100  # of the networks in the graph, as published
Vertex = tuple[str, ...]


class Options(MemoryOptions):
    """Graph-MFN's own settings; the defaults are the sizes published for MOSI."""

    vertex: int = Field(64, ge=1, le=65536, description="size of the vertices of two modalities or more")
    memory: int = Field(300, ge=1, le=65536, description="size of the memory")
    proposal: int = Field(32, ge=1, le=65536, description="units of the network that proposes new content")
    retain: int = Field(128, ge=1, le=65536, description="units of the gate that keeps the memory")
    retain_dropout: float = Field(0.5, ge=0, lt=1, description="dropout in it")
    update: int = Field(64, ge=1, le=65536, description="units of the gate that writes to it")


class DynamicFusionGraph(nn.Module):
    """A vertex per non-empty subset of the modalities; v_k = D_k([a_jk v_j for all proper subsets j of k]).

    The efficacies a of all edges come from the vertices of single modalities, D_a([v_1; v_2; ...]). The output of the
    graph is T = D_T([a_j v_j for all vertices j]) (paper, section 4.1).

    Input: per modality (..., d_s). Output: T (..., ``vertex``) and the efficacies (..., edges), in [0, 1], in the order
    of ``edges``.

    Args:
        sizes: d_s per modality.
        vertex: size of the vertices of two modalities or more.

    Attributes:
        edges: (from, to) each; an edge to T leads to the empty subset.
    """

    def __init__(self, sizes: Mapping[str, int], vertex: int) -> None:
        super().__init__()
        names = tuple(sizes)
        vertices: list[Vertex] = [v for count in range(1, len(names) + 1) for v in combinations(names, count)]
        joined = vertices[len(names) :]
        self.parents: dict[Vertex, list[Vertex]] = {v: [u for u in vertices if set(u) < set(v)] for v in joined}
        self.parents[()] = vertices
        self.edges = [(parent, v) for v, parents in self.parents.items() for parent in parents]
        wide = {v: sizes[v[0]] if len(v) == 1 else vertex for v in vertices}
        self.networks = nn.ModuleList(
            _network(sum(wide[parent] for parent in parents), vertex) for parents in self.parents.values()
        )
        self.efficacy = nn.Sequential(
            _network(sum(sizes.values()), vertex), nn.ReLU(), nn.Linear(vertex, len(self.edges)), nn.Sigmoid()
        )

    def forward(self, singles: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        efficacies: Tensor = self.efficacy(torch.cat([*singles.values()], dim=-1))
        values: dict[Vertex, Tensor] = {(name,): value for name, value in singles.items()}
        shares = torch.split(efficacies, [len(parents) for parents in self.parents.values()], dim=-1)
        for (v, parents), share, network in zip(self.parents.items(), shares, self.networks, strict=True):
            weighted = [values[parent] * a for parent, a in zip(parents, torch.split(share, 1, dim=-1), strict=True)]
            values[v] = network(torch.cat(weighted, dim=-1))
        return values[()], efficacies


def _network(size: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, _UNITS), nn.ReLU(), nn.Linear(_UNITS, out))


class GraphMFN(SequenceModel):
    """h_t = LSTM_s(x_t) per modality s; v_s = ReLU(W_s [h_(t-1); h_t]); u_t is the gated memory of the graph's output.

    Then F_m* = ReLU(W [h_T of all s; u_T]) (B, D) of the last real step T, and y^_m = W' F_m* (B,). A modality's own
    representation is its h_T (B, H_s).

    Raises:
        SettingsError: if there are more than ``MOST`` modalities.
    """

    paper: ClassVar[str] = "Zadeh et al., ACL 2018"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(aligned=True)
    search: ClassVar[Mapping[str, Space]] = {
        **MEMORY_SEARCH,
        "options.text_hidden": (64, 128, 256),
        "options.vertex": (20, 32, 64, 128),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        _check_count(modalities)
        hidden = view_sizes(modalities, settings, self.options.text_hidden)
        self.heads = self.make_heads(hidden)
        self.lstms = nn.ModuleDict(
            {name: nn.LSTM(dim, hidden[name], batch_first=True) for name, dim in self.dims.items()}
        )
        self.singles = nn.ModuleDict({name: nn.Linear(2 * size, size) for name, size in hidden.items()})
        self.graph = DynamicFusionGraph(hidden, self.options.vertex)
        self.memory = GatedMemory(self.options.vertex, self.options)
        self.fusion = self.fusion_head(sum(hidden.values()) + self.options.memory)
        self.fusion_dim = self.fusion.dim

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        ends, singles = {}, {}
        for name, sequence in sequences.items():
            states, _ = self.lstms[name](sequence.values)
            ends[name] = sequence.last(states)
            singles[name] = self.singles[name](with_previous(states)).relu()
        seen, _ = self.graph(singles)
        memory = next(iter(sequences.values())).last(self.memory(seen))
        fused = self.fusion(torch.cat([*ends.values(), memory], dim=-1))
        return self.output(batch, fused, ends, self.means(sequences))


def _check_count(modalities: Mapping[str, Modality]) -> None:
    if len(modalities) > MOST:
        raise SettingsError(
            [
                f"model = graph_mfn: its graph has a vertex for each subset of the modalities, so it takes {MOST} at "
                f"most, and these data have {len(modalities)} ({', '.join(modalities)}); choose some of them with "
                "`overrides=['modalities=...']`, or use mfn"
            ]
        )
