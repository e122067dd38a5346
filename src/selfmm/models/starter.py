"""The network of the starter: linear heads on inputs that no training changes, and a precision-weighted mean of them.

Nothing here is trained by gradients. :mod:`selfmm.starter` fits the head of the words in closed form, and sets that of
the face by a rule.

The mean is the posterior mean of the sentiment m of a clip under three assumptions: m has variance ``spread`` over all
clips around 0; each score is the mean of m given its modality alone, with an error of known variance v_s; and given m,
the modalities are independent. Each modality then multiplies the density of m by N(score_s, v_s) / N(0, spread), so
that the prior counts once, however many modalities a clip has::

    precision = 1 / spread + sum_s (1 / v_s - 1 / spread)        score = sum_s (score_s / v_s) / precision

With one modality this is its score; without any it is 0. A modality that says nothing (v_s = spread) changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selfmm.config.settings import StreamSettings
from selfmm.models.base import Score
from selfmm.models.encoders import Standardised
from selfmm.models.late_fusion import Fusion, LateFusion


class FrameMean(Standardised):
    """The mean of the standardised frames in which something was measured, and a 1 after it.

    Input: values (B, L, ``input_dim``) float and lengths (B,) int64. Output: (B, ``input_dim`` + 1); zeros for a clip
    in which nothing was measured, as for one that lacks the modality.
    """

    def __init__(self, input_dim: int) -> None:
        super().__init__(input_dim)
        self.dim = input_dim + 1

    def kept_bytes(self, length: int) -> int:
        return 4 * length * self.dim

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        measured = (real & ~values.isnan().all(dim=2)).float().unsqueeze(2)
        count = measured.sum(dim=1)
        mean = (self.standard(values, real) * measured).sum(dim=1) / count.clamp(min=1)
        return torch.cat([mean, (count > 0).float()], dim=1)


class LinearHead(nn.Module):
    """A score that is linear in the encoding. Input: (B, ``dim``). Output: the encoding and the score (B,)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.score = dim, Score(dim)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        return encoded, self.score(encoded)


class PrecisionMean(Fusion):
    """The precision-weighted mean of the modalities' scores; an encoding of zeros is a modality that a clip lacks.

    Attributes:
        errors: per modality v_s, the variance of its score's error.
        spread: the variance of the labels over all clips.
    """

    def __init__(self, heads: nn.ModuleDict) -> None:
        super().__init__()
        # In a dictionary, so that they are not stored a second time: they belong to the model.
        self._heads, self.dim = dict(heads.items()), len(heads)
        self.errors: Tensor
        self.spread: Tensor
        self.register_buffer("errors", torch.ones(len(heads)))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        present = torch.stack([(vectors[name] != 0).any(dim=-1) for name in self._heads], dim=-1).float()
        scores = torch.stack([head(vectors[name])[1] for name, head in self._heads.items()], dim=-1) * present
        precision = 1 / self.spread + (present * (1 / self.errors - 1 / self.spread)).sum(dim=-1)
        return scores, (scores / self.errors).sum(dim=-1) / precision


class Starter(LateFusion):
    """Linear heads on the frozen text encoder's pooled state and on means of frames, fused by ``PrecisionMean``."""

    def make_heads(self, representations: Mapping[str, int]) -> nn.ModuleDict:
        return nn.ModuleDict({name: LinearHead(dim) for name, dim in representations.items()})

    def make_fusion(self) -> Fusion:
        return PrecisionMean(self.heads)

    def frame_encoder(self, name: str, dim: int, branch: StreamSettings) -> FrameMean:
        return FrameMean(dim)
