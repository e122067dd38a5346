"""Ordered classes as labels on a signed scale, and back: how Self-MM's own relation serves them.

The K classes 0 < 1 < ... < K-1 stand one unit apart around 0, each at the midpoint of its unit:
``y = c - (K-1)/2``. Seven classes are -3 ... 3, five -2 ... 2, two -1/2 and 1/2. Of an odd number, the middle class is
neutral and in neither of Self-MM's two classes, as a sentiment of 0 is. Labels from the network or the generator
(``bound=bound(K)``) come back as the nearest class, or as the two neighbours' probabilities.

It takes for granted what an order alone does not say: that neighbouring classes are equally far apart, and that the
middle of the scale is neutral. Where either is false, or there is no order, see :mod:`selfmm.labels.classes`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def bound(count: int) -> float:
    """Largest absolute label of ``count`` classes: (K-1)/2."""
    _check_count(count)
    return (count - 1) / 2


def to_labels(classes: Tensor, count: int) -> Tensor:
    """Signed midpoints of classes.

    Args:
        classes: (N,) integers from 0 to ``count`` - 1, in the order of the classes.
        count: K >= 2.

    Returns:
        (N,) float32 labels in [-(K-1)/2, (K-1)/2], exact.

    Raises:
        ValueError: ``classes`` are no such integers.

    >>> to_labels(torch.tensor([0, 2, 4]), 5)
    tensor([-2.,  0.,  2.])
    """
    limit = bound(count)
    check_classes(classes, count)
    return classes.float() - limit


def to_classes(labels: Tensor, count: int) -> Tensor:
    """(N,) long, the nearest class of (N,) labels of any size; halfway between two, the higher one.

    So with two classes a label of 0 is in the class 1, as the field's Acc-2 counts ``>= 0``.

    >>> to_classes(torch.tensor([-9.0, -0.4, 0.5]), 5)
    tensor([0, 2, 3])
    """
    return (_on_scale(labels, count) + 0.5).floor().long().clamp(max=count - 1)


def to_probabilities(labels: Tensor, count: int) -> Tensor:
    """(N, K), the one distribution on a label's two neighbouring classes whose mean is the label.

    A label on a midpoint is one class for certain, one beyond the scale its outermost class. The spread is that of
    interpolation; it is no measure of how sure the label is.

    >>> to_probabilities(torch.tensor([0.25]), 3)
    tensor([[0.0000, 0.7500, 0.2500]])
    """
    place = _on_scale(labels, count)
    distance = place[:, None] - torch.arange(count, device=labels.device)
    return (1 - distance.abs()).clamp(min=0)


def check_classes(classes: Tensor, count: int) -> None:
    """Raises ``ValueError`` unless ``classes`` is (N,) of integers from 0 to ``count`` - 1."""
    if classes.ndim != 1 or classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ValueError(
            f"classes are {tuple(classes.shape)} {classes.dtype}; give a 1-D tensor of integers (torch.long)"
        )
    if len(classes) and (int(classes.min()) < 0 or int(classes.max()) >= count):
        raise ValueError(
            f"classes run from {int(classes.min())} to {int(classes.max())}; number the {count} classes "
            f"from 0 to {count - 1}"
        )


def _on_scale(labels: Tensor, count: int) -> Tensor:
    """(N,) places in [0, K-1], class c at c."""
    limit = bound(count)
    if labels.ndim != 1 or not labels.is_floating_point() or not bool(labels.isfinite().all()):
        raise ValueError(f"labels are {tuple(labels.shape)} {labels.dtype}; give (N,) finite floating-point numbers")
    return labels.clamp(-limit, limit) + limit


def _check_count(count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ValueError(f"the number of classes is {count!r}; give a whole number >= 2")
