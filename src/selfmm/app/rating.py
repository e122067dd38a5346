"""The sources of clips to rate: their clips, what a rater can be shown, and their ratings."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_media import recording_of
from selfmm.app.errors import NotHereError, RequestError
from selfmm.app.state import private_folder
from selfmm.app.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_FRESH = 60.0  # seconds after which the words of recordings are read again
_LOOKED_AT = 20  # clips, to see whether there are recordings
_SOUND_ONLY = frozenset(
    (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aiff", ".aif", ".au", ".caf", ".amr")
)
_LARGEST = 1_000_000  # label of a scale
CLIP, MODALITIES = "clip", ("text", "audio", "vision")
_BLIND = {"text": ("words",), "audio": ("sound", "filtered sound"), "vision": ("pictures",)}
_SHOWN_BY = {"text": {"words", "sound"}, "audio": {"sound"}, "vision": {"pictures"}}
_NEEDS = {"words": "text", "sound": "path", "filtered sound": "path", "pictures": "path"}


@dataclass(frozen=True)
class Source:
    """A data set or a folder of recordings, whose clips can be rated.

    Attributes:
        name: its path from the folder that is shown.
        path: the data set, or the folder of recordings.
        is_dataset: whether it is a data set.
        clips: the table of :func:`selfmm.api.clips_to_rate`, by id.
        modalities: those that can be rated alone because they can be shown.
        ratings: its ratings.
        shows: what a rater can be shown: ``words``, ``sound``, ``pictures``.
        listing: the table in the folder that lists the clips; empty if the folder has none, or is a data set.
        listed: what this table gives, as numbers of clips: ``words``, ``clip`` (labels of whole clips), and labels of
            modalities.
    """

    name: str
    path: Path
    is_dataset: bool
    clips: pd.DataFrame
    modalities: tuple[str, ...]
    ratings: api.RatingJournal
    shows: tuple[str, ...]
    listing: str = ""
    listed: Mapping[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.path.name

    @property
    def targets(self) -> tuple[str, ...]:
        return (CLIP, *self.modalities)

    def modes(self, target: str) -> list[str]:
        """Return the modes in which a target can be rated, the usual choice first."""
        blind = _BLIND.get(target, ("words", "sound", "filtered sound", "pictures"))
        shown = [mode for mode in blind if mode.removeprefix("filtered ") in self.shows]
        if len(self.shows) < 2 and shown:  # then "all" would show the same
            return shown
        return ["all", *shown] if target == CLIP else [*shown, "all"]

    def with_words(self, scores: pd.DataFrame | None) -> Source:
        """Return the source with the words that a scoring recognised where the words of a clip are not known."""
        if scores is None or "text" not in scores:
            return self
        recognised = scores.set_index("id")["text"].dropna()
        texts: list[Any] = [own or recognised.get(clip) or None for clip, own in self.clips["text"].items()]
        shows = self.shows if "words" in self.shows or not any(texts) else ("words", *self.shows)
        return replace(self, clips=self.clips.assign(text=texts), shows=shows)


class Rating:
    """The sources of a folder, and their ratings.

    Args:
        workspace: the folder that is shown.
        folder: where to keep scores and tables, private to the app.
    """

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace, self.folder = workspace, folder
        self._lock = threading.Lock()
        self._journals: dict[Path, api.RatingJournal] = {}
        self._sources: dict[str, tuple[object, Source]] = {}

    def source(self, name: str) -> Source:
        """Return a source.

        Raises:
            NotHereError: if there is no such data set or folder.
            RequestError: if its path is not UTF-8.
            SourceError, DatasetError: if it cannot be read, or has no clips.
        """
        path = self.workspace.source(name)
        with self._lock:
            state = _state_of(path)  # before it is read: it may change in the meantime
            known, source = self._sources.get(name, (None, None))
            if source is None or known != state:
                source = self._read(name, path)
                self._sources[name] = (state, source)
        return source

    def journal(self, name: str) -> api.RatingJournal:
        """Return the ratings of a source without reading its clips. Errors as above."""
        path = self.workspace.source(name)
        with self._lock:
            return self._journal(path)

    def _journal(self, path: Path, label_range: tuple[float, float] | None = None) -> api.RatingJournal:
        if path not in self._journals:
            self._journals[path] = api.open_ratings(path, root=self.workspace.root, label_range=label_range)
        return self._journals[path]

    def _read(self, name: str, path: Path) -> Source:
        dataset = api.open_dataset(path) if (path / parts.MANIFEST).is_file() else None
        listed = parts.read_clips(path) if dataset is None else parts.ClipList(())
        clips = api.clips_to_rate(listed if dataset is None else dataset).drop_duplicates("id").set_index("id")
        modalities = MODALITIES if dataset is None else dataset.modalities
        shows = ["words"] if clips["text"].notna().any() else []
        files = [file for file in clips["path"].dropna().head(_LOOKED_AT) if self.file(path, file) is not None]
        shows += ["sound"] if files else []
        shows += ["pictures"] if any(has_pictures(file) for file in files) else []
        return Source(
            name=name,
            path=path,
            is_dataset=dataset is not None,
            clips=clips,
            modalities=tuple(name for name in MODALITIES if name in modalities and _SHOWN_BY[name] & {*shows}),
            ratings=self._journal(path),
            shows=tuple(shows),
            listing="" if listed.table is None else listed.table.name,
            listed=_given(listed),
        )

    def rescale(self, source: Source, label_range: tuple[float, float]) -> None:
        """Change the scale of a source that has no ratings yet; otherwise do nothing.

        Raises:
            RequestError: if it is not a scale.
        """
        low, high = label_range
        if not (-_LARGEST <= low < high <= _LARGEST and high - low >= 1 / _LARGEST):
            raise RequestError(f"A scale has a lowest label and a higher highest one, from {-_LARGEST} to {_LARGEST}.")
        with self._lock:
            if label_range == source.ratings.label_range or source.ratings.path.exists():
                return
            del self._journals[source.path]
            self._journal(source.path, (float(low), float(high)))
            self._sources.pop(source.name, None)

    def file(self, source: Path, path: str) -> Path | None:
        """Return the recording of a clip of a source; None if it is not in the folder that is shown."""
        return recording_of(self.workspace, source, path)

    def table(self, source: Source, listed_labels: bool) -> Path:
        """Write the rated recordings as a table for an extraction, and return its path.

        Args:
            source: a folder of recordings.
            listed_labels: whether to take the labels of the table in that folder too.
        """
        private_folder(self.folder)
        name = hashlib.sha256(source.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        file = self.folder / f"rated-{name}-{time.time_ns()}.csv"
        return api.save_rated_clips(source.ratings, source.path, file, listed_labels=listed_labels)


def _given(listed: parts.ClipList) -> dict[str, int]:
    """Return the numbers of clips to which a table gives words, a label, or labels of modalities; none without one."""
    clips = listed.clips if listed.table is not None else ()
    counts = Counter(name for clip in clips for name in clip.labels)
    counts |= {"words": sum(bool(clip.text) for clip in clips), CLIP: sum(clip.label is not None for clip in clips)}
    return {name: number for name, number in counts.items() if number}


def _state_of(path: Path) -> object:
    """Return a value that changes when the clips of a source change; for a folder of recordings, also once a minute."""
    try:
        return [(path / name).stat().st_mtime_ns for name in (parts.MANIFEST, parts.TABLE)]
    except OSError:
        folders = [path, *(file for file in path.iterdir() if file.is_dir())]  # a new file changes its folder
        return [folder.stat().st_mtime_ns for folder in folders], time.monotonic() // _FRESH


def has_pictures(path: str) -> bool:
    """Return whether a recording may have pictures, judged by its name."""
    return Path(path).suffix.lower() not in _SOUND_ONLY


def key_labels(label_range: tuple[float, float]) -> list[float]:
    """Return the labels of the number keys: the whole numbers of the scale if these are 5 to 9, else 5 even steps.

    >>> key_labels((-3, 3)), key_labels((0, 100))
    ([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], [0.0, 25.0, 50.0, 75.0, 100.0])
    """
    low, high = label_range
    whole = low == int(low) and high == int(high) and 4 <= high - low <= 8
    steps = int(high - low) if whole else 4
    return [low + (high - low) * step / steps for step in range(steps + 1)]


def usable_ids(source: Source, mode: str) -> set[str]:
    """Return the ids of the clips that have what a mode shows."""
    if mode == "all":
        return set(source.clips.index)
    chosen = source.clips[_NEEDS[mode]].notna()
    if mode == "pictures":
        chosen &= source.clips["path"].map(lambda path: path is not None and has_pictures(path))
    return set(source.clips.index[chosen])


def mode_of(source: Source, target: str, mode: str) -> str:
    """Return the mode for a target: ``mode`` if it is possible, the usual blind mode for ``blind``, else ``all``."""
    modes = source.modes(target)
    if mode in modes:
        return mode
    blind = [known for known in modes if known != "all"]
    filtered = [known for known in blind if known == "filtered sound"]
    chosen = filtered if mode == "filtered" and filtered else blind
    return chosen[0] if chosen and (mode in ("blind", "filtered") or "all" not in modes) else "all"


def clip_row(rating: Rating, source: Source, clip: str) -> tuple[dict[str, Any], Path | None]:
    """Return a clip of a source, and its recording; None if it is not in the folder that is shown.

    Raises:
        NotHereError: if there is no such clip.
    """
    if clip not in source.clips.index:
        raise NotHereError(f"There is no clip {clip[:80]!r} in {source.title}.")
    row: dict[str, Any] = {str(name): value for name, value in source.clips.loc[clip].items()}
    return row, None if row["path"] is None else rating.file(source.path, row["path"])
