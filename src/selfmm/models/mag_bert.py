"""MAG-BERT, BERT with a Multimodal Adaptation Gate: audio and vision during a word move its embedding.

Rahman, Hasan, Lee, Zadeh, Mao, Morency, Hoque: Integrating Multimodal Information in Large Pretrained Transformers,
ACL 2020, https://arxiv.org/abs/1908.05787.

Deviations from the published code: the score comes from the first token through the head of all models here, not
through BERT's pooler; the tokens that mark beginning and end get the frames of the nearest word (or those of the data),
not zeros; where |H| is 0, the displacement is 0, and nothing is added to |H| elsewhere. The optimizer is that of all
models here: AdamW without warm-up, while the code has AdamW with a linear schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.types import Batch, Output, Stream
from selfmm.models.base import COMMON_SEARCH, Needs, Range, Space, besides_text
from selfmm.models.sequences import Sequence, SequenceModel
from selfmm.models.text import TransformerEncoder


class Options(Group):
    """MAG-BERT's own settings; the defaults are those of the published code."""

    beta: float = Field(1.0, ge=0, description="how far a word may move, in lengths of its embedding")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout of the moved embeddings")


def displacement(words: Tensor, moves: Tensor, beta: float) -> Tensor:
    """Return (..., d), alpha H with alpha = min(beta |Z| / |H|, 1): at most ``beta`` times as long as Z.

    Args:
        words: Z (..., d).
        moves: H (..., d); where it is 0, the displacement is 0.
    """
    reach = beta * torch.linalg.vector_norm(words, dim=-1, keepdim=True)
    length = torch.linalg.vector_norm(moves, dim=-1, keepdim=True)
    far = length > reach
    # The denominator is replaced too: otherwise the gradient would be NaN although the result is not used.
    return moves * torch.where(far, reach / length.where(far, 1.0), 1.0)


class AdaptationGate(nn.Module):
    """Z' = dropout(LN(Z + alpha H)), H = sum over m of ReLU(V_m [A_m; Z]) * (W_m A_m).

    Input: Z (B, L, ``dim``), and for each other modality m its frames A_m (B, L, d_m) at the same steps. Output: Z'
    with the shape of Z.
    """

    def __init__(self, dim: int, others: Mapping[str, int], options: Options) -> None:
        super().__init__()
        self.beta = options.beta
        self.gates = nn.ModuleDict({name: nn.Linear(size + dim, dim) for name, size in others.items()})
        self.moves = nn.ModuleDict({name: nn.Linear(size, dim) for name, size in others.items()})
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, words: Tensor, others: Mapping[str, Tensor]) -> Tensor:
        moves = [
            self.gates[name](torch.cat([frames, words], dim=-1)).relu() * self.moves[name](frames)
            for name, frames in others.items()
        ]
        moved = words + displacement(words, torch.stack(moves).sum(dim=0), self.beta)
        return self.dropout(self.norm(moved))  # type: ignore[no-any-return]


class MAGBert(SequenceModel):
    """Z = embeddings of the tokens (B, L, d), Z' = gate(Z, A_m), h = first token of the transformer of Z' (B, d).

    Then F_m* = ReLU(W h) (B, D), y^_m = W' F_m* (B,). No modality has a representation of its own: words are only read
    together with the others. ``missing`` of text replaces an embedding; a clip without words is one such step, at which
    every other modality is its mean over the clip.
    """

    paper: ClassVar[str] = "Rahman et al., ACL 2020"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2, text=True, aligned=True, inside=True)
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.beta": Range(1e-3, 1.0, log=True),
        "options.dropout": (0.1, 0.3, 0.5),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        nn.init.normal_(self.missing[TEXT])  # an embedding of length 0 could not move
        self.heads = self.make_heads({})
        others = besides_text(self.modalities)
        self.gate = AdaptationGate(self.dims[TEXT], {name: self.dims[name] for name in others}, self.options)
        self.fusion = self.fusion_head(self.dims[TEXT])
        self.fusion_dim = self.fusion.dim

    def forward(self, batch: Batch) -> Output:
        streams, device = batch.streams, batch.index.device.type
        words: TransformerEncoder = self.encoders[TEXT]  # type: ignore[assignment]
        others = besides_text(self.modalities)
        encoded = {name: self.encoders[name](streams[name].values, streams[name].lengths) for name in others}
        encoded[TEXT] = words.embed(streams[TEXT].values)
        # Autocast is for the transformer: it halves its cost; scores, losses and class centres need full precision.
        with torch.autocast(device, enabled=False):
            sequences = self._sequences(encoded, batch)
            steps = {name: steps_of_words(sequence, streams[TEXT]) for name, sequence in sequences.items()}
            moved = self.gate(steps[TEXT], {name: steps[name] for name in others})
        first = words.read(moved, streams[TEXT].lengths)
        with torch.autocast(device, enabled=False):
            return self.output(batch, self.fusion(first.float()), {}, self.means(sequences))

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        # Per token and modality: the gate, its input, their product, and the inputs of linear layers; then the norm.
        wide = sum(4 * self.dims[TEXT] + self.dims[name] for name in besides_text(self.modalities))
        return super().kept_bytes(lengths) + 4 * lengths[TEXT] * (wide + 6 * self.dims[TEXT])


def steps_of_words(sequence: Sequence, words: Stream) -> Tensor:
    """Return the steps at the tokens (B, L, d); for a clip without tokens, the mean as the first step."""
    values = sequence.values[:, : words.values.shape[1]]
    first = torch.where(words.present[:, None], values[:, 0], sequence.mean)
    return torch.cat([first[:, None], values[:, 1:]], dim=1)
