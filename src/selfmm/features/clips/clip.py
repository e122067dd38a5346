"""A clip, and lists of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Clip:
    """A stretch of a recording, with what is known about it.

    Only ``path`` is needed; a str is taken as a path. The file is not opened before the clip is extracted or scored.

    >>> Clip("talks/anna.mp4", start=12.5, end=17.0, text="I loved every minute of it.").path.name
    'anna.mp4'

    Attributes:
        path: the recording: a video or sound file.
        id: name of the clip, unique in a list; empty: the name of the file without its suffix.
        start: seconds in the file at which the clip begins, 0 or more; None: the beginning of the file.
        end: seconds in the file at which it ends, later than ``start``; None: the end of the file.
        text: what is said in the clip; None: it is read from ``subtitles``, or recognised.
        subtitles: .srt, .vtt, .ass or .ssa file with the times of the recording; not used if there is a ``text``.
        label: sentiment rating of the whole clip, on the scale of the data set; None if it is not known.
        split: ``train``, ``valid`` or ``test``; None if it is not chosen yet.
        video: name that clips of one recording or speaker share, so that a split keeps them together; empty: the name
            of the file.
        labels: ratings of single modalities, by ``text``, ``audio`` or ``vision``, on the same scale.
    """

    path: Path
    id: str = ""
    start: float | None = None
    end: float | None = None
    text: str | None = None
    subtitles: Path | None = None
    label: float | None = None
    split: str | None = None
    video: str = ""
    labels: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if self.subtitles is not None:
            object.__setattr__(self, "subtitles", Path(self.subtitles))

    def to_json(self) -> dict[str, Any]:
        """Return the clip as JSON types, with absolute paths."""
        subtitles = None if self.subtitles is None else str(self.subtitles.absolute())
        paths = {"path": str(self.path.absolute()), "subtitles": subtitles}
        return {**asdict(self), "labels": dict(self.labels), **paths}

    @staticmethod
    def from_json(content: dict[str, Any]) -> Clip:
        """Return the clip that ``to_json`` described."""
        return Clip(**content)


@dataclass(frozen=True)
class Failure:
    """A clip that could not be used. It does not stop the others.

    Attributes:
        id: its name, or its row in the table if it has none.
        path: the recording as it was given; empty if it is not known.
        reason: what came, what was expected, and what to do.
    """

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class ClipList:
    """Clips in the order in which they were given.

    Attributes:
        clips: clips with unique ids that are never empty.
        failures: clips that cannot be used, each with its reason.
        notes: what may be a mistake, one sentence each.
    """

    clips: tuple[Clip, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
