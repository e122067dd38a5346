"""The ratings of people, from any kind of file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from selfmm.core.messages import some

PREFIX = "label_"
"""Prefix of a column or control for the label of a modality: ``label_<modality>``."""

_LONGEST = 80  # characters of a rater's name


class Rating(NamedTuple):
    """The label that a person gave to one modality of one clip.

    ``rater`` is empty if the file does not name the person; ``turn`` is 1 for the first unnamed rating of a clip, 2 for
    the second, and so on.
    """

    id: str
    modality: str
    label: float
    rater: str
    turn: int


@dataclass
class Ratings:
    """All ratings of a file.

    Attributes:
        rows: every label that was read, in the order in which they were given.
        problems: what is wrong with the file, one sentence each.
        notes: what was left out on purpose, one sentence each.
        texts: the id and the words of each row, if the file has the words of the clips.
        label_range: lowest and highest label, if the file states them.
    """

    rows: list[Rating] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    label_range: tuple[float, float] | None = None
    _not_numbers: list[str] = field(default_factory=list)

    def add(self, clip: str, modality: str, value: object, rater: str = "", turn: int = 1) -> None:
        """Add a rating, or a problem if it is not a number; None is ignored."""
        if value is None:
            return
        clip, modality, label = printable(clip), printable(modality), _number(value)
        if label is None:
            self._not_numbers.append(f"{str(value)[:40]} ({modality} of {clip[:60]})")
        else:
            self.rows.append(Rating(clip, modality, label, rater_name(rater), turn))

    def all_problems(self) -> list[str]:
        """Return ``problems``, with one more if there are values that are not numbers."""
        if not self._not_numbers:
            return self.problems
        return [
            *self.problems,
            f"labels are not finite numbers: {some(self._not_numbers)}. Write numbers, with a point for decimals; "
            "leave out what nobody rated.",
        ]

    def check_texts(self, texts: Mapping[str, str]) -> None:
        """Add a problem if rows have the words of another clip: then their ratings would go to the wrong one.

        Args:
            texts: the words of each clip of the data set, by id.
        """
        plain = {clip: _plain(text) for clip, text in texts.items()}
        clips_of = {text: clip for clip, text in plain.items() if text}
        wrong = [
            f"the row of {clip[:60]} has the words of {clips_of[_plain(text)][:60]}"
            for clip, text in self.texts
            if clip in plain and _plain(text) in clips_of and _plain(text) != plain[clip]
        ]
        if wrong:
            self.problems.append(
                f"ids and words do not belong together: {some(wrong)}. Check that the file belongs to this data set "
                "and that sorting did not mix its rows; or remove the column of the words."
            )

    def table(self) -> pd.DataFrame:
        """Return ``id``, ``modality``, ``label``, ``rater`` and ``turn`` of every rating."""
        return pd.DataFrame(self.rows, columns=list(Rating._fields)).astype({"label": "float64"})

    def by_rater(self, default: str) -> tuple[pd.DataFrame, int]:
        """Return one row per clip, modality and rater, and the number of ratings that the same rater gave again later.

        Args:
            default: name of the rater where the file names nobody. Further unnamed ratings of the same clip count as
                those of other people, ``<default> #2`` and so on.
        """
        table = self.table()
        unnamed = [default if turn == 1 else f"{default} #{turn}" for turn in table["turn"]]
        table["rater"] = table["rater"].where(table["rater"] != "", pd.Series(unnamed, dtype=object))
        latest = table.drop_duplicates(["id", "modality", "rater"], keep="last").drop(columns="turn")
        return latest.reset_index(drop=True), len(table) - len(latest)


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


def _plain(text: str) -> str:
    """Return the words of a text, without what spreadsheets change: blanks, quotes and capitals."""
    return re.sub(r"\W+", " ", text).strip().casefold()


def printable(word: str) -> str:
    """Return the word with ``?`` for characters that UTF-8 lacks (half a surrogate pair in JSON or in an argument)."""
    return word.encode("utf-8", "replace").decode()


def rater_name(word: str) -> str:
    """Return the name of a rater on one line, not too long to show.

    >>> rater_name(" Ann  B "), rater_name("7.0")  # pandas writes a column of numbers with gaps as 7.0
    ('Ann B', '7')
    """
    name = printable(" ".join(word.split())[:_LONGEST])
    return name.removesuffix(".0") if name.removesuffix(".0").isdecimal() else name
