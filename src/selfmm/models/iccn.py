"""ICCN, Interaction Canonical Correlation Network: correlates the text's interactions with each other modality.

Sun, Sarma, Sethares, Liang: Learning Relationships between Text, Audio, and Video via Deep Canonical Correlation for
Multimodal Language Analysis, AAAI 2020, https://arxiv.org/abs/1911.05544.

No code and few sizes are published. Deviations from the paper: every modality has the encoder that all late-fusion
models share; one loss trains everything together, while the paper first learns the correlations and then a score of the
result.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group
from selfmm.data.manifest import TEXT
from selfmm.data.types import Batch, Output
from selfmm.models.base import COMMON_SEARCH, Head, Needs, Range, Space, besides_text
from selfmm.models.late_fusion import Fusion, LateFusion

_ROUNDING = 1e-12  # of the sum of all variances: below it, double precision cannot tell a matrix from a singular one
_NONE = 1e-5  # a correlation below this is rounding error with a random direction, so it has no gradient


class Options(Group):
    """ICCN's own settings."""

    embedding: int = Field(8, ge=1, le=4096, description="size of K, which is correlated; clearly below the batch size")
    channels: int = Field(8, ge=1, le=1024, description="channels of the first convolution; the second has twice that")
    correlation: float = Field(0.01, ge=0, description="weight of the sum of the canonical correlations")
    regularisation: float = Field(1e-3, ge=1e-6, le=1e6, description="r, added to each variance before the correlation")


def canonical_correlations(x: Tensor, y: Tensor, counts: Tensor, regularisation: float) -> Tensor:
    """Return the canonical correlations of x and y, highest first.

    Andrew, Arora, Bilmes, Livescu: Deep Canonical Correlation Analysis, ICML 2013. They are the singular values of
    C_x^-1/2 C_xy C_y^-1/2, where C_x = cov(x) + r I, and C_y likewise. Their sum has a gradient everywhere, because it
    uses singular values and not the roots of eigenvalues: the gradient of the root of 0 is infinite, and that of two
    equal eigenvalues is undefined.

    Args:
        x: (B, d).
        y: (B, d').
        counts: (B,) bool, which rows count.
        regularisation: r; where x or y varies by less than its root, correlations and their gradients become small.

    Returns:
        (min(d, d'),) from 0 to 1; all 0 if fewer than two rows count, or x or y is the same in all of them.
    """
    a, b = _centred(x, counts), _centred(y, counts)
    # The decomposition fails only on NaN, and a loss of NaN gives a clearer message than its error.
    left, right = (torch.linalg.cholesky_ex(_covariance(view, regularisation)).L for view in (a, b))
    # L^-1 instead of C^-1/2 adds a rotation, which changes no singular value.
    whitened = torch.linalg.solve_triangular(left, a.T @ b, upper=False)
    whitened = torch.linalg.solve_triangular(right, whitened.T, upper=False)
    correlations = torch.linalg.svdvals(whitened)
    return torch.where(correlations > _NONE, correlations, 0.0).to(x)


def _centred(values: Tensor, counts: Tensor) -> Tensor:
    """The rows that count minus their mean, divided by the root of their number less one; zeros in other rows.

    In double precision: the Cholesky decomposition fails if rounding outweighs the regularisation.
    """
    place = "cpu" if values.device.type == "mps" else values.device  # MPS has no double precision
    weights = counts[:, None].to(place, torch.float64)
    values, count = values.to(place, torch.float64), weights.sum()
    deviations = (values - (values * weights).sum(dim=0) / count.clamp(min=1)) * weights
    return deviations / (count - 1).clamp(min=1).sqrt()


def _covariance(centred: Tensor, regularisation: float) -> Tensor:
    covariance = centred.T @ centred
    more = regularisation + _ROUNDING * covariance.diagonal().detach().sum()
    return covariance + more * torch.eye(len(covariance), dtype=centred.dtype, device=centred.device)


class Interaction(nn.Module):
    """K = W CNN(a x b): two convolutions over the outer product, each followed by ReLU and a 2 x 2 maximum.

    Input: a (B, ``a_dim``) and b (B, ``b_dim``). Output: (B, ``options.embedding``).
    """

    def __init__(self, a_dim: int, b_dim: int, options: Options) -> None:
        super().__init__()
        channels = options.channels
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
            *(nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        )
        quarters = -(-a_dim // 4) * -(-b_dim // 4)
        self.linear = nn.Linear(2 * channels * quarters, options.embedding)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        product = a[:, :, None] * b[:, None, :]
        return self.linear(self.convolutions(product[:, None]).flatten(1))  # type: ignore[no-any-return]


class InteractionFusion(Fusion):
    """``head`` on [F_t; all K_s] (B, d_t + k (M - 1)) for M modalities."""

    def __init__(self, dims: Mapping[str, int], options: Options, head: Head) -> None:
        super().__init__()
        self.dim = head.dim
        others = besides_text(dims)
        self.interactions = nn.ModuleDict({name: Interaction(dims[TEXT], dims[name], options) for name in others})
        self.head = head

    def interact(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return K_s (B, k) of each modality except text."""
        return {name: part(encoded[TEXT], encoded[name]) for name, part in self.interactions.items()}

    def fuse(self, encoded: Mapping[str, Tensor], interactions: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return F_m* and the score, from the vectors and the output of ``interact``."""
        return self.head(torch.cat([encoded[TEXT], *interactions.values()], dim=-1))  # type: ignore[no-any-return]

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return self.fuse(vectors, self.interact(vectors))


class ICCN(LateFusion):
    """K_s = W_s CNN_s(F_t x F_s) (B, k) for each other modality s, from the outer product (B, d_t, d_s) with the text.

    F_m* = ReLU(W [F_t; all K_s]) (B, D), y^_m = W' F_m* (B,). Term of the loss, weighted: ``correlation``, minus the
    sum of the canonical correlations between K_s and K_s' for any two other modalities, over the clips of the batch
    that have the text and both.
    """

    paper: ClassVar[str] = "Sun et al., AAAI 2020"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2, text=True)
    joins_clips: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.embedding": (4, 8, 16, 32),
        "options.channels": (4, 8, 16),
        "options.correlation": Range(1e-3, 1.0, log=True),
        "options.regularisation": Range(1e-4, 1e-1, log=True),
    }

    fusion: InteractionFusion

    def make_fusion(self) -> InteractionFusion:
        others = besides_text(self.modalities)
        head = self.fusion_head(self.dims[TEXT] + len(others) * self.options.embedding)
        return InteractionFusion(self.dims, self.options, head)

    def combine(self, encoded: dict[str, Tensor], batch: Batch) -> Output:
        fusion = self.fusion
        interactions = fusion.interact(encoded)
        terms = {}
        # One modality besides the text has nothing to correlate with, and an exported file needs no term of the loss.
        if len(interactions) > 1 and not torch.compiler.is_exporting():
            correlation = -self.options.correlation * self._correlation(interactions, batch)
            terms["correlation"] = correlation.expand(len(batch))
        return self.output(batch, fusion.fuse(encoded, interactions), encoded, encoded, terms)

    def _correlation(self, interactions: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """() the sum of all canonical correlations between any two others."""
        r, has_text = self.options.regularisation, batch.streams[TEXT].present
        present = {name: batch.streams[name].present & has_text for name in interactions}
        correlations = [
            canonical_correlations(interactions[a], interactions[b], present[a] & present[b], r).sum()
            for a, b in combinations(interactions, 2)
        ]
        return torch.stack(correlations).sum()

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        # The outer product; per channel, 1 and 1/4 for the first convolution, 2/4 and 1/8 for the second.
        per_pixel: int = 1 + 3 * self.options.channels
        pixels = self.dims[TEXT] * sum(self.dims[name] for name in besides_text(self.modalities))
        return super().kept_bytes(lengths) + 4 * per_pixel * pixels
