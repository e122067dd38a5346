"""Integrated gradients (Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_ROWS = 1 << 16  # of all points on the path that are worked off at once: what bounds the memory of an hour-long clip
_HALVINGS = 6


def integrated_gradients(
    function: Callable[[Tensor], Tensor], inputs: Tensor, baseline: Tensor, *, steps: int, tolerance: float
) -> Tensor:
    """How much each input moves ``function`` on the straight way from ``baseline`` to ``inputs``.

    The values should sum to ``function(inputs) - function(baseline)``, and so on every stretch of the way. That tells
    how good the integral is: a stretch that is off is halved and looked at again. Recurrent networks need it: some
    tip over within a hundredth of the way.

    Args:
        function: (K, L, d) to (K,), each row for itself.
        inputs, baseline: (L, d).
        steps: points per stretch at which the gradient is taken, by Gauss-Legendre.
        tolerance: by how much the sum over a stretch may be off; the shortest stretch is 1/64 of the way.

    Returns:
        (L, d) float64 on the CPU.
    """
    total = torch.zeros(inputs.shape, dtype=torch.float64)
    stretches = [(0.0, 1.0)]
    while stretches:
        start, end = stretches.pop()
        shares, rise = _stretch(function, inputs, baseline, start, end, steps)
        if abs(float(shares.sum()) - rise) > tolerance and end - start > 2.0**-_HALVINGS:
            middle = (start + end) / 2
            stretches += [(middle, end), (start, middle)]
        else:
            total += shares
    return total


def _stretch(
    function: Callable[[Tensor], Tensor], inputs: Tensor, baseline: Tensor, start: float, end: float, steps: int
) -> tuple[Tensor, float]:
    """(L, d) shares of a part of the way, and by how much the function rises on it."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    # The ends have no weight: they are there for the rise.
    places = start + (end - start) * (np.concatenate([[-1.0], nodes, [1.0]]) + 1) / 2
    weights = (end - start) * np.concatenate([[0.0], weights, [0.0]]) / 2
    way, total, values = inputs - baseline, torch.zeros(inputs.shape, dtype=torch.float64), []
    at_once = max(1, _ROWS // len(inputs))
    # cuDNN has no backward pass for an LSTM in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for first in range(0, len(places), at_once):
            place, weight = (
                torch.from_numpy(part[first : first + at_once]).to(inputs)[:, None, None] for part in (places, weights)
            )
            path = (baseline + place * way).detach().requires_grad_()
            value = function(path)
            (gradient,) = torch.autograd.grad(value.sum(), path)
            total += (weight * gradient * way.detach()).sum(0).cpu()
            values += value.tolist()
    return total, values[-1] - values[0]
