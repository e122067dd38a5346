"""MMIM, MultiModal InfoMax: raises the information between the text and the other modalities, and between the fused
feature and each modality.

Han, Chen, Poria: Improving Multimodal Fusion with Hierarchical Mutual Information Maximization for Multimodal Sentiment
Analysis, EMNLP 2021, https://arxiv.org/abs/2109.00412.

Deviations from the published code: one loss trains everything, while the code alternates between an epoch for the
networks that estimate the information between modalities and one for all others; both raise the same likelihood. The
likelihood is that of the whole Gaussian, with the logarithm of its variance; without it, an infinite variance would be
best. It is the likelihood of the same projection g of the other modality for which the entropy is estimated; the code
uses the modality itself, which gains by shrinking. g is trained, which it is not in the code. The entropy is that of
all clips of a batch; the code has one for the positive and one for the negative clips of this batch and the one before.
A clip that lacks a modality does not take part in the terms of that modality.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import FusionSettings, Group
from selfmm.data.manifest import TEXT
from selfmm.data.types import Batch, Output
from selfmm.models.base import COMMON_SEARCH, Needs, Range, Score, Space, besides_text
from selfmm.models.late_fusion import Fusion, LateFusion

_SHARE = 4  # the size of g's input, divided by that of g
_LOG_2_PI = math.log(2 * math.pi)
# The information is that of g plus noise of this variance, which makes it finite: at most 3.5 nats per number, and 0 if
# g hardly varies. Without the noise, it would be infinite for a g that is the same for all clips.
_FLOOR = 1e-3
_SHORTEST = 1e-6  # vectors below this length are not scaled to 1


class Options(Group):
    """MMIM's own settings; the defaults are those of the published code."""

    contrast: float = Field(0.1, ge=0, description="weight of telling clips' modalities apart by the fused feature")
    bound: float = Field(0.1, ge=0, description="weight of the information between text and each other modality")


def contrast(predicted: Tensor, x: Tensor, counts: Tensor) -> Tensor:
    """Return the mean over clips i of -(s_ii - log sum over clips j of exp s_ij).

    s_ij is the cosine between x_i and the prediction from clip j: contrastive predictive coding, with the batch as
    negatives.

    Args:
        predicted, x: (B, d).
        counts: (B,) bool, which clips count.

    Returns:
        () at least 0; 0 for fewer than two clips.
    """
    x_unit, predicted_unit = (functional.normalize(vectors, dim=1, eps=_SHORTEST) for vectors in (x, predicted))
    cosines = x_unit @ predicted_unit.T
    # Each clip is compared with itself, so no sum is empty.
    compared = counts[None, :] | torch.eye(x.shape[0], dtype=torch.bool, device=x.device)
    total = cosines.masked_fill(~compared, -torch.inf).logsumexp(dim=1)
    return _mean(total - cosines.diagonal(), counts)


def entropy(values: Tensor, counts: Tensor) -> Tensor:
    """Return 1/2 log det(2 pi e (C + floor)), the entropy in nats of a Gaussian with the covariance C of the rows.

    Args:
        values: (B, d).
        counts: (B,) bool, which rows count.

    Returns:
        ().
    """
    share = counts.to(values.dtype) / counts.sum().clamp(min=1)
    deviations = values - share @ values
    covariance = (deviations * share[:, None]).T @ deviations
    floor = _FLOOR * torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
    half: Tensor = 0.5 * torch.linalg.slogdet(covariance + floor).logabsdet
    return half + 0.5 * values.shape[1] * (1 + _LOG_2_PI)


def log_likelihood(values: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """Return (B,) E log N(values + noise; mean, ``spread`` + floor), over noise of variance floor; all are (B, d)."""
    variance = spread + _FLOOR
    terms = ((values - mean).square() + _FLOOR) / variance + variance.log() + _LOG_2_PI
    return -0.5 * terms.sum(dim=1)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    return (values * counts).sum() / counts.sum().clamp(min=1)


class Information(nn.Module):
    """I(x; g(y)) >= H(g(y)) + E log q(g(y) | x), at most I(x; y): the bound of Barber and Agakov.

    g(y) = tanh(W y) (B, d/4); q is a Gaussian, with networks of x for mean and variance, (B, d/4) each.

    Input: x (B, ``x_dim``), y (B, d) and which clips count (B,) bool. Output: () nats; 0 for fewer than two clips,
    because their entropy is unknown.
    """

    def __init__(self, x_dim: int, y_dim: int) -> None:
        super().__init__()
        size = max(1, y_dim // _SHARE)
        self.project = nn.Sequential(nn.Linear(y_dim, size), nn.Tanh())
        self.mean = nn.Sequential(nn.Linear(x_dim, y_dim), nn.ReLU(), nn.Linear(y_dim, size))
        # Values between -1 and 1 have a variance of 1 at most.
        self.variance = nn.Sequential(nn.Linear(x_dim, y_dim), nn.ReLU(), nn.Linear(y_dim, size), nn.Sigmoid())

    def forward(self, x: Tensor, y: Tensor, counts: Tensor) -> Tensor:
        values = self.project(y)
        likelihood = log_likelihood(values, self.mean(x), self.variance(x))
        return (entropy(values, counts) + _mean(likelihood, counts)) * (counts.sum() > 1)


class TanhFusion(Fusion):
    """F_m* = tanh(W_2 tanh(W_1 dropout([F_t; F_a; F_v]))) and the score."""

    def __init__(self, dims: Mapping[str, int], settings: FusionSettings) -> None:
        super().__init__()
        self.names, self.dim = tuple(dims), settings.projection
        self.project = nn.Sequential(
            nn.Dropout(settings.projection_dropout),
            *(nn.Linear(sum(dims.values()), self.dim), nn.Tanh()),
            *(nn.Linear(self.dim, self.dim), nn.Tanh()),
        )
        self.score = Score(self.dim)

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        feature = self.project(torch.cat([vectors[name] for name in self.names], dim=-1))
        return feature, self.score(feature)


class MMIM(LateFusion):
    """F_m* = tanh(W_2 tanh(W_1 [F_t; F_a; F_v])) (B, D), y^_m = W F_m* (B,).

    Terms of the loss, weighted: ``contrast``, the error of F_m* in telling each F_s of a clip from those of the other
    clips of the batch; ``bound``, minus the estimated information between F_t and each other F_s.
    """

    paper: ClassVar[str] = "Han et al., EMNLP 2021"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2, text=True)
    joins_clips: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.contrast": Range(1e-2, 1.0, log=True),
        "options.bound": Range(1e-3, 1.0, log=True),
    }

    def make_fusion(self) -> TanhFusion:
        others = besides_text(self.modalities)
        fusion = TanhFusion(self.dims, self.settings.fusion)
        self.information = nn.ModuleDict({name: Information(self.dims[TEXT], self.dims[name]) for name in others})
        self.predict = nn.ModuleDict({name: nn.Linear(fusion.dim, dim) for name, dim in self.dims.items()})
        return fusion

    def combine(self, encoded: dict[str, Tensor], batch: Batch) -> Output:
        fused = self.fusion(encoded)
        terms = {
            "contrast": self.options.contrast * self._contrast(fused[0], encoded, batch),
            "bound": -self.options.bound * self._information(encoded, batch),
        }
        spread = {name: value.expand_as(fused[1]) for name, value in terms.items()}
        return self.output(batch, fused, encoded, encoded, spread)

    def _contrast(self, feature: Tensor, encoded: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return torch.stack(
            [contrast(self.predict[name](feature), x, batch.streams[name].present) for name, x in encoded.items()]
        ).sum()

    def _information(self, encoded: Mapping[str, Tensor], batch: Batch) -> Tensor:
        has_text = batch.streams[TEXT].present
        information = [
            part(encoded[TEXT], encoded[name], has_text & batch.streams[name].present)
            for name, part in self.information.items()
        ]
        return torch.stack(information).sum()
