"""What to do about features that are not finite, the same for every reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from selfmm.core.messages import clips, some

NonFinite = Literal["error", "zero"]


def as_float(values: npt.NDArray[Any], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """A copy as floats; what does not fit into them becomes infinite without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array(values, dtype=dtype)


def without_non_finite(values: npt.NDArray[Any], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """A copy as floats with 0 in the place of everything that is not finite."""
    values = as_float(values, dtype)
    values[~np.isfinite(values)] = 0
    return values


@dataclass
class FiniteCheck:
    """Counts the features of one modality that are not finite, clip by clip.

    Attributes:
        modality: its name, for the messages.
        policy: ``error`` or ``zero``.
        accept_minus_inf: -inf is a known artefact here and always becomes 0.
    """

    modality: str
    policy: NonFinite
    accept_minus_inf: bool = False
    minus_inf: int = 0
    bad: int = 0
    where: list[str] = field(default_factory=list)

    def look(self, values: npt.NDArray[Any], clip: str) -> None:
        """Counts within the frames of one clip, which are floats already."""
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
            f"{self.modality} has {self.bad} features that are NaN or infinite, in {clips(len(self.where))} "
            f"({some(self.where)}). Mend the features, or pass --non-finite zero to put 0 in their place."
        ]

    def notes(self) -> list[str]:
        found = []
        if self.minus_inf:
            found.append(
                f"{self.modality}: {self.minus_inf} features were -inf, a known artefact of the field's files, "
                "and became 0, as in the field's loaders."
            )
        if self.bad:
            found.append(
                f"{self.modality}: {self.bad} features were NaN or infinite, in {clips(len(self.where))} "
                f"({some(self.where)}), and became 0."
            )
        return found
