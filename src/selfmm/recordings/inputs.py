"""Find the recordings and clips in the inputs that a user wants to score."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.core.errors import ArgumentsError, SourceError
from selfmm.data.manifest import MANIFEST
from selfmm.data.other_paths import TABLES
from selfmm.features.clips.clip import Clip, ClipList, Failure
from selfmm.features.clips.files import Finder, inside
from selfmm.features.clips.listing import holds_recordings, is_recording, read_clips

if TYPE_CHECKING:
    from selfmm.config.recipe import Recipe


def find_recordings(inputs: Sequence[Path | Clip], recipe: Recipe | None) -> ClipList | None:
    """Return the clips in the inputs, or None if the inputs are not recordings.

    Args:
        inputs: recordings, folders or tables of them, or clips. A .txt, .srt or .vtt file next to a recording holds its
            words.
        recipe: recipe of the run. If it is None, a table with a column ``path`` is a table of features.

    Raises:
        SettingsError: if there are several inputs and they are not recordings.
        SourceError: if only some inputs are recordings, or if the only input cannot be read.
    """
    recordings = [_are_recordings(item, recipe) for item in inputs]
    if not any(recordings):
        if len(inputs) > 1:
            raise ArgumentsError(["several inputs must be recordings; give one data set or table at a time"])
        return None
    for item, are_recordings in zip(inputs, recordings, strict=True):
        if not are_recordings and isinstance(item, Path) and item.exists():
            raise SourceError(f"{item} is not a recording, but other inputs are. Give one kind at a time.")
    clips: list[Clip] = []
    failures: list[Failure] = []
    notes: list[str] = []
    finder = Finder()
    for item in inputs:
        if isinstance(item, Clip):
            clips.append(item if item.id else replace(item, id=item.path.stem))
            continue
        try:
            listed = read_clips(item, finder=finder)
        except SourceError as error:
            if len(inputs) == 1:
                raise
            failures.append(Failure(item.stem, str(item), str(error)))
            continue
        clips += listed.clips
        failures += listed.failures
        notes += listed.notes
    counts = Counter(clip.id for clip in clips)
    # Recordings with the same name in several folders get their paths as ids.
    distinct = (clip if counts[clip.id] == 1 else replace(clip, id=str(clip.path)) for clip in clips)
    return ClipList(tuple(distinct), tuple(failures), (*notes, *finder.notes))


def named_inputs(data: Sequence[str | Path | Clip]) -> list[Path | Clip]:
    """Return the list with each file name as a path.

    Raises:
        SourceError: if it is not a list, is empty, holds something else, or holds only strings that are not existing
            files.
    """
    if not isinstance(data, Iterable) or hasattr(data, "columns"):
        raise SourceError(
            f"cannot score {type(data).__name__}: give a data set, its folder or a table file; one recording or a list "
            "of them; or sentences as `text=...`."
        )
    data = list(data)
    if not data:
        raise SourceError("there is nothing to score: the list is empty.")
    for item in data:
        if not isinstance(item, str | Path | Clip):
            raise SourceError(f"a list to score holds file names, paths or clips, but this one holds {item!r:.80}.")
    if all(isinstance(item, str) and not exists(item) for item in data):
        raise SourceError(
            f"{data[0]!r:.80} is not a file. A list is read as recordings; to score sentences, use: "
            "model.predict(text=[...])"
        )
    return [Path(item) if isinstance(item, str) else item for item in data]


def exists(name: str | Path) -> bool:
    """Return whether a file or folder exists; False also for a name that no file can have."""
    return os.path.exists(name)  # noqa: PTH110  Path.exists raises OSError for a sentence of 256 letters


def _are_recordings(item: Path | Clip, recipe: Recipe | None) -> bool:
    if isinstance(item, Clip) or is_recording(item):
        return True
    if item.is_dir() and recipe is not None and not _holds_features(item):
        return True  # its subfolders may hold recordings; if not, reading it says so
    return holds_recordings(item) and (recipe is not None or item.is_dir()) and not (item / MANIFEST).is_file()


def _holds_features(folder: Path) -> bool:
    """Return whether a folder may be a data set, or a table with features next to it."""
    return (folder / MANIFEST).is_file() or any(file.suffix.lower() in TABLES for file in inside(folder))
