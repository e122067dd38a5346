"""EF-LSTM, early fusion: the features of all modalities are concatenated at each step and read by one LSTM.

Williams, Kleinegesse, Comanescu, Radu: Recognizing Emotions in Video Using Multimodal DNN Feature Fusion, Challenge-HML
at ACL 2018, https://aclanthology.org/W18-3302/.

Deviations from the published code: dropout and the head are those of all models here; the state after the last real
step is used, while the code reads on through the padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from selfmm.config.settings import Group, Settings
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Output
from selfmm.models.base import COMMON_SEARCH, Needs, Space
from selfmm.models.sequences import Sequence, SequenceModel


class Options(Group):
    """EF-LSTM's own settings."""

    hidden: int = Field(64, ge=1, le=65536, description="LSTM units")
    layers: int = Field(2, ge=1, le=64, description="LSTM layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout between layers and before the head")


class EFLSTM(SequenceModel):
    """h_t = LSTM([x_t; x_a; x_v]_t, h_(t-1)), x (B, L, d_t + d_a + d_v), h (B, L, H).

    Then F_m* = ReLU(W h_T) (B, D) of the last real step T, and y^_m = W' F_m* (B,). No modality has a representation of
    its own.
    """

    paper: ClassVar[str] = "Williams et al., ACL 2018"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(aligned=True)
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.hidden": (16, 32, 64, 128),
        "options.layers": (1, 2, 3),
        "options.dropout": (0.0, 0.1, 0.3),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        self.heads = self.make_heads({})
        hidden, layers = self.options.hidden, self.options.layers
        dropout = self.options.dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(sum(self.dims.values()), hidden, num_layers=layers, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(self.options.dropout)
        self.fusion = self.fusion_head(hidden)
        self.fusion_dim = self.fusion.dim

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        first = next(iter(sequences.values()))
        states, _ = self.lstm(torch.cat([sequence.values for sequence in sequences.values()], dim=-1))
        return self.output(batch, self.fusion(self.dropout(first.last(states))), {}, self.means(sequences))
