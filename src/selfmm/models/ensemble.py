"""Several trained models as one: the mean of their scores (Lakshminarayanan et al., Simple and Scalable Predictive
Uncertainty Estimation Using Deep Ensembles, NIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from selfmm.data.manifest import TEXT
from selfmm.data.types import Batch, Output, Stream
from selfmm.models.base import Model
from selfmm.models.text import TransformerEncoder

NAME = "ensemble"
"""The ``model`` of a run that is the mean of other runs. It cannot be trained, so it is not one of ``MODELS``."""


class Ensemble(Model):
    """The mean of the scores of several models that read clips in the same way.

    Its ``fusion_feature`` is (B, N), the fused score of each member, and its ``deviation`` is theirs. It has the tasks
    that all members have, and no ``features`` and ``encoded``.

    Args:
        members: N trained models. :func:`selfmm.runs.ensemble.check_members` says what they must have in common.

    Attributes:
        shared: the text encoder of all members if it is the same one and frozen, so that it runs once; else None.
    """

    def __init__(self, members: Sequence[Model]) -> None:
        nn.Module.__init__(self)
        self.members = nn.ModuleList(members)
        self.settings = members[0].settings
        self.fusion_dim = len(members)
        # An ensemble reads as its first member does, whose parts must not be stored a second time.
        self.__dict__.update({name: getattr(members[0], name) for name in ("encoders", "missing", "dims", "needs")})
        self.__dict__["shared"] = _shared_encoder(members)

    shared: TransformerEncoder | None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The modalities with a task of their own in every member."""
        return tuple(name for name in self.parts[0].tasks if all(name in member.tasks for member in self.parts))

    @property
    def parts(self) -> tuple[Model, ...]:
        """The members."""
        return tuple(cast(Model, member) for member in self.members)

    def forward(self, batch: Batch) -> Output:
        if self.shared is not None:
            stream = batch.streams[TEXT]
            if not stream.values.is_floating_point():
                batch = with_states(batch, self.shared, self.shared.states(stream.values, stream.lengths))
        return self.mean([member(batch) for member in self.parts])

    def mean(self, outputs: Sequence[Output]) -> Output:
        """Return one output for the members' outputs on the same batch."""
        scores = torch.stack([output.fusion for output in outputs], dim=1)
        return Output(
            fusion=scores.mean(dim=1),
            unimodal={name: _mean([output.unimodal for output in outputs], name) for name in self.tasks},
            fusion_feature=scores,
            features={},
            encoded={},
            present=outputs[0].present,
            deviation=scores.std(dim=1) if len(outputs) > 1 else torch.full_like(scores[:, 0], torch.nan),
        )


def members_of(model: Model) -> tuple[Model, ...]:
    """Return the models whose mean is the score: the members of an ensemble, or the model itself."""
    return model.parts if isinstance(model, Ensemble) else (model,)


def with_states(batch: Batch, encoder: TransformerEncoder, states: Tensor) -> Batch:
    """Return the batch with the output of ``encoder.states`` in place of its token ids."""
    stream = batch.streams[TEXT]
    values = states if encoder.tokens else states[:, None]
    return replace(batch, streams={**batch.streams, TEXT: Stream(values, stream.lengths, stream.present)})


def _shared_encoder(members: Sequence[Model]) -> TransformerEncoder | None:
    encoders = [member.encoders[TEXT] if TEXT in member.modalities else None for member in members]
    first = encoders[0]
    if not isinstance(first, TransformerEncoder):
        return None
    for member, encoder in zip(members, encoders, strict=True):
        if not isinstance(encoder, TransformerEncoder) or encoder.model is not first.model or member.needs.inside:
            return None
        if (encoder.tokens, encoder.pooling, encoder.width) != (first.tokens, first.pooling, first.width):
            return None
    return None if first.finetune else first


def _mean(parts: Sequence[Mapping[str, Tensor]], name: str) -> Tensor:
    return torch.stack([part[name] for part in parts]).mean(dim=0)
