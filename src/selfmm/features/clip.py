"""Clips as users name them: a file, a folder, or a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


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
