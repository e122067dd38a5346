"""LMF, Low-rank Multimodal Fusion: a linear map of TFN's tensor, computed without the tensor.

Liu, Shen, Lakshminarasimhan, Liang, Zadeh, Morency: Efficient Low-rank Multimodal Fusion with Modality-Specific
Factors, ACL 2018, https://arxiv.org/abs/1806.00064.

Deviations from the published code: the frames are standardised with the statistics of the training split, while the
code has a batch norm, which makes a clip's score depend on the other clips of its batch; words that a transformer reads
need no LSTM; the factors have the same learning rate as everything else after the encoders (``fusion.lr``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, StreamSettings
from selfmm.models.base import COMMON_SEARCH, Needs, Score, Space
from selfmm.models.encoders import Encoder, sub_network
from selfmm.models.late_fusion import Fusion, LateFusion


class Options(Group):
    """LMF's own settings; the default is the paper's."""

    rank: int = Field(4, ge=1, le=4096, description="number of summed products, each of one factor per modality")


class LowRankFusion(Fusion):
    """F_m = (W_1 [z_1; 1]) * ... * (W_M [z_M; 1]) element by element, and y^_m = w F_m + b (paper, section 3.2).

    This equals <T, [z_1; 1] x ... x [z_M; 1]> + b with a tensor T = sum over i of w_i (W_1i x ... x W_Mi) of rank r or
    less. T can be any tensor if r is as large as the product of all its sizes but the largest.
    """

    def __init__(self, dims: Mapping[str, int], rank: int) -> None:
        super().__init__()
        self.dim = rank
        # The bias is the column of W that multiplies the 1.
        self.factors = nn.ModuleDict({name: nn.Linear(dim, rank) for name, dim in dims.items()})
        self.score = Score(rank)

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        feature = reduce(torch.mul, [factor(vectors[name]) for name, factor in self.factors.items()])
        return feature, self.score(feature)


class LMF(LateFusion):
    """F_m = (W_1 [z_1; 1]) * ... * (W_M [z_M; 1]) (B, r), y^_m = w F_m + b (B,).

    For words, z is the transformer's vector; for text that is already features, the end state of an LSTM and a linear
    layer; for other frames, the output of a network of three layers on their mean. The head of a single modality reads
    its z.
    """

    paper: ClassVar[str] = "Liu et al., ACL 2018"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2)
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.rank": (1, 4, 8, 16, 32),
        "stream.*.out": (4, 8, 16, 32),
    }

    def frame_encoder(self, name: str, dim: int, branch: StreamSettings) -> Encoder:
        return sub_network(name, dim, branch)

    def make_fusion(self) -> LowRankFusion:
        return LowRankFusion(self.dims, self.options.rank)
