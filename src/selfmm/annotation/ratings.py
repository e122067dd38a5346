"""What annotators said, whatever file it came in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from selfmm.core.messages import some

PREFIX = "label_"
"""What a column or control is called that asks for the label of a modality: ``label_<modality>``."""


class Rating(NamedTuple):
    """One person's (or sheet's) label of one modality of one clip."""

    id: str
    modality: str
    label: float
    annotator: str


@dataclass
class Ratings:
    """All ratings of a file.

    Attributes:
        rows: every label that was read.
        problems: what is wrong with the file, one sentence each.
        notes: what was left out on purpose, one sentence each.
    """

    rows: list[Rating] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _no_numbers: list[str] = field(default_factory=list)

    def add(self, clip: str, modality: str, value: object, annotator: str = "") -> None:
        """Takes a rating in, or remembers that it is no number; None is no rating."""
        if value is None:
            return
        clip, modality, label = printable(clip), printable(modality), _number(value)
        if label is None:
            self._no_numbers.append(f"{str(value)[:40]} ({modality} of {clip[:60]})")
        else:
            self.rows.append(Rating(clip, modality, label, annotator))

    def all_problems(self) -> list[str]:
        if not self._no_numbers:
            return self.problems
        return [
            *self.problems,
            f"{len(self._no_numbers)} labels are no finite numbers: {some(self._no_numbers)}. Write numbers, with a "
            "point for decimals; leave out what nobody judged.",
        ]

    def table(self) -> pd.DataFrame:
        """``id``, ``modality``, ``label``, ``annotator`` of every rating."""
        return pd.DataFrame(self.rows, columns=list(Rating._fields)).astype({"label": "float64"})

    def means(self) -> pd.DataFrame:
        """One row per clip and modality: the mean of all its ratings, and the ``annotators`` with commas between."""
        groups = self.table().groupby(["id", "modality"], sort=False)
        annotators = groups["annotator"].agg(lambda names: ", ".join(sorted({name for name in names if name})))
        return pd.DataFrame({"label": groups["label"].mean(), "annotators": annotators}).reset_index()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:  # Python's own 1_000, which people mistype for 1.000
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def printable(word: str) -> str:
    """The word with what UTF-8 cannot hold (half a surrogate pair in JSON or in an argument) as ``?``."""
    return word.encode("utf-8", "replace").decode()
