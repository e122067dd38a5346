"""Networks that read one clip step by step, written slowly from their equations: a number at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

Vector = list[float]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def dense(weight: Tensor, bias: Tensor, x: Vector) -> Vector:
    rows: list[Vector] = weight.tolist()
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(rows, bias.tolist(), strict=True)]


def network(layers: nn.Module, x: Vector) -> Vector:
    """Linear, ReLU, Sigmoid and nests of them, as at prediction: dropout does nothing."""
    for layer in layers.children() if isinstance(layers, nn.Sequential) else [layers]:
        if isinstance(layer, nn.Sequential):
            x = network(layer, x)
        elif isinstance(layer, nn.Linear):
            x = dense(layer.weight, layer.bias, x)
        elif isinstance(layer, nn.ReLU):
            x = [max(v, 0.0) for v in x]
        elif isinstance(layer, nn.Sigmoid):
            x = [sigmoid(v) for v in x]
        else:
            assert isinstance(layer, nn.Dropout), layer
    return x


def lstm(weights: Mapping[str, Tensor], steps: Sequence[Vector], suffix: str = "") -> tuple[list[Vector], list[Vector]]:
    """All h and all c of one clip; ``weights`` as torch names them, gates in its order i, f, g, o."""
    w_x, w_h = weights[f"weight_ih{suffix}"], weights[f"weight_hh{suffix}"]
    b_x, b_h = weights[f"bias_ih{suffix}"], weights[f"bias_hh{suffix}"]
    size = w_h.shape[1]
    h, c = [0.0] * size, [0.0] * size
    hs, cs = [], []
    for x in steps:
        gates = [a + b for a, b in zip(dense(w_x, b_x, x), dense(w_h, b_h, h), strict=True)]
        i, f, g, o = (gates[k * size : (k + 1) * size] for k in range(4))
        c = [sigmoid(f[k]) * c[k] + sigmoid(i[k]) * math.tanh(g[k]) for k in range(size)]
        h = [sigmoid(o[k]) * math.tanh(c[k]) for k in range(size)]
        hs.append(h)
        cs.append(c)
    return hs, cs


def with_previous(states: Sequence[Vector]) -> list[Vector]:
    """[s_(t-1); s_t] of each step, s_0 = 0."""
    return [[*([0.0] * len(s) if t == 0 else states[t - 1]), *s] for t, s in enumerate(states)]


def delta_attention(layers: nn.Module, cells: Sequence[Vector]) -> list[Vector]:
    attended = []
    for pair in with_previous(cells):
        exponents = [math.exp(score) for score in network(layers, pair)]
        attended.append([value * e / sum(exponents) for value, e in zip(pair, exponents, strict=True)])
    return attended


def gated_memory(
    propose: nn.Module, gates: nn.Linear, retain: nn.Module, update: nn.Module, seen: Sequence[Vector], size: int
) -> list[Vector]:
    """u_t of each step; the first rows of ``gates`` are the first Linear of ``retain``, the others of ``update``."""
    memory, memories = [0.0] * size, []
    for step in seen:
        both = [*step, *memory]
        hidden = dense(gates.weight, gates.bias, both)
        units = next(layer.in_features for layer in retain.children() if isinstance(layer, nn.Linear))
        keep = [sigmoid(v) for v in network(retain, hidden[:units])]
        write = [sigmoid(v) for v in network(update, hidden[units:])]
        proposal = [math.tanh(v) for v in network(propose, step)]
        memory = [k * m + w * p for k, m, w, p in zip(keep, memory, write, proposal, strict=True)]
        memories.append(memory)
    return memories


def fusion_graph(
    networks: Sequence[nn.Module],
    alphas: Mapping[tuple[frozenset[str], frozenset[str]], float],
    singles: Mapping[str, Vector],
) -> Vector:
    """T of one step: each subset of the modalities from its proper subsets, by number of members.

    Args:
        networks: of the subsets of two and more, in this order, and of T.
        alphas: of each edge (from, to); to T is to the empty set.
    """
    names = list(singles)

    def place(mask: int) -> tuple[int, list[int]]:
        return mask.bit_count(), [k for k in range(len(names)) if mask >> k & 1]

    values: dict[frozenset[str], Vector] = {}
    left = list(networks)
    for mask in sorted(range(1, 2 ** len(names)), key=place):
        subset = frozenset(name for k, name in enumerate(names) if mask >> k & 1)
        if len(subset) == 1:
            (name,) = subset
            values[subset] = singles[name]
            continue
        parts = [[alphas[u, subset] * v for v in values[u]] for u in values if u < subset]
        values[subset] = network(left.pop(0), [v for part in parts for v in part])
    parts = [[alphas[u, frozenset()] * v for v in value] for u, value in values.items()]
    return network(left.pop(0), [v for part in parts for v in part])
