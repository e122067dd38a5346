"""Products of several vectors, convolutions and correlations, one number at a time.

``weights`` are a module's own, by name; nothing of the package is called.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import torch
from torch import Tensor

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def outer(vectors: list[list[float]]) -> list[float]:
    """Of vectors with a 1 behind each, every product of one number of each; the last vector's runs fastest."""
    return [prod(chosen) for chosen in product(*([*vector, 1.0] for vector in vectors))]


def convolve(picture: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(C', h, w) of (C, h, w) with a 3 x 3 kernel and zeros around the picture; ``weight`` (C', C, 3, 3)."""
    channels, height, width = picture.shape
    out = torch.zeros(len(weight), height, width)
    for k, i, j in product(range(len(weight)), range(height), range(width)):
        total = float(bias[k])
        for c, di, dj in product(range(channels), (-1, 0, 1), (-1, 0, 1)):
            if 0 <= i + di < height and 0 <= j + dj < width:
                total += float(weight[k, c, di + 1, dj + 1] * picture[c, i + di, j + dj])
        out[k, i, j] = total
    return out


def highest_of_four(picture: Tensor) -> Tensor:
    """(C, ceil(h / 2), ceil(w / 2)): of each 2 x 2, or what is left of it at the edge, the highest."""
    channels, height, width = picture.shape
    out = torch.zeros(channels, (height + 1) // 2, (width + 1) // 2)
    for c, i, j in product(range(channels), range(out.shape[1]), range(out.shape[2])):
        out[c, i, j] = picture[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max()
    return out


def correlations(x: Matrix, y: Matrix, regularisation: float) -> Matrix:
    """The canonical correlations, highest first: roots of the eigenvalues of C_x^-1 C_xy C_y^-1 C_yx."""
    count, both = len(x), np.concatenate([x, y], axis=1)
    apart = both - both.mean(axis=0)
    c = apart.T @ apart / (count - 1) + regularisation * np.eye(both.shape[1])
    d = x.shape[1]
    between = (apart.T @ apart / (count - 1))[:d, d:]
    squares = np.linalg.eigvals(np.linalg.inv(c[:d, :d]) @ between @ np.linalg.inv(c[d:, d:]) @ between.T).real
    found: Matrix = np.sqrt(np.clip(np.sort(squares)[::-1], 0, None))
    return found[: min(d, y.shape[1])]
