"""Attention between sequences: transformers whose keys may be the steps of another modality, as in MulT.

Tsai, Bai, Liang, Kolter, Morency, Salakhutdinov: Multimodal Transformer for Unaligned Multimodal Language Sequences,
ACL 2019, https://arxiv.org/abs/1906.00295, section 3 and its published code.

Deviations from the published code, in all models that use this module: how far a step may look ahead depends on the
clip's own lengths, not on those of the longest clips of its batch; every step has a position, while the code treats one
whose first feature is 0 as padding; keys and values have the same dropout; linear layers start with torch's own
initialisation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import Group
from selfmm.models.sequences import Sequence


class WidthOptions(Group):
    """The width of attention."""

    dim: int = Field(40, ge=1, le=8192, description="size of all sequences and of their attention")
    heads: int = Field(10, ge=1, le=1024, validate_default=True, description="attention heads, which divide dim")

    @field_validator("heads")
    @classmethod
    def _heads_divide(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("dim", value) % value:
            raise ValueError(f"the heads must divide options.dim, which is {info.data['dim']}")
        return value


class TransformerOptions(WidthOptions):
    """Settings of transformers between sequences."""

    attention_dropout: float = Field(0.2, ge=0, lt=1, description="dropout of the attention weights")
    relu_dropout: float = Field(0.1, ge=0, lt=1, description="dropout between the linear layers after each attention")
    residual_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the residual branches")
    embedding_dropout: float = Field(0.2, ge=0, lt=1, description="dropout of a transformer's inputs")


class Dropouts(NamedTuple):
    """Dropout in a block: of attention weights, of units between its linear layers, of residual branches."""

    attention: float
    inner: float
    residual: float


def sinusoids(length: int, dim: int, device: torch.device) -> Tensor:
    """Return (length, dim): sin(t / 10000^(2j/dim)) at 2j and its cos at 2j + 1, t from 0 (Tsai et al., appendix A)."""
    even = torch.arange(0, dim, 2, device=device)
    angles = torch.arange(length, device=device)[:, None] * 10000.0 ** (-even / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]


def visible(target: Sequence, source: Sequence) -> Tensor:
    """Return (B, 1, Lq, Lk) bool: the steps of the source to which each step of the target may attend.

    Step i attends to the real steps j <= i + |N_source - N_target|, where N are the clip's lengths: in its own sequence
    up to itself, in another one further by the difference of the lengths. The first step is always among them.
    """
    ahead = (source.lengths - target.lengths).abs()
    steps = torch.arange(target.values.shape[1], device=ahead.device)
    reached = torch.arange(source.values.shape[1], device=ahead.device) <= (steps + ahead[:, None])[:, :, None]
    return (reached & source.real[:, None, :])[:, None]


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, heads: int, seen: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d / heads)) V of each head, concatenated.

    Args:
        query: (B, Lq, d).
        key, value: (B, Lk, d).
        seen: bool, broadcast to (B, heads, Lq, Lk), with at least one key in each row. None: all.
        dropout: of the attention weights.

    Returns:
        (B, Lq, d).
    """
    query, key, value = (part.view(*part.shape[:2], heads, -1).transpose(1, 2) for part in (query, key, value))
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=dropout)
    return mixed.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """W_o of :func:`attend` on W_q x, W_k z, W_v z.

    Input: x (B, Lq, ``dim``), z (B, Lk, ``dim``) and ``seen`` as for ``attend``. Output: (B, Lq, ``dim``).

    Args:
        wide: size of queries, keys and values, all heads together.
    """

    def __init__(self, dim: int, heads: int, *, wide: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = nn.Linear(dim, wide), nn.Linear(dim, wide), nn.Linear(dim, wide)
        self.out = nn.Linear(wide, dim)

    def forward(self, x: Tensor, z: Tensor, seen: Tensor | None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        mixed = attend(self.query(x), self.key(z), self.value(z), heads=self.heads, seen=seen, dropout=dropout)
        return self.out(mixed)  # type: ignore[no-any-return]


class Block(nn.Module):
    """x' = x + A(LN(x), LN(z)), then x' + W_2 act(W_1 LN'(x')), with dropout on both additions and after act.

    Input and output: as for ``Attention``; with z = x it is self-attention.

    Args:
        wide: size of queries, keys and values; None for ``dim``.
        hidden: units between W_1 and W_2.
    """

    def __init__(
        self, dim: int, heads: int, dropouts: Dropouts, *, hidden: int, activation: nn.Module, wide: int | None = None
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, wide=wide or dim, dropout=dropouts.attention)
        self.feed = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), activation, nn.Dropout(dropouts.inner), nn.Linear(hidden, dim)
        )
        self.dropout = nn.Dropout(dropouts.residual)

    def forward(self, x: Tensor, z: Tensor, seen: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm(x), self.norm(z), seen))
        return x + self.dropout(self.feed(x))  # type: ignore[no-any-return]

    def kept_bytes(self, queries: int, keys: int) -> int:
        """Estimate how many bytes one clip with these numbers of steps keeps for the gradient."""
        attention = self.attention
        dim, wide = attention.out.out_features, attention.out.in_features
        # Dropout keeps its mask, and the weights before and after it; without dropout, nothing is kept.
        weights = 3 * attention.heads * queries * keys if attention.dropout else 0
        return 4 * (queries * (6 * dim + 2 * wide + 2 * self.hidden) + keys * (2 * dim + 2 * wide) + weights)


class Transformer(nn.Module):
    """Z_0 = sqrt(d) X + P, Z_i = block(Z_(i-1), K), output LN(Z_D); K is sqrt(d) Y + P, or Z_(i-1) without a source.

    Input: the target X (B, Lq, ``dim``), and the source Y (B, Lk, ``dim``) unless the target attends to itself. Output:
    the target with other values, zeros after a clip's end. (Tsai et al., section 3.2.)
    """

    def __init__(self, dim: int, layers: int, options: TransformerOptions) -> None:
        super().__init__()
        self.dim = dim
        dropouts = Dropouts(options.attention_dropout, options.relu_dropout, options.residual_dropout)
        self.blocks = nn.ModuleList(
            Block(dim, options.heads, dropouts, hidden=4 * dim, activation=nn.ReLU()) for _ in range(layers)
        )
        self.dropout = nn.Dropout(options.embedding_dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, target: Sequence, source: Sequence | None = None) -> Sequence:
        seen = visible(target, source or target)
        values = self._embed(target)
        keys = None if source is None else self._embed(source)
        for block in self.blocks:
            values = block(values, values if keys is None else keys, seen)
        return target.carrying(self.norm(values))

    def _embed(self, sequence: Sequence) -> Tensor:
        values = sequence.values
        placed = self.dim**0.5 * values + sinusoids(values.shape[1], self.dim, values.device)
        return self.dropout(placed)  # type: ignore[no-any-return]

    def kept_bytes(self, queries: int, keys: int) -> int:
        """Estimate how many bytes one clip with these numbers of steps keeps for the gradient."""
        return sum(block.kept_bytes(queries, keys) for block in self.blocks)  # type: ignore[operator]


class TemporalConv(nn.Module):
    """A convolution over time without bias that keeps the number of steps: it reads zeros beyond both ends.

    Input: (B, L, ``input_dim``). Output: (B, L, ``dim``), zeros after a clip's end. (Tsai et al., section 3.2; the
    published codes pad nothing and lose ``kernel`` - 1 steps.)
    """

    def __init__(self, input_dim: int, dim: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.conv = nn.Conv1d(input_dim, dim, kernel, bias=False)

    def forward(self, sequence: Sequence) -> Sequence:
        around = (self.kernel - 1) // 2, self.kernel // 2
        values = functional.pad(sequence.values.transpose(1, 2), around)
        return sequence.carrying(self.conv(values).transpose(1, 2))
