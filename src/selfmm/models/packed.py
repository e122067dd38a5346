"""BERT and its relatives without padding: the words of all clips as one long list of rows.

A padded batch spends most of its arithmetic on padding: in MOSI a sentence has 15 tokens, and the longest of 64 has 40.
Here every linear layer reads only real words; only the attention itself, a few percent of the work, is padded. If only
the first token is used, the last layer computes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from selfmm.models.fast_linear import fast_linear, is_faster

# With oneDNN the number of rows is a multiple of this: it compiles kernels for each number and keeps a thousand.
# With random numbers, that was .5 GB with a 6x384 encoder after 90 passes in bf16, and more with BERT-base.
_ROWS_ONEDNN = 32

# Their layers have the same parts, see `_Attention`. The tests compare with their own forward.
_FAMILY = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet")

# Without cuDNN's, which makes a plan for each new shape: on an H100 that took 8 s in the first epochs of BERT-base.
_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

FAMILIES = ", ".join(_FAMILY)
"""The transformers that ``can_pack`` supports, by the ``model_type`` of their configuration; for messages."""


def can_pack(model: nn.Module) -> bool:
    """Return whether this file supports a transformer."""
    config: Any = model.config
    absolute = getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
    return config.model_type in _FAMILY and absolute and not getattr(config, "is_decoder", False)


class Layout:
    """The places of the words of a padded (B, L) batch in the list of all words, (T,).

    Args:
        lengths: (B,) int64 on the CPU, at least 1 each.
        longest: L.
        multiple: T is a multiple of this; copies of the first word, whose results are not used, fill up the list.
    """

    def __init__(self, lengths: Tensor, longest: int, multiple: int) -> None:
        real = torch.arange(longest) < lengths[:, None]
        self.shape = (len(lengths), longest)
        self.words = real.flatten().nonzero()[:, 0]  # each word's place in the flattened batch
        self.places = torch.cat([self.words, self.words.new_zeros(-len(self.words) % multiple)])  # (T,)
        self.starts = lengths.cumsum(0) - lengths  # (B,) the place of each clip's first word in the list
        self.mask = None if real.all() else real[:, None, None, :]  # (B, 1, 1, L), True where attention may look

    def pack(self, padded: Tensor) -> Tensor:
        """Turn (B, L, d) into (T, d)."""
        return padded.flatten(0, 1)[self.places]

    def pad(self, rows: Tensor, heads: int) -> Tensor:
        """Turn (T, heads * d) into (B, heads, L, d), with zeros on padding."""
        flat = rows.new_zeros(self.shape[0] * self.shape[1], rows.shape[1])
        flat = flat.index_copy(0, self.words, rows[: len(self.words)])
        return flat.view(*self.shape, heads, -1).transpose(1, 2)

    def whole(self, rows: Tensor) -> Tensor:
        """Turn (T, d) into (B, L, d), with zeros on padding."""
        return self.pad(rows, 1)[:, 0]


class Padded:
    """The same layout for a batch that stays padded: on an accelerator that is cheaper than finding the words.

    Args:
        lengths: (B,) int64, at least 1 each.
        longest: L.
    """

    def __init__(self, lengths: Tensor, longest: int) -> None:
        self.shape = (len(lengths), longest)
        self.starts = torch.arange(len(lengths), device=lengths.device) * longest
        self.mask = (torch.arange(longest, device=lengths.device) < lengths[:, None])[:, None, None, :]

    def pack(self, padded: Tensor) -> Tensor:
        """Turn (B, L, d) into (B * L, d)."""
        return padded.flatten(0, 1)

    def pad(self, rows: Tensor, heads: int) -> Tensor:
        """Turn (B * L, heads * d) into (B, heads, L, d)."""
        return rows.view(*self.shape, heads, -1).transpose(1, 2)

    def whole(self, rows: Tensor) -> Tensor:
        """Turn (B * L, d) into (B, L, d), with zeros on padding."""
        return rows.view(*self.shape, -1) * self.mask[:, 0, 0, :, None]


def first_tokens(model: Any, ids: Tensor, lengths: Tensor, *, recompute: bool = False) -> Tensor:
    """Return the last layer's first token of each clip, (B, d): ``model(ids, mask).last_hidden_state[:, 0]``.

    Args:
        model: a transformer that ``can_pack`` supports.
        ids: (B, L) token ids, padded.
        lengths: (B,) int64 on the device of ``ids``, at least 1 each.
        recompute: keep only each layer's input for the backward pass, which computes the rest again.
    """
    layout, rows = _embed(model, ids, lengths)
    return _first(model, rows, layout, recompute)


def all_tokens(model: Any, ids: Tensor, lengths: Tensor, *, recompute: bool = False) -> Tensor:
    """Return the last layer's tokens, (B, L, d) with zeros beyond the lengths; arguments as for ``first_tokens``."""
    layout, rows = _embed(model, ids, lengths)
    return layout.whole(_all(model, rows, layout, recompute))


def embeddings(model: Any, ids: Tensor) -> Tensor:
    """Return the first layer's input for token ids (B, L): (B, L, ``hidden_size``), padding included."""
    values: Tensor = model.embeddings(input_ids=ids)
    return _projected(model, values)


def first_of_embedded(model: Any, embedded: Tensor, lengths: Tensor, *, recompute: bool = False) -> Tensor:
    """Return what ``first_tokens`` does, from the first layer's input (B, L, ``hidden_size``)."""
    layout = _layout(lengths, embedded.shape[1])
    return _first(model, layout.pack(embedded), layout, recompute)


def tokens_of_embedded(model: Any, embedded: Tensor, lengths: Tensor, *, recompute: bool = False) -> Tensor:
    """Return what ``all_tokens`` does, from the first layer's input (B, L, ``hidden_size``)."""
    layout = _layout(lengths, embedded.shape[1])
    return layout.whole(_all(model, layout.pack(embedded), layout, recompute))


def all_layers(model: Any, ids: Tensor, lengths: Tensor, *, recompute: bool = False) -> Tensor:
    """Return the input of the first layer and the outputs of all layers, (B, L, (layers + 1) * d), side by side.

    They are zeros beyond the lengths; arguments as for ``first_tokens``.
    """
    layout, rows = _embed(model, ids, lengths)
    return layout.whole(_each_layer(model, rows, layout, recompute))


def layers_of_embedded(model: Any, embedded: Tensor, lengths: Tensor, *, recompute: bool = False) -> Tensor:
    """Return what ``all_layers`` does, from the first layer's input (B, L, ``hidden_size``)."""
    layout = _layout(lengths, embedded.shape[1])
    return layout.whole(_each_layer(model, layout.pack(embedded), layout, recompute))


def _layout(lengths: Tensor, longest: int) -> Layout | Padded:
    if lengths.device.type != "cpu":
        return Padded(lengths, longest)
    by_onednn = torch.is_autocast_enabled("cpu") or is_faster()
    return Layout(lengths, longest, _ROWS_ONEDNN if by_onednn else 1)


def _embed(model: Any, ids: Tensor, lengths: Tensor) -> tuple[Layout | Padded, Tensor]:
    layout = _layout(lengths, ids.shape[1])
    return layout, _projected(model, layout.pack(model.embeddings(input_ids=ids)))


def _projected(model: Any, values: Tensor) -> Tensor:
    return model.embeddings_project(values) if hasattr(model, "embeddings_project") else values


def _first(model: Any, rows: Tensor, layout: Layout | Padded, recompute: bool) -> Tensor:
    *layers, last = model.encoder.layer
    mask = _mask(model, rows, layout)
    return _first_of_layer(last, _through(layers, rows, layout, mask, recompute), layout, mask)


def _all(model: Any, rows: Tensor, layout: Layout | Padded, recompute: bool) -> Tensor:
    return _through(model.encoder.layer, rows, layout, _mask(model, rows, layout), recompute)


def _each_layer(model: Any, rows: Tensor, layout: Layout | Padded, recompute: bool) -> Tensor:
    states, mask = [rows], _mask(model, rows, layout)
    for layer in model.encoder.layer:
        states.append(_through([layer], states[-1], layout, mask, recompute))
    return torch.cat(states, dim=1)


def _mask(model: Any, rows: Tensor, layout: Layout | Padded) -> Tensor | None:
    """What all layers add to the scores of attention, or where they may look; broadcasts to (B, heads, L, L)."""
    if not hasattr(model.encoder, "compute_position_bias"):
        return layout.mask
    bias: Tensor = model.encoder.compute_position_bias(rows.new_empty(1, layout.shape[1]))
    return bias if layout.mask is None else bias.masked_fill(~layout.mask, -torch.inf)


def _through(
    layers: Iterable[Any], rows: Tensor, layout: Layout | Padded, mask: Tensor | None, recompute: bool
) -> Tensor:
    for layer in layers:
        if recompute:
            rows = checkpoint(_layer, layer, rows, layout, mask, use_reentrant=False)
        else:
            rows = _layer(layer, rows, layout, mask)
    return rows


class _Attention(NamedTuple):
    """The parts of a layer's attention, wherever its family keeps them.

    Attributes:
        query, key, value: linear maps of rows (T, d).
        dropout: of the weights.
        output: maps what was attended and the layer's input, (T, d) each, to (T, d).
    """

    query: nn.Module
    key: nn.Module
    value: nn.Module
    heads: int
    dropout: nn.Dropout
    output: Callable[[Tensor, Tensor], Tensor]

    @classmethod
    def of(cls, layer: Any) -> _Attention:
        whole = layer.attention
        if not hasattr(whole, "attn"):
            part = whole.self
            return cls(part.query, part.key, part.value, part.num_attention_heads, part.dropout, whole.output)
        part = whole.attn

        def output(attended: Tensor, rows: Tensor) -> Tensor:
            mixed: Tensor = whole.LayerNorm(whole.dropout(part.o(attended)) + rows)
            return mixed

        return cls(part.q, part.k, part.v, part.num_attention_heads, part.dropout, output)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        chance = self.dropout.p if self.dropout.training else 0.0
        if mask is not None and mask.is_floating_point():
            mask = mask.to(query.dtype)
        if query.device.type != "cuda":
            return F.scaled_dot_product_attention(query, key, value, mask, chance)
        with sdpa_kernel(_ATTENTION):
            return F.scaled_dot_product_attention(query, key, value, mask, chance)


@fast_linear
def _layer(layer: Any, rows: Tensor, layout: Layout | Padded, mask: Tensor | None) -> Tensor:
    own = _Attention.of(layer)
    query, key, value = (layout.pad(part(rows), own.heads) for part in (own.query, own.key, own.value))
    attended = own.attend(query, key, value, mask)
    return _rest(layer, own, layout.pack(attended.transpose(1, 2).flatten(2)), rows)


@fast_linear
def _first_of_layer(layer: Any, rows: Tensor, layout: Layout | Padded, mask: Tensor | None) -> Tensor:
    """The output of ``_layer`` at the first tokens, (B, d)."""
    own = _Attention.of(layer)
    first = rows[layout.starts]
    key, value = (layout.pad(part(rows), own.heads) for part in (own.key, own.value))
    query = own.query(first).view(len(first), own.heads, 1, -1)
    attended = own.attend(query, key, value, None if mask is None else mask[:, :, :1])
    return _rest(layer, own, attended.flatten(1), first)


def _rest(layer: Any, own: _Attention, attended: Tensor, rows: Tensor) -> Tensor:
    rows = own.output(attended, rows)
    out: Tensor = layer.output(layer.intermediate(rows), rows)
    return out
