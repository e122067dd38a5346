"""Clips as users name them: a file, a folder, or a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Clip:
    """A piece of a recording.

    Attributes:
        path: the media file.
        id: unique name; empty: the file's name without its ending.
        start, end: seconds in the file; None: from its beginning, to its end.
        text: what is said, where somebody wrote it down.
        subtitles: an .srt or .vtt file; its times are those of the media file.
        label: the rating; None where it is not known.
        split: train, valid or test; None where it is not chosen.
        video: the recording (or speaker) that clips share; empty: the file's name.
        labels: per modality, a rating of it alone.
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
        object.__setattr__(self, "path", Path(self.path))  # who writes one by hand gives a word
        if self.subtitles is not None:
            object.__setattr__(self, "subtitles", Path(self.subtitles))

    def to_json(self) -> dict[str, Any]:
        subtitles = None if self.subtitles is None else str(self.subtitles.absolute())
        paths = {"path": str(self.path.absolute()), "subtitles": subtitles}
        return {**asdict(self), "labels": dict(self.labels), **paths}

    @staticmethod
    def from_json(content: dict[str, Any]) -> Clip:
        return Clip(**content)


@dataclass(frozen=True)
class Failure:
    """A clip that could not be used; the others go on.

    Attributes:
        id: its name, or its row where it has none.
        path: the media file as it was given; empty where it is not known.
        reason: what came, what was expected, what to do.
    """

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class ClipList:
    """Clips, in the order in which they were given.

    Attributes:
        clips: their ids are unique and never empty.
        failures: clips that cannot be used, each with its reason.
        notes: sentences on what may not be meant.
    """

    clips: tuple[Clip, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
