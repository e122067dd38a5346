"""Clips and lists of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfmm.features.streams import Word


@dataclass(frozen=True)
class Clip:
    """A part of a recording with its words, labels and split.

    Only ``path`` is required, as a Path or a str. The file is opened when the clip is extracted or scored.

    >>> Clip("talks/anna.mp4", start=12.5, end=17.0, text="I loved every minute of it.").path.name
    'anna.mp4'

    Attributes:
        path: the recording: a video or sound file.
        id: name of the clip, unique in a list; empty: the name of the file without its suffix.
        start: where the clip begins in the file, seconds, 0 or more; None: at the beginning of the file.
        end: where it ends, seconds, later than ``start``; None: at the end of the file.
        text: the words of the clip; None: they are read from ``words`` or ``subtitles``, or recognised.
        subtitles: .srt, .vtt, .ass or .ssa file with the times of the recording; ignored if there is a ``text``, or
            ``words``.
        label: sentiment rating of the whole clip, on the scale of the data set; None if unknown.
        split: ``train``, ``valid`` or ``test``; None if not chosen yet.
        video: name shared by the clips of one recording or speaker, which stay in one split; empty: the file's name.
        labels: ratings of single modalities, by ``text``, ``audio`` or ``vision``, on the same scale.
        words: words with their times, seconds since ``start``. With a ``text``, they give their times to the same words
            in it: so a corrected transcript keeps the times of the words that were recognised.
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
    words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if self.subtitles is not None:
            object.__setattr__(self, "subtitles", Path(self.subtitles))
        object.__setattr__(self, "words", tuple(self.words))

    def to_json(self) -> dict[str, Any]:
        """Return the clip as JSON types, with absolute paths."""
        subtitles = None if self.subtitles is None else str(self.subtitles.absolute())
        paths = {"path": str(self.path.absolute()), "subtitles": subtitles}
        return {**asdict(self), "words": [asdict(word) for word in self.words], "labels": dict(self.labels), **paths}

    @staticmethod
    def from_json(content: dict[str, Any]) -> Clip:
        """Return the clip from the result of ``to_json``."""
        return Clip(**{**content, "words": [Word(**word) for word in content.get("words", ())]})


@dataclass(frozen=True)
class Failure:
    """A clip that could not be used. It does not stop the others.

    Attributes:
        id: id of the clip, or its row in the table.
        path: the recording as it was given; empty if unknown.
        reason: what is wrong, what was expected, and what to do.
    """

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class ClipList:
    """Clips in their original order.

    Attributes:
        clips: clips with unique, non-empty ids.
        failures: clips that cannot be used, with reasons.
        notes: possible mistakes, one sentence each.
        ratings: every rating of a table, also those of clips that cannot be used.
        unread: columns of numbers in a table without ratings that have no meaning here, and may be the ratings.
        table: the table that lists the clips; None if they were found as files.
    """

    clips: tuple[Clip, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    ratings: tuple[float, ...] = ()
    unread: tuple[str, ...] = ()
    table: Path | None = None
