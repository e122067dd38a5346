"""The acts of raters, and the ratings that count after a sequence of acts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from selfmm.annotation.ratings import printable, rater_name
from selfmm.config.recipe import PARTS
from selfmm.core.errors import ArgumentsError

CLIP = "clip"
"""Target of a rating of the whole clip: its m-label. The other targets are modalities."""
TARGETS = (CLIP, *PARTS)
ACTS = ("rate", "skip", "undo")
MODES = ("all", "words", "sound", "filtered sound", "pictures")
"""What the rater could see or hear; in ``filtered sound``, words cannot be understood."""

_LONGEST = 1000  # characters of an id


@dataclass(frozen=True)
class Act:
    """One act of a rater.

    Attributes:
        id: id of the clip.
        target: what was judged: ``clip`` or a modality.
        rater: who judged it.
        act: ``rate``; ``skip``, which leaves the clip without a rating; or ``undo``, which takes back the rater's
            latest act on this clip and target that still counts.
        label: the rating; None unless the act is ``rate``.
        mode: what the rater could see or hear, one of `MODES`.
        proposal: the score that the rater was shown; None if none was shown.
        accepted: whether the rater accepted the proposal instead of entering a label.
        seconds: time from showing the clip to the act; None if unknown.
        key: a name for this act, chosen by the sender: an act that is sent twice counts once. Empty for none.
        time: when the act was recorded, UTC, ISO 8601; `RatingJournal` sets it.
    """

    id: str
    target: str
    rater: str
    act: str = "rate"
    label: float | None = None
    mode: str = "all"
    proposal: float | None = None
    accepted: bool = False
    seconds: float | None = None
    key: str = ""
    time: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Rater, clip and target."""
        return self.rater, self.id, self.target

    def checked(self, label_range: tuple[float, float]) -> Act:
        """Return the act with a clean name of the rater and finite numbers.

        Raises:
            ArgumentsError: if something is wrong; the message lists everything that is.
        """
        low, high = label_range
        rater, problems = rater_name(str(self.rater)), []
        if not isinstance(self.id, str) or not self.id or len(self.id) > _LONGEST or self.id != printable(self.id):
            problems.append(f"the id of a clip is a text of 1 to {_LONGEST} characters, not {self.id!r:.80}")
        for name, value, known in (
            ("target", self.target, TARGETS),
            ("act", self.act, ACTS),
            ("mode", self.mode, MODES),
        ):
            if value not in known:
                problems.append(f"the {name} {value!r:.80} is unknown; expected one of {', '.join(known)}")
        if not rater:
            problems.append("a rating needs the name of its rater")
        label = _finite(self.label)
        if self.act == "rate" and (label is None or not low <= label <= high):
            problems.append(f"the label {self.label!r:.80} is not a number from {low:g} to {high:g}")
        if problems:
            raise ArgumentsError(problems)
        return replace(
            self,
            rater=rater,
            label=label if self.act == "rate" else None,
            proposal=_finite(self.proposal),
            accepted=bool(self.accepted) and self.act == "rate",
            seconds=None if (seconds := _finite(self.seconds)) is None or seconds < 0 else round(seconds, 2),
            key=printable(str(self.key))[:_LONGEST],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the act as JSON types."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Act:
        """Return an act from a JSON object; ignore unknown entries.

        Raises:
            TypeError: if it is not an act.
        """
        if not isinstance(content, Mapping) or not {"id", "target", "rater"} <= set(content):
            raise TypeError("an act is an object with id, target and rater")
        act = Act(**{name: content[name] for name in Act.__dataclass_fields__ if name in content})
        if not all(isinstance(value, str) for value in (act.id, act.target, act.rater, act.act, act.mode, act.key)):
            raise TypeError("an act has texts as id, target, rater, act, mode and key")
        return act


def _finite(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:  # a whole number with more than 308 digits
        return None
    return number if math.isfinite(number) else None


@dataclass
class Standing:
    """The acts that count: for each rater, clip and target, the latest one that was not taken back."""

    _stacks: dict[tuple[str, str, str], list[tuple[int, Act]]] = field(default_factory=dict)
    _taken: int = 0

    def take(self, act: Act) -> None:
        """Take the next act into account. An ``undo`` with nothing left to take back changes nothing."""
        stack = self._stacks.setdefault(act.place, [])
        self._taken += 1
        if act.act != "undo":
            stack.append((self._taken, act))
        elif stack:
            stack.pop()

    def __iter__(self) -> Iterator[Act]:
        """Yield the acts that count, ``rate`` or ``skip``, in the order in which they were made."""
        tops = sorted((stack[-1] for stack in self._stacks.values() if stack), key=lambda top: top[0])
        return (act for _, act in tops)
