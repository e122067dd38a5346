"""ICCN, Interaction Canonical Correlation Network (Sun, Sarma, Sethares, Liang: Learning Relationships between Text,
Audio, and Video via Deep Canonical Correlation for Multimodal Language Analysis, AAAI 2020): what the text says
together with each other modality is to be correlated.

No code is published, and few sizes are. Deviations from the paper: every modality is read by the encoder that all
late-fusion models share; one loss trains everything at once, where the paper learns the correlations first and then a
score of what came out.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group
from selfmm.data.store import TEXT
from selfmm.data.types import Batch, Output
from selfmm.models.base import COMMON_SEARCH, Head, Needs, Range, Space, besides_text
from selfmm.models.late_fusion import Fusion, LateFusion

_ROUNDING = 1e-12  # of all variances together: below it, double precision sees no difference to a singular matrix
_NONE = 1e-5  # a correlation below this is rounding, and its direction chance: it has no gradient


class Options(Group):
    """ICCN's own settings."""

    embedding: int = Field(8, ge=1, le=4096, description="size of K, what is correlated; clearly below the batch size")
    channels: int = Field(8, ge=1, le=1024, description="of the first convolution; the second has twice as many")
    correlation: float = Field(0.01, ge=0, description="weight of the sum of the canonical correlations")
    regularisation: float = Field(
        1e-3, ge=1e-6, le=1e6, description="r, added to each variance before numbers are correlated"
    )


def canonical_correlations(x: Tensor, y: Tensor, there: Tensor, regularisation: float) -> Tensor:
    """The canonical correlations of x and y, highest first (Andrew et al.: Deep Canonical Correlation Analysis, 2013).

    These are the singular values of C_x^-1/2 C_xy C_y^-1/2, C_x = cov(x) + r I, C_y likewise. Their sum has
    a gradient everywhere: by the singular values alone, and not by the roots of eigenvalues, of which that of 0 is
    infinite and that of two equal ones is not defined.

    Args:
        x: (B, d).
        y: (B, d').
        there: (B,) bool, which rows count.
        regularisation: r, which makes the correlations of what varies by less than its root small, and their gradient.

    Returns:
        (min(d, d'),) from 0 to 1; all 0 where fewer than two rows count, or x or y is the same in all of them.
    """
    a, b = _centred(x, there), _centred(y, there)
    # It fails on NaN alone, and a loss that is none says so better than an error of Cholesky's.
    left, right = (torch.linalg.cholesky_ex(_covariance(each, regularisation)).L for each in (a, b))
    # L^-1 in the place of C^-1/2 is a rotation more, which changes no singular value.
    whitened = torch.linalg.solve_triangular(left, a.T @ b, upper=False)
    whitened = torch.linalg.solve_triangular(right, whitened.T, upper=False)
    found = torch.linalg.svdvals(whitened)
    return torch.where(found > _NONE, found, 0.0).to(x)


def _centred(values: Tensor, there: Tensor) -> Tensor:
    """Less the mean of the rows that count, over the root of their number less one; other rows are zeros.

    In double precision: Cholesky's has no solution where rounding outweighs the regularisation.
    """
    place = "cpu" if values.device.type == "mps" else values.device  # which has no double precision
    counts = there[:, None].to(place, torch.float64)
    values, count = values.to(place, torch.float64), counts.sum()
    apart = (values - (values * counts).sum(dim=0) / count.clamp(min=1)) * counts
    return apart / (count - 1).clamp(min=1).sqrt()


def _covariance(centred: Tensor, regularisation: float) -> Tensor:
    covariance = centred.T @ centred
    more = regularisation + _ROUNDING * covariance.diagonal().detach().sum()
    return covariance + more * torch.eye(len(covariance), dtype=centred.dtype, device=centred.device)


class Interaction(nn.Module):
    """K = W CNN(a x b): two convolutions over the outer product, each with ReLU and the highest of 2 x 2.

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
        picture = a[:, :, None] * b[:, None, :]
        return self.linear(self.convolutions(picture[:, None]).flatten(1))  # type: ignore[no-any-return]


class InteractionFusion(Fusion):
    """F_m* and the score, as a ``Head`` gives them, of [F_t; all K_s].

    Input: per modality its vector (B, d). Output: F_m* (B, ``dim``) and the score (B,).

    Args:
        dims: size of each modality's vector.
        options: the model's own.
        head: reads [F_t; all K_s] (B, d_t + k (M - 1)) of M modalities.
    """

    def __init__(self, dims: Mapping[str, int], options: Options, head: Head) -> None:
        super().__init__()
        self.dim = head.dim
        others = besides_text(dims)
        self.interactions = nn.ModuleDict({name: Interaction(dims[TEXT], dims[name], options) for name in others})
        self.head = head

    def interact(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """K_s (B, k) of each modality but text."""
        return {name: part(encoded[TEXT], encoded[name]) for name, part in self.interactions.items()}

    def fuse(self, encoded: Mapping[str, Tensor], said: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """F_m* and the score of the vectors and what ``interact`` makes of them."""
        return self.head(torch.cat([encoded[TEXT], *said.values()], dim=-1))  # type: ignore[no-any-return]

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return self.fuse(vectors, self.interact(vectors))


class ICCN(LateFusion):
    """K_s = W_s CNN_s(F_t x F_s) (B, k) of each other modality s, from the outer product (B, d_t, d_s) with the text.

    F_m* = ReLU(W [F_t; all K_s]) (B, D), y^_m = W' F_m* (B,). Term of the loss, weighted: ``correlation``, less the
    sum of the canonical correlations between K_s and K_s' of each two others, over the clips of the batch that have the
    text and both.
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
        said = fusion.interact(encoded)
        terms = {}
        # With one modality beside the text nothing can be correlated; and a file that scores clips needs no term.
        if len(said) > 1 and not torch.compiler.is_exporting():
            terms["correlation"] = (-self.options.correlation * self._correlation(said, batch)).expand(len(batch))
        return self.output(batch, fusion.fuse(encoded, said), encoded, encoded, terms)

    def _correlation(self, said: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """() the sum of all canonical correlations between two others."""
        present = {name: batch.streams[name].present & batch.streams[TEXT].present for name in said}
        found = [
            canonical_correlations(said[a], said[b], present[a] & present[b], self.options.regularisation).sum()
            for a, b in combinations(said, 2)
        ]
        return torch.stack(found).sum()

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        # The picture, and per channel: of the first convolution 1 and a quarter, of the second 2/4 and a quarter of it.
        each: int = 1 + 3 * self.options.channels
        others = besides_text(self.modalities)
        pixels = self.dims[TEXT] * sum(self.dims[name] for name in others)
        return super().kept_bytes(lengths) + 4 * each * pixels
