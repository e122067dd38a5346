"""The skeleton that late-fusion models share: an encoder and a head per modality, and a head for all together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selfmm.types import Batch, Output


class Head(nn.Module):
    """F* = ReLU(Linear(dropout(F))) and a score Linear(F*) (paper, equations 1-2 and 4-5).

    The score is on the scale of the labels: ``neutral`` + ``unit`` times what the Linear gives, so that a scale of 0 to
    100 is learnt as one of -3 to 3 is. They are attributes, 0 and 1 unless set.

    Input: (B, ``input_dim``). Output: the projected feature (B, ``dim``) and the score (B,).

    Args:
        extra_layer: put ReLU(Linear(dim, dim)) between F* and the score, as the authors' code does.
    """

    def __init__(self, input_dim: int, dim: int, *, dropout: float, extra_layer: bool) -> None:
        super().__init__()
        self.dim = dim
        self.neutral, self.unit = 0.0, 1.0
        self.project = nn.Sequential(nn.Dropout(dropout), nn.Linear(input_dim, dim), nn.ReLU())
        between: list[nn.Module] = [nn.Linear(dim, dim), nn.ReLU()] if extra_layer else []
        self.score = nn.Sequential(*between, nn.Linear(dim, 1))

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.project(encoded)
        return feature, self.neutral + self.unit * self.score(feature).squeeze(-1)


class LateFusion(nn.Module):
    """Encodes each modality on its own and joins the results; every clip may lack some of its streams.

    Where a stream is missing, a learned vector stands in for the encoder's output (it starts at zero).

    Args:
        encoders: per modality, (values, lengths) -> (B, ``dim``), with an attribute ``dim``.
        heads: per modality, its own task.
        fusion: the task on the concatenation of all encoders' outputs, in the order of ``encoders``.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], heads: Mapping[str, Head], fusion: Head) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.heads = nn.ModuleDict(heads)
        self.fusion = fusion
        self.feature_dims = {name: head.dim for name, head in heads.items()}
        self.missing = nn.ParameterDict({name: torch.zeros(_dim(encoder)) for name, encoder in encoders.items()})

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.encoders)

    def forward(self, batch: Batch) -> Output:
        encoded = {name: self._encode(name, batch) for name in self.modalities}
        # Autocast is for the transformer, whose cost it halves; scores, losses and centres want full precision.
        with torch.autocast(batch.index.device.type, enabled=False):
            return self._join(encoded, batch)

    def _join(self, encoded: dict[str, Tensor], batch: Batch) -> Output:
        tasks = {name: self.heads[name](value) for name, value in encoded.items()}
        fusion_feature, fusion = self.fusion(torch.cat(list(encoded.values()), dim=-1))
        return Output(
            fusion=fusion,
            unimodal={name: score for name, (_, score) in tasks.items()},
            fusion_feature=fusion_feature,
            features={name: feature for name, (feature, _) in tasks.items()},
            encoded=encoded,
            present={name: batch.streams[name].present for name in self.modalities},
        )

    def _encode(self, name: str, batch: Batch) -> Tensor:
        stream = batch.streams[name]
        encoded: Tensor = self.encoders[name](stream.values, stream.lengths)
        return torch.where(stream.present.unsqueeze(1), encoded.float(), self.missing[name])


def _dim(encoder: nn.Module) -> int:
    return int(encoder.dim)  # type: ignore[arg-type]
