"""Find recordings in folders, and the transcripts next to them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from selfmm.core.encodings import read_text
from selfmm.core.errors import SourceError
from selfmm.core.messages import count, some
from selfmm.data.other_paths import RECORDINGS
from selfmm.data.tables.cells import SEPARATOR
from selfmm.features.clips.clip import Clip, ClipList, Failure
from selfmm.features.words.subtitles import SUFFIXES

_BESIDES = {".txt", ".md", ".csv", ".tsv", ".xlsx", ".parquet", ".json", ".log", *SUFFIXES}


class Finder:
    """Finds recordings by their names without suffix. Each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """Return the recording ``name`` with any suffix: the alphabetically first one, or None."""
        if folder not in self._folders:
            try:
                files = sorted(file for file in folder.iterdir() if file.suffix.lower() in RECORDINGS)
            except OSError:
                files = []
            self._folders[folder] = {file.stem: file for file in reversed(files)}
        return self._folders[folder].get(name)


def inside(folder: Path) -> list[Path]:
    """Return the contents of a folder without hidden files, with clip_9 before clip_10.

    Raises:
        SourceError: if the folder cannot be read.
    """
    try:
        visible = [file for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError as error:
        raise SourceError(f"cannot read {folder}: {error.strerror}. Check its permissions.") from error
    return sorted(visible, key=lambda file: (_natural(file.name), file.name))


def transcript_of(recording: Path) -> tuple[str | None, Path | None]:
    """Return the content of the .txt file and the path of the .srt, .vtt, .ass or .ssa file next to a recording.

    Raises:
        SourceError: if the .txt file cannot be read, or is not Unicode.
    """
    text, subtitles = recording.with_suffix(".txt"), [recording.with_suffix(suffix) for suffix in SUFFIXES]
    words = read_text(text).strip() if text.is_file() else ""
    return words or None, next((file for file in subtitles if file.is_file()), None)


def clips_of_files(source: Path) -> ClipList:
    """Return one clip for each recording: ``source`` itself, or those in the folder and in its subfolders.

    Raises:
        SourceError: if a folder holds no recording.
    """
    listed = list(_files(source)) if source.is_dir() else []
    files = [(file, video) for file, video in listed if _is_recording(file)] if source.is_dir() else [(source, "")]
    if not files:
        raise SourceError(
            f"{source} holds no recording (mp4, mov, mkv, webm, wav, mp3 and others) and no table of clips. Give a "
            "folder that holds recordings, or subfolders with recordings; deeper subfolders are not searched."
        )
    names = [f"{video}{SEPARATOR}{file.stem}" if video else file.stem for file, video in files]
    counts = Counter(names)
    clips, failures = [], []
    for (file, video), name in zip(files, names, strict=True):
        clip_id = name if counts[name] == 1 else f"{name}{file.suffix}"
        try:
            text, subtitles = transcript_of(file)
        except SourceError as error:
            failures.append(Failure(clip_id, str(file), str(error)))
            continue
        clips.append(Clip(file, clip_id, text=text, subtitles=subtitles, video=video))
    others = [str(file.relative_to(source)) for file, _ in listed if _is_other(file)]
    unread = f"{count(len(others), 'file')} left out, of no kind that is read as a recording: {some(others)}."
    return ClipList(tuple(clips), tuple(failures), (unread,) if others else ())


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files in a folder and its subfolders, each with the name of its subfolder or an empty string."""
    for file in inside(folder):
        if file.is_dir():
            yield from ((recording, file.name) for recording in inside(file))
        else:
            yield file, ""


def _is_other(file: Path) -> bool:
    """Return whether a file is neither a recording nor what may lie next to one: a transcript or a table."""
    return file.suffix.lower() not in RECORDINGS | _BESIDES and file.is_file()


def _is_recording(file: Path) -> bool:
    return file.suffix.lower() in RECORDINGS and file.is_file()


def _natural(name: str) -> list[tuple[int, str]]:
    parts = [part for part in re.split(r"([0-9]+)", name.casefold()) if part]
    return [(int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts]
