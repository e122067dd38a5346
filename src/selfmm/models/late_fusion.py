"""The skeleton of late-fusion models: a vector per modality, and one module that fuses the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from selfmm.config.settings import Settings
from selfmm.core.errors import RunError
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Output
from selfmm.models.base import Head, Model
from selfmm.models.ensemble import members_of


class Fusion(nn.Module):
    """Fuses the vectors of all modalities.

    Input: per modality its vector (B, d), d as in ``LateFusion.dims``. Output: the fused feature F_m* (B, ``dim``) and
    the score (B,).

    Attributes:
        dim: size of the fused feature.
    """

    dim: int

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class ConcatenationFusion(Fusion):
    """A head on the concatenation of all vectors.

    Args:
        names: modalities, in the order in which they are concatenated.
        head: reads (B, sum of the vectors' sizes).
    """

    def __init__(self, names: Sequence[str], head: Head) -> None:
        super().__init__()
        # The head's layers keep these names because stored weights have them.
        self.names, self.dim, self.project, self.score = tuple(names), head.dim, head.project, head.score

    def forward(self, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        feature = self.project(torch.cat([vectors[name] for name in self.names], dim=-1))
        return feature, self.score(feature)


class LateFusion(Model):
    """Encodes each modality on its own and fuses the vectors; a clip may lack some of its modalities.

    Attributes:
        fusion: what :meth:`make_fusion` returned.
    """

    fusion: Fusion

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        self.heads = self.make_heads(self.dims)
        self.fusion = self.make_fusion()
        dim = getattr(self.fusion, "dim", None)
        if not isinstance(dim, int):
            raise TypeError(
                f"{type(self).__name__}.make_fusion() returned a {type(self.fusion).__name__} without an integer "
                "``dim``: set it to the size of the feature that the fusion returns along with the score"
            )
        self.fusion_dim = dim

    def make_fusion(self) -> Fusion:
        """Make the module that fuses the vectors of all modalities (sizes ``dims``): a head on their concatenation."""
        return ConcatenationFusion(self.modalities, self.fusion_head(sum(self.dims.values())))

    def forward(self, batch: Batch) -> Output:
        encoded = {name: self._encode(name, batch) for name in self.modalities}
        # Autocast is for the transformer: it halves its cost; scores, losses and class centres need full precision.
        with torch.autocast(batch.index.device.type, enabled=False):
            return self.combine(encoded, batch)

    def combine(self, encoded: dict[str, Tensor], batch: Batch) -> Output:
        """Turn the vectors (B, d) of all modalities into the output."""
        return self.output(batch, self.fusion(encoded), encoded, encoded)

    def _encode(self, name: str, batch: Batch) -> Tensor:
        stream = batch.streams[name]
        encoded: Tensor = self.encoders[name](stream.values, stream.lengths)
        return torch.where(stream.present.unsqueeze(1), encoded.float(), self.missing[name])


def as_late_fusion(model: Model, what: str) -> tuple[LateFusion, ...]:
    """Return a late-fusion model, or the members of an ensemble of them; ``what`` (a phrase for the message) needs it.

    Raises:
        RunError: if one of them fuses the modalities earlier.
    """
    for member in members_of(model):
        if not isinstance(member, LateFusion):
            raise RunError(
                f"{what} needs a model that makes one vector of each modality before it fuses them (self_mm, lf_dnn, "
                f"tfn, lmf and others), and {member.settings.model_name} fuses them earlier."
            )
    return cast("tuple[LateFusion, ...]", members_of(model))
