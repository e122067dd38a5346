"""MISA: each modality is mapped to a space that all share and to its own space; attention fuses the results.

Hazarika, Zimmermann, Poria: MISA: Modality-Invariant and -Specific Representations for Multimodal Sentiment Analysis,
ACM Multimedia 2020, https://arxiv.org/abs/2005.03545.

Deviations from the published code: each modality has the encoder that all late-fusion models share, while the code has
the mean of all of BERT's tokens, including padding, and two bidirectional LSTMs with a LayerNorm between them. The
gradient of the difference passes through the norms of the rows, which the code treats as constants. A clip that lacks a
modality does not take part in the terms of that modality. Equal central moments give no gradient; in the code it is
NaN, as in any batch of one. The attention layer has its LayerNorms before its parts: with them after, as in the code, 3
of 6 runs at learning rates of .001 and .002 never learnt. The training loss is the absolute error, as for all models
here, not the squared one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import Group
from selfmm.data.types import Batch, Output
from selfmm.models.attention import Block, Dropouts
from selfmm.models.base import COMMON_SEARCH, Needs, Range, Score, Space
from selfmm.models.late_fusion import Fusion, LateFusion

_MOMENTS = 5
_HEADS = 2
_WIDE = 2048  # units between the linear layers of the attention layer
_DROPOUTS = Dropouts(attention=0.1, inner=0.1, residual=0.1)
_SHORTEST = 1e-6  # rows below this length are not scaled to 1


class Options(Group):
    """MISA's own settings; the defaults are those published for MOSI."""

    dim: int = Field(128, ge=2, le=8192, multiple_of=_HEADS, description="size of the shared and of each own space")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout between attention and score")
    similarity: float = Field(1.0, ge=0, description="weight of the distance between modalities in the shared space")
    difference: float = Field(0.3, ge=0, description="weight of the overlap of two spaces")
    reconstruction: float = Field(1.0, ge=0, description="weight of the reconstruction loss of each modality")


def central_moment_discrepancy(x: Tensor, y: Tensor, in_x: Tensor, in_y: Tensor) -> Tensor:
    """Return |E x - E y| + sum for k = 2..5 of |E (x - E x)^k - E (y - E y)^k|.

    The definition divides term k by the width of the values' range to the power of k; after a sigmoid, that is 1.

    Args:
        x, y: (B, d).
        in_x, in_y: (B,) bool, which of their rows count.

    Returns:
        (), 0 if no row of x or no row of y counts.
    """
    distance = x.new_zeros(())
    for ours, theirs in zip(_moments(x, in_x), _moments(y, in_y), strict=True):
        distance = distance + torch.linalg.vector_norm(ours - theirs)
    return distance * (in_x.any() & in_y.any())


def _moments(values: Tensor, counts: Tensor) -> list[Tensor]:
    """The mean and the central moments from the second to the fifth, (d,) each."""
    share = _shares(counts, values)
    mean = share @ values
    deviations = values - mean
    return [mean, *(share @ deviations**k for k in range(2, _MOMENTS + 1))]


def overlap(x: Tensor, y: Tensor, counts: Tensor) -> Tensor:
    """Return |X^T Y|_F^2 / d^2; the mean is subtracted from the rows of X and Y, which are then scaled to length 1.

    The paper does not divide by d^2; the published code does, and its weights depend on it.

    Args:
        x, y: (B, d).
        counts: (B,) bool, which rows count.

    Returns:
        (), 0 if at most one row counts.
    """
    return (_rows(x, counts).T @ _rows(y, counts)).square().mean()


def _rows(values: Tensor, counts: Tensor) -> Tensor:
    deviations = values - _shares(counts, values) @ values
    return functional.normalize(deviations, dim=1, eps=_SHORTEST) * counts[:, None]


def _shares(counts: Tensor, like: Tensor) -> Tensor:
    """(B,) the weights of a mean over the rows that count."""
    return counts.to(like.dtype) / counts.sum().clamp(min=1)


class Spaces(NamedTuple):
    """Each modality (B, d): as it is, in the space that all share, and in its own space."""

    whole: Mapping[str, Tensor]  # u_m
    shared: Mapping[str, Tensor]  # c_m
    own: Mapping[str, Tensor]  # p_m


class SubspaceFusion(Fusion):
    """Maps each vector to two spaces, and applies attention to the results."""

    def __init__(self, dims: Mapping[str, int], options: Options) -> None:
        super().__init__()
        size = options.dim
        self.project = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(dim, size), nn.ReLU(), nn.LayerNorm(size)) for name, dim in dims.items()}
        )
        self.shared = nn.Sequential(nn.Linear(size, size), nn.Sigmoid())
        self.own = nn.ModuleDict({name: nn.Sequential(nn.Linear(size, size), nn.Sigmoid()) for name in dims})
        self.again = nn.ModuleDict({name: nn.Linear(size, size) for name in dims})
        self.layer = Block(size, _HEADS, _DROPOUTS, hidden=_WIDE, activation=nn.ReLU())
        self.dim = len(dims) * size
        self.join = nn.Sequential(nn.Linear(2 * self.dim, self.dim), nn.Dropout(options.dropout), nn.ReLU())
        self.score = Score(self.dim)

    def spaces(self, vectors: Mapping[str, Tensor]) -> Spaces:
        whole = {name: project(vectors[name]) for name, project in self.project.items()}
        shared = {name: self.shared(vector) for name, vector in whole.items()}
        return Spaces(whole, shared, {name: self.own[name](vector) for name, vector in whole.items()})

    def fuse(self, spaces: Spaces) -> tuple[Tensor, Tensor]:
        vectors = torch.stack([*spaces.own.values(), *spaces.shared.values()], dim=1)
        feature = self.join(self.layer(vectors, vectors, None).flatten(1))
        return feature, self.score(feature)

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return self.fuse(self.spaces(vectors))

    def similarity(self, spaces: Spaces, present: Mapping[str, Tensor]) -> Tensor:
        """Return (), the mean distance between two modalities in the shared space."""
        shared = spaces.shared
        distances = [
            central_moment_discrepancy(shared[a], shared[b], present[a], present[b]) for a, b in combinations(shared, 2)
        ]
        return torch.stack(distances).mean()

    def difference(self, spaces: Spaces, present: Mapping[str, Tensor]) -> Tensor:
        """Return (), the overlap of the two spaces of each modality, and of the own spaces of any two modalities."""
        own = spaces.own
        parts = [overlap(own[name], spaces.shared[name], present[name]) for name in own]
        parts += [overlap(own[a], own[b], present[a] & present[b]) for a, b in combinations(own, 2)]
        return torch.stack(parts).sum()

    def reconstruction(self, spaces: Spaces, present: Mapping[str, Tensor]) -> Tensor:
        """Return (B,), the mean over modalities and features of (D_m(p_m + c_m) - u_m)^2."""
        errors = [
            (self.again[name](spaces.own[name] + spaces.shared[name]) - whole).square().mean(dim=1) * present[name]
            for name, whole in spaces.whole.items()
        ]
        return torch.stack(errors).mean(dim=0)


class MISA(LateFusion):
    """u_m = LN(ReLU(W_m F_m)), c_m = sigmoid(W_c u_m), p_m = sigmoid(W_m' u_m), (B, d) each.

    The 2n vectors p and c attend to each other in one transformer layer; F_m* = ReLU(W [all of them]) (B, n d), y^_m =
    W' F_m* (B,). Terms of the loss, weighted: ``similarity`` of the c, ``difference`` of the p from the c and from each
    other, ``reconstruction`` of u_m from p_m + c_m.
    """

    paper: ClassVar[str] = "Hazarika et al., ACM MM 2020"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2)
    joins_clips: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.dim": (32, 64, 128, 256),
        "options.dropout": (0.1, 0.3, 0.5),
        "options.similarity": Range(1e-2, 1e1, log=True),
        "options.difference": Range(1e-2, 1e1, log=True),
        "options.reconstruction": Range(1e-2, 1e1, log=True),
    }

    fusion: SubspaceFusion

    def make_fusion(self) -> SubspaceFusion:
        return SubspaceFusion(self.dims, self.options)

    def combine(self, encoded: dict[str, Tensor], batch: Batch) -> Output:
        fusion = self.fusion
        spaces = fusion.spaces(encoded)
        present = {name: batch.streams[name].present for name in self.modalities}
        options, (feature, score) = self.options, fusion.fuse(spaces)
        terms = {
            "similarity": (options.similarity * fusion.similarity(spaces, present)).expand_as(score),
            "difference": (options.difference * fusion.difference(spaces, present)).expand_as(score),
            "reconstruction": options.reconstruction * fusion.reconstruction(spaces, present),
        }
        return self.output(batch, (feature, score), encoded, encoded, terms)
