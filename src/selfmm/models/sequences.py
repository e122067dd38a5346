"""The skeleton of models that read sequences: frames and tokens as they are, and one method that fuses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from selfmm.data.types import Batch, Output, Stream
from selfmm.models.base import Model


@dataclass(frozen=True)
class Sequence:
    """One modality of a batch, in full precision.

    Attributes:
        values: (B, L, d); zeros after a clip's end.
        lengths: (B,) int64, at least 1.
        real: (B, L) bool, which steps are not padding.
    """

    values: Tensor
    lengths: Tensor
    real: Tensor

    @property
    def mean(self) -> Tensor:
        """(B, d), the mean over the real steps."""
        return self.values.sum(dim=1) / self.lengths[:, None]

    def last(self, values: Tensor | None = None) -> Tensor:
        """Return the last real step (B, d') of ``values`` (B, L, d'), by default its own."""
        values = self.values if values is None else values
        return values.take_along_dim((self.lengths - 1)[:, None, None], dim=1)[:, 0]

    def carrying(self, values: Tensor) -> Sequence:
        """Return the same steps with other values (B, L, d'), which are set to zero after a clip's end."""
        return Sequence(torch.where(self.real[:, :, None], values, 0.0), self.lengths, self.real)


class SequenceModel(Model):
    """Reads each modality as a sequence: tokens as the transformer returns them, frames standardised.

    A clip that lacks a modality has one step of ``missing`` instead, or with aligned modalities (``needs.aligned``) as
    many as its other modalities have; all sequences of a batch then have the same length.
    """

    reads_tokens: ClassVar[bool] = True

    def forward(self, batch: Batch) -> Output:
        encoded = {name: self.encoders[name](s.values, s.lengths) for name, s in batch.streams.items()}
        # Autocast is for the transformer: it halves its cost; scores, losses and class centres need full precision.
        with torch.autocast(batch.index.device.type, enabled=False):
            return self.combine(self._sequences(encoded, batch), batch)

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        """Turn the sequences of all modalities into the output."""
        raise NotImplementedError

    def means(self, sequences: Mapping[str, Sequence]) -> dict[str, Tensor]:
        """Return the mean step (B, d) of each modality, for ``Output.encoded``."""
        return {name: sequence.mean for name, sequence in sequences.items()}

    def _sequences(self, encoded: Mapping[str, Tensor], batch: Batch) -> dict[str, Sequence]:
        streams = {name: batch.streams[name] for name in self.modalities}
        shared = torch.stack([stream.lengths for stream in streams.values()]).amax(dim=0).clamp(min=1)
        longest = max(stream.values.shape[1] for stream in streams.values())
        return {
            name: self._sequence(name, encoded[name].float(), stream, shared, longest)
            for name, stream in streams.items()
        }

    def _sequence(self, name: str, values: Tensor, stream: Stream, shared: Tensor, longest: int) -> Sequence:
        """One modality's sequence; ``shared`` (B,) are the greatest lengths of each clip, ``longest`` of the batch."""
        lengths = shared if self.needs.aligned else stream.lengths.clamp(min=1)
        if self.needs.aligned:
            values = torch.nn.functional.pad(values, (0, 0, 0, longest - values.shape[1]))
        values = torch.where(stream.present[:, None, None], values, self.missing[name])
        real = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        return Sequence(values, lengths, real).carrying(values)
