"""A model without gradients: linear heads on fixed summaries of each modality, and a weighted sum of their scores.

:mod:`selfmm.training.adapt` fits it to rated clips in closed form. It starts from the starter, which is a run of this
model too, or from another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings, StreamSettings
from selfmm.core.errors import SettingsError
from selfmm.models.base import Score, Space, label_source
from selfmm.models.encoders import Standardised
from selfmm.models.late_fusion import Fusion, LateFusion

PERCENTILES = (0.1, 0.5, 0.9)
STATISTICS = 2 + len(PERCENTILES)
"""Numbers per feature in a summary: mean, deviation, percentiles."""
_TINY = 1e-12  # the gradient of a root is infinite at 0
_FARTHEST = 3.0  # deviations; a few clips with extreme values must not decide a regression


class FrameSummary(Standardised):
    """Mean, deviation and percentiles over time of the standardised features, and a 1 after them.

    They are taken of the frames in which a feature was measured, are standardised again by ``centre`` and ``spread``,
    and are cut to 3 deviations. A feature that was measured in no frame is 0, as in an average clip.

    Input: values (B, L, ``input_dim``) float and lengths (B,) int64. Output: (B, ``STATISTICS * input_dim + 1``); zeros
    for a clip in which nothing was measured, as for one that lacks the modality.

    Attributes:
        centre, spread: (``STATISTICS * input_dim``,); 0 and infinity leave a statistic out. Without a ``spread`` of
            their own, summaries are as they are.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, input_dim: int) -> None:
        super().__init__(input_dim)
        self.dim = STATISTICS * input_dim + 1
        self.register_buffer("centre", torch.zeros(self.dim - 1))
        self.register_buffer("spread", torch.ones(self.dim - 1))

    def kept_bytes(self, length: int) -> int:
        return 4 * length * self.dim

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        known = real[:, :, None] & ~values.isnan()
        number = known.sum(dim=1)
        measured = (number > 0).float()
        summary = (self.statistics(self.standard(values, real), known, number) - self.centre) / self.spread
        summary = summary.clamp(-_FARTHEST, _FARTHEST) * measured.repeat(1, STATISTICS)
        return torch.cat([summary, measured.amax(dim=1, keepdim=True)], dim=1)

    def statistics(self, frames: Tensor, known: Tensor, number: Tensor) -> Tensor:
        """Return mean, deviation and percentiles, (B, ``STATISTICS * input_dim``), of frames (B, L, ``input_dim``).

        ``known`` tells which values were measured, and ``number`` how many in a clip; the others must be 0.
        """
        total = number.clamp(min=1)
        mean = frames.sum(dim=1) / total
        deviation = (((frames - mean[:, None]) * known).square().sum(dim=1) / total).clamp(min=_TINY).sqrt()
        ordered = frames.where(known, torch.inf).sort(dim=1).values
        ranks = [self._at((total - 1) * share, ordered) for share in PERCENTILES]
        return torch.cat([mean, deviation, *(rank.where(number > 0, 0.0) for rank in ranks)], dim=1)

    @staticmethod
    def _at(place: Tensor, ordered: Tensor) -> Tensor:
        """Interpolate between the two values next to a place, (B, ``input_dim``)."""
        below, above = place.floor().long(), place.ceil().long()
        low, high = (ordered.gather(1, index[:, None])[:, 0] for index in (below, above))
        return low + (high - low) * (place - below).where(above > below, 0.0)


class LinearHead(nn.Module):
    """A score that is linear in the encoding. Input: (B, ``dim``). Output: the encoding and the score (B,)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.score = dim, Score(dim)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        return encoded, self.score(encoded)


class Stack(Fusion):
    """A weighted sum of the modalities' scores, with weights for each set of modalities that a clip may have.

    An encoding of zeros is a modality that a clip lacks. With scores s_1 ... s_k of the modalities present, set number
    p (the sum of 2^i over them) and the scale's neutral point and unit::

        score = neutral + unit * bias[p] + sum_i weights[p, i] * (s_i - neutral)

    Attributes:
        weights: (2^k, k), 0 for modalities that are not in the set.
        bias: (2^k,).
        errors, spread: (k,) variance of the error of each score, and that of the labels, in units of labels from -3 to
            3; a later fit starts from them. They do not change a score.
    """

    weights: Tensor
    bias: Tensor
    errors: Tensor
    spread: Tensor
    bits: Tensor

    def __init__(self, heads: nn.ModuleDict) -> None:
        super().__init__()
        # In a dictionary, so that they are not stored a second time: they belong to the model.
        self._heads, self.dim = dict(heads.items()), len(heads)
        self.register_buffer("weights", torch.zeros(2**self.dim, self.dim))
        self.register_buffer("bias", torch.zeros(2**self.dim))
        self.register_buffer("bits", 2 ** torch.arange(self.dim), persistent=False)
        self.register_buffer("errors", torch.ones(self.dim))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        present = torch.stack([(vectors[name] != 0).any(dim=-1) for name in self._heads], dim=-1)
        number = (present.long() * self.bits).sum(dim=-1)
        scores = torch.stack([head(vectors[name])[1] for name, head in self._heads.items()], dim=-1)
        scale = cast(LinearHead, next(iter(self._heads.values()))).score
        moved = (scores - scale.neutral).where(present, 0.0)
        return moved, scale.neutral + scale.unit * self.bias[number] + (self.weights[number] * moved).sum(dim=-1)


class AdaptOptions(Group):
    unrated: Literal["use", "ignore"] = Field(
        "use", description="use: voice and face also learn from the words' score of clips without a rating; ignore: not"
    )


class Adapt(LateFusion):
    """Linear heads on the mean state of a frozen text encoder and on summaries of frames, added by a ``Stack``."""

    paper = "this package"
    Options = AdaptOptions
    closed_form = True
    search: ClassVar[Mapping[str, Space]] = {}

    @classmethod
    def prepared(cls, settings: Settings) -> Settings:
        """Return the settings with a frozen text encoder, of which the mean is read unless they name the pooling."""
        pooling = "mean" if settings.text.pooling == "auto" else settings.text.pooling
        text = settings.text.model_copy(update={"finetune": False, "pooling": pooling})
        return settings.model_copy(update={"text": text})

    def make_heads(self, representations: Mapping[str, int]) -> nn.ModuleDict:
        if label_source(type(self), self.settings) != "none":
            raise SettingsError(
                [
                    f"labels.source = {self.settings.labels.source!r}: adapt learns every modality from the labels of "
                    "the whole clips; choose none, or another model (see `selfmm models`)"
                ]
            )
        return nn.ModuleDict({name: LinearHead(dim) for name, dim in representations.items()})

    def make_fusion(self) -> Fusion:
        return Stack(self.heads)

    def frame_encoder(self, name: str, dim: int, branch: StreamSettings) -> FrameSummary:
        return FrameSummary(dim)
