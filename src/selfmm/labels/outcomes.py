"""What became of a label when the generator last saw its clip."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Outcome(IntEnum):
    """What became of a label. ``MISSING`` and all later values are reasons why it was held."""

    START = 0
    """Not computed yet (epoch 1): the label is y_m."""
    UPDATED = 1
    """The rule moved the label."""
    CLAMPED = 2
    """The rule moved the label, and the raw label was cut to the bound."""
    FIXED = 3
    """The label is known, so it never moves."""
    MISSING = 4
    """The clip lacks this modality."""
    NOT_FINITE = 5
    """The clip's features of this modality or of the fusion hold a NaN or an infinity."""
    ONE_CLASS = 6
    """No positive or no negative clip is stored yet, in this modality or in the fusion."""
    COINCIDE = 7
    """The two centres of the modality or of the fusion are one point: constant features."""
    NO_EVIDENCE = 8
    """The raw label is not finite (the rule's pole), or the modality's inputs say nothing about the m-label."""

    @property
    def word(self) -> str:
        """The name in lower case, as tables show it."""
        return self.name.lower()


HELD = tuple(outcome for outcome in Outcome if outcome >= Outcome.MISSING)


def first_true(size: int, cases: Sequence[tuple[Outcome, Tensor]], otherwise: Outcome, device: torch.device) -> Tensor:
    """Return (size,) uint8: per clip the first outcome with a true condition, (size,) or () bool, or ``otherwise``."""
    import torch  # whoever reads the labels of a run does not need it

    first = torch.full((size,), int(otherwise), dtype=torch.uint8, device=device)
    for outcome, condition in reversed(cases):
        first = first.masked_fill(condition.expand(size), int(outcome))
    return first
