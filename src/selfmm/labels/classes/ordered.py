"""Ordered classes as labels on a signed scale, and back, for use with Self-MM's own rules.

The K classes 0 < 1 < ... < K-1 are one unit apart around 0, each at the midpoint of its unit: ``y = c - (K-1)/2``.
Seven classes are -3 ... 3, five -2 ... 2, two -1/2 and 1/2. If K is odd, the middle class is neutral and in neither of
Self-MM's two classes, like a sentiment of 0. Labels from the network or the generator (``bound=bound(K)``) are turned
back into the nearest class, or into probabilities of the two neighbours.

This assumes more than an order: neighbouring classes are equally far apart, and the middle of the scale is neutral. If
either is false, or there is no order, see :mod:`selfmm.labels.classes.generator`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from selfmm.labels.settings import shape


def bound(count: int) -> float:
    """Return the largest absolute label of ``count`` classes, (K-1)/2; raise ``ValueError`` unless K >= 2."""
    check_count(count)
    return (count - 1) / 2


def to_labels(classes: Tensor, count: int) -> Tensor:
    """Return the labels of classes: their signed midpoints.

    Args:
        classes: (N,) integers from 0 to ``count`` - 1, in the order of the classes.
        count: K >= 2.

    Returns:
        (N,) float32 labels in [-(K-1)/2, (K-1)/2], exact.

    Raises:
        ValueError: if ``classes`` are not such integers.

    >>> to_labels(torch.tensor([0, 2, 4]), 5)
    tensor([-2.,  0.,  2.])
    """
    limit = bound(count)
    check_classes(classes, count)
    return classes.float() - limit


def to_classes(labels: Tensor, count: int) -> Tensor:
    """Return (N,) long, the classes nearest to (N,) labels of any size; halfway between two, the higher one.

    So with two classes a label of 0 is in class 1, like ``>= 0`` in has0 accuracy.

    Raises:
        ValueError: if the labels are not finite floats.

    >>> to_classes(torch.tensor([-9.0, -0.4, 0.5]), 5)
    tensor([0, 2, 3])
    """
    return (_on_scale(labels, count) + 0.5).floor().long().clamp(max=count - 1)


def to_probabilities(labels: Tensor, count: int) -> Tensor:
    """Return (N, K), the only distribution on a label's two neighbouring classes with the label as its mean.

    A label on a midpoint is one class with probability 1; a label beyond the scale is its outermost class. The spread
    comes from interpolation and does not measure how certain the label is.

    Raises:
        ValueError: if the labels are not finite floats.

    >>> to_probabilities(torch.tensor([0.25]), 3)
    tensor([[0.0000, 0.7500, 0.2500]])
    """
    place = _on_scale(labels, count)
    distance = place[:, None] - torch.arange(count, device=labels.device)
    return (1 - distance.abs()).clamp(min=0)


def check_classes(classes: Tensor, count: int) -> None:
    """Raise ``ValueError`` unless ``classes`` is (N,) of integers from 0 to ``count`` - 1."""
    if classes.ndim != 1 or classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ValueError(f"classes are {shape(classes)} {classes.dtype}; give a 1-D tensor of integers (torch.long)")
    low, high = (int(classes.min()), int(classes.max())) if len(classes) else (0, 0)
    if low < 0 or high >= count:
        raise ValueError(f"classes run from {low} to {high}; number the {count} classes from 0 to {count - 1}")


def _on_scale(labels: Tensor, count: int) -> Tensor:
    """(N,) places in [0, K-1], class c at c."""
    limit = bound(count)
    if labels.ndim != 1 or not labels.is_floating_point() or not bool(labels.isfinite().all()):
        raise ValueError(f"labels are {shape(labels)} {labels.dtype}; give (N,) finite floating-point numbers")
    return labels.clamp(-limit, limit) + limit


def check_count(count: int) -> None:
    """Raise ``ValueError`` unless ``count`` is a whole number >= 2."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ValueError(f"the number of classes is {count!r}; give a whole number >= 2")
