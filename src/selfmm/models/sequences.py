"""The skeleton that models on sequences share: frames and tokens as they are, and one method that fuses them."""

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
        values: (B, L, d); zeros behind a clip's end.
        lengths: (B,) int64, at least 1.
        real: (B, L) bool, which steps are no padding.
    """

    values: Tensor
    lengths: Tensor
    real: Tensor

    @property
    def mean(self) -> Tensor:
        """(B, d) over the real steps."""
        return self.values.sum(dim=1) / self.lengths[:, None]

    def last(self, values: Tensor | None = None) -> Tensor:
        """(B, d') of (B, L, d') ``values``, by default its own: the last real step."""
        values = self.values if values is None else values
        return values.take_along_dim((self.lengths - 1)[:, None, None], dim=1)[:, 0]

    def carrying(self, values: Tensor) -> Sequence:
        """The same steps with other values (B, L, d'), which are made zeros behind a clip's end."""
        return Sequence(torch.where(self.real[:, :, None], values, 0.0), self.lengths, self.real)


class SequenceModel(Model):
    """Reads each modality as a sequence: tokens as the transformer leaves them, frames standardised.

    A clip that lacks a stream has one step of ``missing`` in its place; where streams are aligned (``needs.aligned``),
    as many as its other streams have, and all sequences of a batch are then of one length.
    """

    reads_tokens: ClassVar[bool] = True

    def forward(self, batch: Batch) -> Output:
        read = {name: self.encoders[name](s.values, s.lengths) for name, s in batch.streams.items()}
        # Autocast is for the transformer, whose cost it halves; scores, losses and centres want full precision.
        with torch.autocast(batch.index.device.type, enabled=False):
            return self.combine(self._sequences(read, batch), batch)

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        """From the sequences of all modalities to the output."""
        raise NotImplementedError

    def means(self, sequences: Mapping[str, Sequence]) -> dict[str, Tensor]:
        """What goes out as ``Output.encoded``: per modality (B, d) the mean step."""
        return {name: sequence.mean for name, sequence in sequences.items()}

    def _sequences(self, read: Mapping[str, Tensor], batch: Batch) -> dict[str, Sequence]:
        streams = {name: batch.streams[name] for name in self.modalities}
        shared = torch.stack([stream.lengths for stream in streams.values()]).amax(dim=0).clamp(min=1)
        longest = max(stream.values.shape[1] for stream in streams.values())
        return {
            name: self._sequence(name, read[name].float(), stream, shared, longest) for name, stream in streams.items()
        }

    def _sequence(self, name: str, values: Tensor, stream: Stream, shared: Tensor, longest: int) -> Sequence:
        """One of them; ``shared`` (B,) are the clips' longest lengths, ``longest`` the longest of all."""
        lengths = shared if self.needs.aligned else stream.lengths.clamp(min=1)
        if self.needs.aligned:
            values = torch.nn.functional.pad(values, (0, 0, 0, longest - values.shape[1]))
        values = torch.where(stream.present[:, None, None], values, self.missing[name])
        real = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
        return Sequence(values, lengths, real).carrying(values)
