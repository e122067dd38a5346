"""Self-MM (Yu, Xu, Yuan, Wu: Learning Modality-Specific Representations with Self-Supervised Multi-Task
Learning for Multimodal Sentiment Analysis, AAAI 2021): late fusion with one more task per modality.

The model is plain late fusion; what makes it Self-MM is the objective in ``selfmm.objectives.self_mm``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from selfmm.config import Settings, StreamSettings, TextSettings
from selfmm.data.store import Modality
from selfmm.models.encoders import SequenceEncoder
from selfmm.models.late_fusion import Head, LateFusion
from selfmm.models.text import TransformerEncoder


class SelfMM(LateFusion):
    """Self-MM's network for the given modalities.

    Args:
        modalities: what each modality is. Text as words or token ids takes the transformer, text as a
            sequence of features takes an LSTM like any other stream.
        settings: sizes and dropouts.
        transformer: the pretrained text encoder; None where no modality needs one.
    """

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        encoders: dict[str, nn.Module] = {}
        heads: dict[str, Head] = {}
        joined = 0
        for name, modality in modalities.items():
            branch = branch_settings(modality, name, settings)
            encoder = _encoder(modality, branch, transformer)
            dim = int(encoder.dim)  # type: ignore[arg-type]
            joined += dim
            encoders[name] = encoder
            heads[name] = Head(
                dim,
                branch.projection,
                dropout=branch.projection_dropout,
                extra_layer=settings.fusion.extra_layer,
            )
        fusion = settings.fusion
        head = Head(joined, fusion.projection, dropout=fusion.projection_dropout, extra_layer=fusion.extra_layer)
        super().__init__(encoders, heads, head)


def branch_settings(modality: Modality, name: str, settings: Settings) -> TextSettings | StreamSettings:
    """Settings of one modality, by what it is."""
    return settings.stream_for(name) if modality.kind == "frames" else settings.text


def _encoder(modality: Modality, branch: TextSettings | StreamSettings, transformer: nn.Module | None) -> nn.Module:
    if isinstance(branch, TextSettings):
        if transformer is None:
            raise ValueError("text as words or token ids needs a transformer")
        return TransformerEncoder(transformer, finetune=branch.finetune, recompute=branch.recompute)
    if modality.dim is None:
        raise ValueError("a modality of frames needs a dim")
    return SequenceEncoder(
        modality.dim,
        branch.hidden,
        branch.out,
        layers=branch.layers,
        bidirectional=branch.bidirectional,
        dropout=branch.dropout,
    )
