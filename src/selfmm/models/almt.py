"""ALMT, the Adaptive Language-guided Multimodal Transformer: text at several scales selects content of the other
modalities for a hyper-modality, to which the text then attends.

Zhang, Wang, Yin, Liu, Liu, Yu: Learning Language-guided Adaptive Hyper-modality Representation for Multimodal Sentiment
Analysis, EMNLP 2023, https://arxiv.org/abs/2310.05804.

Deviations from the published code: frames have sinusoids as positions, not learned ones, so a clip may have any
length, and padding is masked; in the embedding only the tokens attend, because only they are used later; the
hyper-modality is only added to (as in the paper), while the code puts a LayerNorm on it in every layer, whose gradient
explodes at its constant start; a block has one LayerNorm before linear layers with biases, not three before linear
layers without, which can represent the same functions; where the code adds learned tokens to learned positions, there
is only one of the two. The training loss is the absolute error, as for all models here, not the squared one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import Group, Settings
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.types import Batch, Output
from selfmm.models.attention import Block, Dropouts, WidthOptions, attend, sinusoids
from selfmm.models.base import COMMON_SEARCH, Needs, Score, Space, besides_text
from selfmm.models.sequences import Sequence, SequenceModel

_HEAD = 64  # size of a head in the transformers, as published; in the hyper-modality's layers it is dim / heads


class Options(WidthOptions):
    """ALMT's own settings; the defaults are those published for MOSI."""

    dim: int = Field(128, ge=1, le=8192, description="size of all tokens")
    heads: int = Field(8, ge=1, le=1024, validate_default=True, description="attention heads, which divide dim")
    tokens: int = Field(8, ge=1, le=1024, description="number of tokens that each modality becomes")
    hidden: int = Field(128, ge=1, le=65536, description="units between the two linear layers after each attention")
    scales: int = Field(3, ge=1, le=64, description="number of scales of the text; each guides one layer")
    fusion_layers: int = Field(2, ge=1, le=64, description="layers in which the text attends to the hyper-modality")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after attention, and in and after its linear layers")


def block(options: Options) -> Block:
    """Make a transformer layer with ALMT's sizes."""
    dropouts = Dropouts(attention=0.0, inner=options.dropout, residual=options.dropout)
    wide = _HEAD * options.heads
    return Block(options.dim, options.heads, dropouts, hidden=options.hidden, activation=nn.GELU(), wide=wide)


class Embedding(nn.Module):
    """H = block(E, [E; W x + P]): learned tokens E (T, d) that attend to one modality's steps and to each other.

    Input: x (B, L, ``input_dim``). Output: H (B, T, d). (Zhang et al., modality embedding.)
    """

    def __init__(self, input_dim: int, options: Options) -> None:
        super().__init__()
        self.project = nn.Linear(input_dim, options.dim)
        self.tokens = nn.Parameter(torch.randn(options.tokens, options.dim))
        self.block = block(options)

    def forward(self, sequence: Sequence) -> Tensor:
        values: Tensor = self.project(sequence.values)
        tokens = self.tokens.expand(len(values), -1, -1)
        steps = values + sinusoids(values.shape[1], values.shape[2], values.device)
        seen = functional.pad(sequence.real, (tokens.shape[1], 0), value=True)[:, None, None]
        return self.block(tokens, torch.cat([tokens, steps], dim=1), seen)  # type: ignore[no-any-return]


class HyperLayer(nn.Module):
    """H' = H + W_o (sum over s of softmax(Q K_s^T / sqrt(d_k)) V_s), Q of the text, K_s, V_s of each other modality s.

    Input: text (B, T, d), per other modality (B, T, d), H (B, T, d). Output: H' (B, T, d). (Zhang et al., adaptive
    hyper-modality learning.)
    """

    def __init__(self, others: tuple[str, ...], options: Options) -> None:
        super().__init__()
        dim, self.heads = options.dim, options.heads
        self.text_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.norms = nn.ModuleDict({name: nn.LayerNorm(dim) for name in others})
        self.keys = nn.ModuleDict({name: nn.Linear(dim, dim, bias=False) for name in others})
        self.values = nn.ModuleDict({name: nn.Linear(dim, dim, bias=False) for name in others})
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(options.dropout))

    def forward(self, text: Tensor, others: Mapping[str, Tensor], hyper: Tensor) -> Tensor:
        query = self.query(self.text_norm(text))
        selected = []
        for name, tokens in others.items():
            normed = self.norms[name](tokens)
            selected.append(attend(query, self.keys[name](normed), self.values[name](normed), heads=self.heads))
        return hyper + self.out(torch.stack(selected).sum(dim=0))  # type: ignore[no-any-return]


class HyperModality(nn.Module):
    """Text at scales 1 to n, each one block further, and the hyper-modality, to which each scale adds.

    Input: per modality tokens (B, T, d). Output: the text at its last scale and the hyper-modality, (B, T, d) each.
    """

    def __init__(self, others: tuple[str, ...], options: Options) -> None:
        super().__init__()
        self.others = others
        self.places = nn.Parameter(torch.randn(options.tokens, options.dim))
        self.scales = nn.ModuleList(block(options) for _ in range(options.scales - 1))
        self.start = nn.Parameter(torch.ones(options.tokens, options.dim))
        self.layers = nn.ModuleList(HyperLayer(others, options) for _ in range(options.scales))

    def forward(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        others = {name: tokens[name] for name in self.others}
        text = tokens[TEXT] + self.places
        hyper = self.layers[0](text, others, self.start)
        for scale, layer in zip(self.scales, self.layers[1:], strict=True):
            text = scale(text, text, None)
            hyper = layer(text, others, hyper)
        return text, hyper


class ALMT(SequenceModel):
    """H_s = Embedding(x_s) (B, T, d) of every modality; text, hyper = HyperModality(H) (B, T, d).

    Then [0; text] + P attends in each fusion layer to [0; hyper] + P'. F_m* is its first token (B, d), y^_m = W F_m*
    (B,). A modality's own representation is the mean of its tokens H_s (B, d): they read nothing else.
    """

    paper: ClassVar[str] = "Zhang et al., EMNLP 2023"
    Options: ClassVar[type[Group]] = Options
    needs: ClassVar[Needs] = Needs(modalities=2, text=True)
    search: ClassVar[Mapping[str, Space]] = {
        **COMMON_SEARCH,
        "options.dim": (32, 64, 128),
        "options.heads": (4, 8, 16),
        "options.tokens": (4, 8, 16),
        "options.scales": (2, 3, 4),
        "options.fusion_layers": (1, 2, 4),
        "options.dropout": (0.0, 0.1, 0.3),
    }

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__(modalities, settings, transformer)
        options = self.options
        self.heads = self.make_heads(dict.fromkeys(self.modalities, options.dim))
        self.embeddings = nn.ModuleDict({name: Embedding(dim, options) for name, dim in self.dims.items()})
        self.hyper = HyperModality(besides_text(self.modalities), options)
        self.text_places = nn.Parameter(torch.randn(options.tokens + 1, options.dim))
        self.hyper_places = nn.Parameter(torch.randn(options.tokens + 1, options.dim))
        self.fusion = nn.ModuleList(block(options) for _ in range(options.fusion_layers))
        self.fusion_dim = options.dim
        self.score = Score(options.dim)

    def combine(self, sequences: dict[str, Sequence], batch: Batch) -> Output:
        tokens = {name: self.embeddings[name](sequence) for name, sequence in sequences.items()}
        text, hyper = self.hyper(tokens)
        text, hyper = _with_summary(text) + self.text_places, _with_summary(hyper) + self.hyper_places
        for layer in self.fusion:
            text = layer(text, hyper, None)
        own = {name: own_tokens.mean(dim=1) for name, own_tokens in tokens.items()}
        return self.output(batch, (text[:, 0], self.score(text[:, 0])), own, self.means(sequences))

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        options = self.options
        kept = super().kept_bytes(lengths)
        for name, length in lengths.items():
            tokens, embedding = options.tokens, self.embeddings[name]
            kept += 12 * options.dim * length + embedding.block.kept_bytes(tokens, tokens + length)  # type: ignore[operator, union-attr]
        return kept


def _with_summary(tokens: Tensor) -> Tensor:
    """(B, T + 1, d): the tokens, after an empty one to which a learned position will be added."""
    return functional.pad(tokens, (0, 0, 1, 0))
