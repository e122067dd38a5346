"""The skeleton that late-fusion models share: a vector per modality, and one module that fuses them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selfmm.config.settings import Settings
from selfmm.core.errors import RunError
from selfmm.data.store import Modality
from selfmm.data.types import Batch, Output
from selfmm.models.base import Model


class LateFusion(Model):
    """Encodes each modality on its own and joins the results; every clip may lack some of its streams.

    ``fusion`` is the method's own: a module from the concatenation of all encoders' outputs, in the order of
    ``modalities``, (B, sum of ``dims``), to the fused feature (B, ``fusion_dim``) and the score (B,).
    """

    fusion: nn.Module

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        self.heads = self.make_heads(self.dims)
        self.fusion = self.make_fusion()
        dim = getattr(self.fusion, "dim", None)
        if not isinstance(dim, int):
            raise TypeError(
                f"{type(self.fusion).__name__}, which {type(self).__name__}.make_fusion() gave, has no whole number "
                "``dim``: set it to the size of the feature that it returns beside the score"
            )
        self.fusion_dim = dim

    def make_fusion(self) -> nn.Module:
        """The module that fuses, with an attribute ``dim``; here a head on the concatenation."""
        return self.fusion_head(sum(self.dims.values()))

    def forward(self, batch: Batch) -> Output:
        encoded = {name: self._encode(name, batch) for name in self.modalities}
        # Autocast is for the transformer, whose cost it halves; scores, losses and centres want full precision.
        with torch.autocast(batch.index.device.type, enabled=False):
            return self.combine(encoded, batch)

    def combine(self, encoded: dict[str, Tensor], batch: Batch) -> Output:
        """From the vectors (B, d) of all modalities to the output."""
        return self.output(batch, self.fusion(torch.cat(list(encoded.values()), dim=-1)), encoded, encoded)

    def _encode(self, name: str, batch: Batch) -> Tensor:
        stream = batch.streams[name]
        encoded: Tensor = self.encoders[name](stream.values, stream.lengths)
        return torch.where(stream.present.unsqueeze(1), encoded.float(), self.missing[name])


def as_late_fusion(model: Model, what: str) -> LateFusion:
    """The model, where ``what`` (as a message calls it) can be done with it.

    Raises:
        RunError: it joins its streams before each is one vector.
    """
    if not isinstance(model, LateFusion):
        raise RunError(
            f"{what} takes models that make one vector of each stream before they join them (self_mm, lf_dnn, tfn, lmf "
            f"and others), and {model.settings.model} joins them earlier."
        )
    return model
