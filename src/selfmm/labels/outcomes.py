"""What became of a label when its clip was last shown to the generator."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import torch
from torch import Tensor


class Outcome(IntEnum):
    """One per clip and modality; from ``MISSING`` on, the label was held, and the name says why."""

    START = 0
    """Not asked yet (epoch 1): the label is y_m."""
    UPDATED = 1
    """Moved by the rule."""
    CLAMPED = 2
    """Moved, and the raw label was cut to the bound."""
    FIXED = 3
    """Given as truth, and so never moved."""
    MISSING = 4
    """The clip lacks this stream."""
    NOT_FINITE = 5
    """A NaN or an infinity in the clip's features of this modality or of the fusion."""
    ONE_CLASS = 6
    """No positive or no negative clip is stored yet, in this modality or in the fusion."""
    COINCIDE = 7
    """The two centres of the modality or of the fusion are one point: constant features."""
    NO_EVIDENCE = 8
    """The raw label is not finite: the rule's pole, or a rule on held-out evidence that heard nothing."""

    @property
    def word(self) -> str:
        """The name as tables show it, in small letters."""
        return self.name.lower()


HELD = tuple(outcome for outcome in Outcome if outcome >= Outcome.MISSING)


def first_true(size: int, cases: Sequence[tuple[Outcome, Tensor]], otherwise: Outcome, device: torch.device) -> Tensor:
    """(size,) uint8: per clip the first outcome whose condition, (size,) or () bool, is true."""
    found = torch.full((size,), int(otherwise), dtype=torch.uint8, device=device)
    for outcome, condition in reversed(cases):
        found = found.masked_fill(condition.expand(size), int(outcome))
    return found
