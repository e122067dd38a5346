"""The ratings of annotators, from any kind of file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from selfmm.core.messages import some

PREFIX = "label_"
"""Prefix of a column or control for the label of a modality: ``label_<modality>``."""


class Rating(NamedTuple):
    """The label that a person gave to one modality of one clip."""

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
    _not_numbers: list[str] = field(default_factory=list)

    def add(self, clip: str, modality: str, value: object, annotator: str = "") -> None:
        """Add a rating, or a problem if it is not a number; None is ignored."""
        if value is None:
            return
        clip, modality, label = printable(clip), printable(modality), _number(value)
        if label is None:
            self._not_numbers.append(f"{str(value)[:40]} ({modality} of {clip[:60]})")
        else:
            self.rows.append(Rating(clip, modality, label, annotator))

    def all_problems(self) -> list[str]:
        """Return ``problems``, with one more if there are values that are not numbers."""
        if not self._not_numbers:
            return self.problems
        return [
            *self.problems,
            f"labels are not finite numbers: {some(self._not_numbers)}. Write numbers, with a point for decimals; "
            "leave out what nobody rated.",
        ]

    def table(self) -> pd.DataFrame:
        """Return ``id``, ``modality``, ``label`` and ``annotator`` of every rating."""
        return pd.DataFrame(self.rows, columns=list(Rating._fields)).astype({"label": "float64"})

    def means(self) -> pd.DataFrame:
        """Return one row per clip and modality: the mean of its ratings, and ``annotators`` separated by commas."""
        groups = self.table().groupby(["id", "modality"], sort=False)
        annotators = groups["annotator"].agg(lambda names: ", ".join(sorted({name for name in names if name})))
        return pd.DataFrame({"label": groups["label"].mean(), "annotators": annotators}).reset_index()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:  # Python accepts 1_000, which may be a typing error for 1.000
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def printable(word: str) -> str:
    """Return the word with ``?`` for characters that UTF-8 lacks (half a surrogate pair in JSON or in an argument)."""
    return word.encode("utf-8", "replace").decode()
