"""TETFN, the Text Enhanced Transformer Fusion Network: MulT in which the text mediates between any two other
modalities, with Self-MM's labels per modality.

Wang, Guo, Tian, Liu, He, Luo: TETFN: A Text Enhanced Transformer Fusion Network for Multimodal Sentiment Analysis,
Pattern Recognition 136, 2023, https://doi.org/10.1016/j.patcog.2022.109259.

Deviations from the published code: the modalities need not be aligned; padding does not take part in a maximum;
convolutions, last steps and attention dropout are as in MulT here. The code gives the convolution over vision the
kernel of audio, and so do the defaults here. Features of faces come from the data; in the paper, a vision transformer
reads the faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings, StreamSettings
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.types import Batch, Output
from selfmm.models.attention import TemporalConv, Transformer, TransformerOptions
from selfmm.models.base import COMMON_SEARCH, Labels, Needs, Space, besides_text
from selfmm.models.mult import Crossmodal, pair_key
from selfmm.models.sequences import Sequence, SequenceModel


class Options(TransformerOptions):
    """TETFN's own settings; the defaults are those published for MOSI."""

    dim: int = Field(50, ge=1, le=8192, description="size of all sequences and of their attention")
    heads: int = Field(5, ge=1, le=1024, validate_default=True, description="attention heads, which divide dim")
    layers: int = Field(2, ge=1, le=64, description="blocks of each transformer")
    text_kernel: int = Field(1, ge=1, le=255, description="number of tokens that the convolution reads for each step")
    kernel: int = Field(1, ge=1, le=255, description="number of states that it reads for each step of other modalities")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the attention weights")
    relu_dropout: float = Field(0.0, ge=0, lt=1, description="dropout between the linear layers after each attention")
    embedding_dropout: float = Field(0.0, ge=0, lt=1, description="dropout of a transformer's inputs")


class Recurrent(nn.Module):
    """Conv1D(LSTM(x)): (B, L, ``input_dim``) to (B, L, ``dim``), zeros after a clip's end."""

    def __init__(self, input_dim: int, dim: int, kernel: int, stream: StreamSettings) -> None:
        super().__init__()
        dropout = stream.dropout if stream.layers > 1 else 0.0
        self.lstm = nn.LSTM(input_dim, stream.hidden, num_layers=stream.layers, dropout=dropout, batch_first=True)
        self.conv = TemporalConv(stream.hidden, dim, kernel)

    def forward(self, sequence: Sequence) -> Sequence:
        states, _ = self.lstm(sequence.values)
        return self.conv(sequence.carrying(states))  # type: ignore[no-any-return]


class TextEnhanced(Crossmodal):
    """MulT's pairs; in a pair without text, X_t attends to Transformer(X_s, X_text), which has one block."""

    def __init__(self, names: tuple[str, ...], options: Options) -> None:
        super().__init__(names, options, layers=options.layers, memory_layers=options.layers)
        others = besides_text(names)
        self.lower = nn.ModuleDict(
            {pair_key(*pair): Transformer(options.dim, 1, options) for pair in permutations(others, 2)}
        )

    def source(self, target: str, source: str, streams: Mapping[str, Sequence]) -> Sequence:
        if TEXT in (target, source):
            return streams[source]
        return self.lower[pair_key(target, source)](streams[source], streams[TEXT])  # type: ignore[no-any-return]

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        lower: Mapping[str, Any] = dict(self.lower.items())
        kept = super().kept_bytes(lengths)
        for target, source in permutations(besides_text(self.sources), 2):
            kept += lower[pair_key(target, source)].kept_bytes(lengths[source], lengths[TEXT])
        return kept


class TETFN(SequenceModel):
    """X_t = Conv1D(text), X_s = Conv1D(LSTM(x_s)) of the others, (B, L_s, d).

    z = TextEnhanced(X) (B, M (M - 1) d) for M modalities, F_m* = ReLU(W z) (B, D), y^_m = W' F_m* (B,). A modality's
    own representation is the maximum over the steps of X_s (B, d): its convolution and LSTM read nothing else.
    """

    paper: ClassVar[str] = "Wang et al., Pattern Recognition 2023"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2, text=True)
    labels: ClassVar[Labels] = "generated"
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.dim": (30, 50, 80),
        "options.heads": (2, 5, 10),
        "options.layers": (2, 4),
        "options.text_kernel": (1, 3, 5),
        "options.kernel": (1, 3, 5),
        "options.attention_dropout": (0.0, 0.1, 0.2, 0.3),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        options = self.options
        self.heads = self.make_heads(dict.fromkeys(self.modalities, options.dim))
        self.text_projection = TemporalConv(self.dims[TEXT], options.dim, options.text_kernel)
        self.recurrent = nn.ModuleDict(
            {
                name: Recurrent(self.dims[name], options.dim, options.kernel, settings.stream_for(name))
                for name in besides_text(self.modalities)
            }
        )
        self.crossmodal = TextEnhanced(self.modalities, options)
        self.fusion = self.fusion_head(self.crossmodal.dim)
        self.fusion_dim = self.fusion.dim

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        streams: dict[str, Sequence] = {
            name: self.text_projection(sequence) if name == TEXT else self.recurrent[name](sequence)
            for name, sequence in sequences.items()
        }
        own = {name: _highest(stream) for name, stream in streams.items()}
        return self.output(batch, self.fusion(self.crossmodal(streams)), own, self.means(sequences))

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        states = sum(8 * self.settings.stream_for(name).hidden * lengths[name] for name in self.recurrent)
        return super().kept_bytes(lengths) + 4 * states + self.crossmodal.kept_bytes(lengths)


def _highest(sequence: Sequence) -> Tensor:
    """(B, d): the maximum of each feature over the real steps."""
    return sequence.values.masked_fill(~sequence.real[:, :, None], -torch.inf).amax(dim=1)
