"""Acts of raters, and a slow way to find those that count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfmm.annotation.acts import Act
from selfmm.annotation.journal import RatingJournal


def rate(clip: str, label: float, rater: str = "Ann", target: str = "clip", **more: object) -> Act:
    return Act(clip, target, rater, label=label, **more)  # type: ignore[arg-type]


def rated(path: Path, *acts: Act, label_range: tuple[float, float] = (-3, 3)) -> RatingJournal:
    journal = RatingJournal(path, label_range)
    journal.add(*acts)
    return journal


def standing(acts: Sequence[Act]) -> dict[tuple[str, str, str], Act]:
    """The act that counts for each place, found from the end: each undo takes back one earlier act."""
    counts = {}
    for place in {act.place for act in acts}:
        taken_back = 0
        for act in reversed([act for act in acts if act.place == place]):
            if act.act == "undo":
                taken_back += 1
            elif taken_back:
                taken_back -= 1
            else:
                counts[place] = act
                break
    return counts
