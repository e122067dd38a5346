"""MMD^2 between some codes and a standard normal prior, by sums over pairs and over the nodes of a quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
_SHARES = [float(w) for w in _WEIGHTS / _WEIGHTS.sum()]
NODES = [float(n) for n in _NODES]


def kernel(x: Sequence[float], y: Sequence[float]) -> float:
    return math.exp(-sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / len(x) ** 2)


def one(a: float, wide: float) -> float:
    """E over e of N(0, 1) of exp(-(a - e)^2 / wide)."""
    return sum(share * math.exp(-((a - node) ** 2) / wide) for share, node in zip(_SHARES, NODES, strict=True))


def mmd(codes: Sequence[Sequence[float]]) -> float:
    """The kernel is a product over the dimensions, and the prior's are independent: so are the expectations."""
    if not codes:
        return 0.0
    size = len(codes[0])
    wide = float(size**2)
    pairs = [kernel(x, y) for x in codes for y in codes]
    across = [math.prod(one(a, wide) for a in x) for x in codes]
    prior = sum(share * one(node, wide) for share, node in zip(_SHARES, NODES, strict=True)) ** size
    return sum(pairs) / len(pairs) - 2 * sum(across) / len(across) + prior
