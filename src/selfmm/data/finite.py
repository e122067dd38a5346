"""Features that are not finite: every reader handles them in the same way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from selfmm.core.messages import clips, count, some

NonFinite = Literal["error", "zero"]


def as_float(values: npt.NDArray[Any], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return a copy as floats; values that overflow become infinite without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array(values, dtype=dtype)


def without_non_finite(values: npt.NDArray[Any], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return a copy as floats with 0 for values that are not finite."""
    values = as_float(values, dtype)
    values[~np.isfinite(values)] = 0
    return values


@dataclass
class FiniteCheck:
    """Counts the features of one modality that are not finite, clip by clip.

    Attributes:
        modality: its name, for messages.
        policy: ``error`` or ``zero``.
        accept_minus_inf: whether -inf is a known artefact that always becomes 0.
    """

    modality: str
    policy: NonFinite
    accept_minus_inf: bool = False
    minus_inf: int = 0
    bad: int = 0
    where: list[str] = field(default_factory=list)

    def look(self, values: npt.NDArray[Any], clip: str) -> None:
        """Count the values of one clip, which must be floats."""
        if np.isfinite(values).all():
            return
        minus_inf = int(np.isneginf(values).sum()) if self.accept_minus_inf else 0
        bad = int((~np.isfinite(values)).sum()) - minus_inf
        self.minus_inf += minus_inf
        self.bad += bad
        if bad:
            self.where.append(clip)

    def problems(self) -> list[str]:
        if not self.bad or self.policy == "zero":
            return []
        return [
            f"{self.modality} has {count(self.bad, 'NaN or infinite value')} in {clips(len(self.where))} "
            f"({some(self.where)}). Fix the features, or pass `non_finite='zero'` to replace them with 0."
        ]

    def notes(self) -> list[str]:
        notes = []
        if self.minus_inf:
            notes.append(
                f"{self.modality}: {count(self.minus_inf, '-inf value')}, a known artefact of MMSA files, became 0, as "
                "in the loader of MMSA."
            )
        if self.bad:
            notes.append(
                f"{self.modality}: {count(self.bad, 'NaN or infinite value')} in {clips(len(self.where))} "
                f"({some(self.where)}) became 0."
            )
        return notes
