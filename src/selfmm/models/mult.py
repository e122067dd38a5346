"""MulT, the Multimodal Transformer: every modality attends to every other one, step by step, without alignment.

Tsai, Bai, Liang, Kolter, Morency, Salakhutdinov: Multimodal Transformer for Unaligned Multimodal Language Sequences,
ACL 2019, https://arxiv.org/abs/1906.00295.

Deviations from the published code: a convolution reads zeros beyond a clip's ends, so no step is lost and a clip may
be shorter than its kernel; every modality passes through one, even if it has the right size already; the state of
each clip's own last step is used, while the code uses the batch's last step; there is one attention dropout, while the
code has one per modality. For the deviations of the transformers, see ``selfmm.models.attention``.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.types import Batch, Output
from selfmm.models.attention import TemporalConv, Transformer, TransformerOptions
from selfmm.models.base import COMMON_SEARCH, Needs, Score, Space
from selfmm.models.sequences import Sequence, SequenceModel

_MEMORY_LAYERS = 3  # the minimum in the published code, even with fewer crossmodal layers


class Options(TransformerOptions):
    """MulT's own settings; the defaults are those published for MOSI."""

    layers: int = Field(4, ge=1, le=64, description="blocks of each transformer; at least 3 over joined sequences")
    text_kernel: int = Field(1, ge=1, le=255, description="number of tokens that the convolution reads for each step")
    kernel: int = Field(3, ge=1, le=255, description="number of frames that it reads for each step")
    text_dropout: float = Field(0.2, ge=0, lt=1, description="dropout of the tokens")
    out_dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the score")


class Crossmodal(nn.Module):
    """Z_(t<-s) = Transformer(X_t, X_s) for each pair; Z_t = Transformer([Z_(t<-s) for all s]).

    Input: per modality X (B, L, d). Output: z, the last steps of all Z_t (B, ``dim``), of size M (M - 1) d for M
    modalities. (Tsai et al., section 3.2.)

    Args:
        layers: blocks of the transformers of pairs.
        memory_layers: blocks of the transformers of concatenated sequences.
    """

    def __init__(self, names: tuple[str, ...], options: TransformerOptions, *, layers: int, memory_layers: int) -> None:
        super().__init__()
        self.sources = {target: tuple(source for source in names if source != target) for target in names}
        self.pairs = nn.ModuleDict(
            {pair_key(*pair): Transformer(options.dim, layers, options) for pair in permutations(names, 2)}
        )
        joined = (len(self.sources) - 1) * options.dim
        self.memories = nn.ModuleDict({name: Transformer(joined, memory_layers, options) for name in self.sources})
        self.dim = len(self.sources) * joined

    def forward(self, streams: Mapping[str, Sequence]) -> Tensor:
        return torch.cat([self._memory(target, streams) for target in self.sources], dim=-1)

    def source(self, target: str, source: str, streams: Mapping[str, Sequence]) -> Sequence:
        """Return the sequence to which ``target`` attends for ``source``."""
        return streams[source]

    def _memory(self, target: str, streams: Mapping[str, Sequence]) -> Tensor:
        own = streams[target]
        read = [
            self.pairs[pair_key(target, source)](own, self.source(target, source, streams)).values
            for source in self.sources[target]
        ]
        memory: Sequence = self.memories[target](own.carrying(torch.cat(read, dim=-1)))
        return memory.last()

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        """Estimate how many bytes one clip of these lengths keeps for the gradient."""
        pairs: Mapping[str, Any] = dict(self.pairs.items())
        memories: Mapping[str, Any] = dict(self.memories.items())
        kept = sum(memory.kept_bytes(lengths[name], lengths[name]) for name, memory in memories.items())
        return kept + sum(  # type: ignore[no-any-return]
            pairs[pair_key(target, source)].kept_bytes(lengths[target], lengths[source])
            for target, source in permutations(self.sources, 2)
        )


def pair_key(target: str, source: str) -> str:
    """Return the name of a pair's module."""
    return f"{target} from {source}"


class MulT(SequenceModel):
    """X_s = Conv1D(x_s) (B, L_s, d), z = Crossmodal(X) (B, M (M - 1) d): every modality attends to every other one.

    F_m* = z + W_2 ReLU(W_1 z) (B, M (M - 1) d), y^_m = W F_m* (B,). No modality has a representation of its own: every
    state mixes modalities, and the method makes no vector of the sequence X_s.
    """

    paper: ClassVar[str] = "Tsai et al., ACL 2019"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2)
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.dim": (20, 40, 60, 80),
        "options.heads": (2, 5, 10),
        "options.layers": (2, 4, 6),
        "options.text_kernel": (1, 3, 5),
        "options.kernel": (1, 3, 5),
        "options.attention_dropout": (0.0, 0.1, 0.2, 0.3),
        "options.text_dropout": (0.1, 0.3, 0.5),
        "options.out_dropout": (0.0, 0.1, 0.3, 0.5),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        self.heads = self.make_heads({})
        options = self.options
        self.projections = nn.ModuleDict(
            {
                name: TemporalConv(dim, options.dim, options.text_kernel if name == TEXT else options.kernel)
                for name, dim in self.dims.items()
            }
        )
        memory_layers = max(options.layers, _MEMORY_LAYERS)
        self.crossmodal = Crossmodal(self.modalities, options, layers=options.layers, memory_layers=memory_layers)
        self.text_dropout = nn.Dropout(options.text_dropout)
        self.fusion_dim = dim = self.crossmodal.dim
        self.residual = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(options.out_dropout), nn.Linear(dim, dim)
        )
        self.score = Score(dim)

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        joined: Tensor = self.crossmodal({name: self._project(name, sequence) for name, sequence in sequences.items()})
        feature = joined + self.residual(joined)
        return self.output(batch, (feature, self.score(feature)), {}, self.means(sequences))

    def _project(self, name: str, sequence: Sequence) -> Sequence:
        if name == TEXT:
            sequence = sequence.carrying(self.text_dropout(sequence.values))
        return self.projections[name](sequence)  # type: ignore[no-any-return]

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        return super().kept_bytes(lengths) + self.crossmodal.kept_bytes(lengths)
