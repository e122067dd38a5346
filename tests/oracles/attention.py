"""Attention and pre-LN transformers of one clip without padding, step by step and by the formulas alone.

``weights`` are a module's own, by name; nothing of the package is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
See = Callable[[int, int], bool]
"""Whether step i sees key j."""


def softmax(scores: list[float]) -> list[float]:
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    return [power / sum(powers) for power in powers]


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, see: See) -> Tensor:
    """(Lq, d) of (Lq, d), (Lk, d), (Lk, d)."""
    size = query.shape[1] // heads
    out = torch.zeros_like(query)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(query)):
            keys = [j for j in range(len(key)) if see(i, j)]
            weights = softmax([float(query[i, part] @ key[j, part]) / math.sqrt(size) for j in keys])
            out[i, part] = sum((w * value[j, part] for w, j in zip(weights, keys, strict=True)), torch.zeros(size))
    return out


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", torch.zeros(()))


def layer_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    rows = [(row - row.mean()) / torch.sqrt(((row - row.mean()) ** 2).mean() + 1e-5) for row in x]
    return torch.stack(rows) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def gelu(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.erf(x / math.sqrt(2)))


def block(
    x: Tensor, z: Tensor, weights: Weights, heads: int, see: See, activation: Callable[[Tensor], Tensor] = relu
) -> Tensor:
    """x (Lq, d) attends to z (Lk, d), and then each step is two Linears further."""
    normed, keys = layer_norm(x, weights, "norm"), layer_norm(z, weights, "norm")
    query, key, value = (
        linear(part, weights, f"attention.{name}") for name, part in (("query", normed), ("key", keys), ("value", keys))
    )
    x = x + linear(attend(query, key, value, heads, see), weights, "attention.out")
    inner = activation(linear(layer_norm(x, weights, "feed.0"), weights, "feed.1"))
    return x + linear(inner, weights, "feed.4")


def sinusoids(length: int, dim: int) -> Tensor:
    rows = [
        [(math.cos if k % 2 else math.sin)(t / 10000 ** (2 * (k // 2) / dim)) for k in range(dim)]
        for t in range(length)
    ]
    return torch.tensor(rows)


def under(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """Those of one part of a module."""
    return {name.removeprefix(f"{prefix}."): each for name, each in weights.items() if name.startswith(f"{prefix}.")}


def transformer(x: Tensor, y: Tensor | None, weights: Weights, heads: int) -> Tensor:
    """(Lq, d): MulT's transformer, from y (Lk, d) to x (Lq, d), or of x itself."""
    dim = x.shape[1]
    placed = math.sqrt(dim) * x + sinusoids(len(x), dim)
    keys = None if y is None else math.sqrt(dim) * y + sinusoids(len(y), dim)
    ahead = 0 if y is None else abs(len(y) - len(x))
    layers = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    for layer in range(layers):
        z = placed if keys is None else keys
        placed = block(placed, z, under(weights, f"blocks.{layer}"), heads, lambda i, j: j <= i + ahead)
    return layer_norm(placed, weights, "norm")


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """(L, d') of (L, d) and (d', d, k), the middle (of an even number the left one) of the k on each step."""
    steps, before = kernel.shape[2], (kernel.shape[2] - 1) // 2
    out = torch.zeros(len(x), kernel.shape[0])
    for i in range(len(x)):
        for k in range(steps):
            if 0 <= i + k - before < len(x):
                out[i] += kernel[:, :, k] @ x[i + k - before]
    return out
