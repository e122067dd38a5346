"""Find recordings in folders, and the transcripts next to them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from selfmm.core.errors import SourceError
from selfmm.core.files import is_stray
from selfmm.core.languages import is_language
from selfmm.core.messages import count, some
from selfmm.data.other_paths import RECORDINGS
from selfmm.data.tables.cells import SEPARATOR
from selfmm.features.clips.clip import Clip, ClipList, Failure
from selfmm.features.words.plain import read_words
from selfmm.features.words.subtitles import SUFFIXES

_BESIDES = {".txt", ".md", ".csv", ".tsv", ".xlsx", ".parquet", ".json", ".log", *SUFFIXES}


TRANSCRIPTS = (*SUFFIXES, ".txt")
"""Suffixes of transcripts. If a recording has several next to it, the first in this order counts."""

_KINDS = {"sdh", "cc", "auto", "asr", "default", "orig"}  # of subtitles, in the names of their files
_FORCED = "forced"  # only what is said in another language than the rest


class _Folder:
    """The recordings in a folder by their names without suffix, and the transcripts of each."""

    def __init__(self, folder: Path) -> None:
        try:
            files = sorted(file for file in folder.iterdir() if not is_stray(file.name))
        except OSError:
            files = []
        recordings = [file for file in files if file.suffix.lower() in RECORDINGS]
        self.recordings = {file.stem: file for file in reversed(recordings)}
        names: dict[str, list[Path]] = {}  # recordings by what a transcript of theirs may be called
        folded: dict[str, list[Path]] = {}  # the same in lower case
        for file in recordings:
            for name in (file.stem, file.name):
                names.setdefault(name, []).append(file)
                folded.setdefault(name.casefold(), []).append(file)
        self._transcripts: dict[Path, list[tuple[Path, list[str]]]] = {}
        for file in files:
            if file.suffix.lower() in TRANSCRIPTS:
                for recording, tags in _owners(file.stem, names, folded):
                    self._transcripts.setdefault(recording, []).append((file, tags))

    def transcripts_of(self, recording: Path) -> list[tuple[Path, list[str]]]:
        """Return the transcripts of a recording, each with the tags in its name, such as a language."""
        if recording.suffix.lower() in RECORDINGS:
            return self._transcripts.get(recording, [])
        return [(file, []) for suffix in TRANSCRIPTS if (file := recording.with_suffix(suffix)).is_file()]


def _owners(
    name: str, names: Mapping[str, Sequence[Path]], folded: Mapping[str, Sequence[Path]]
) -> Iterator[tuple[Path, list[str]]]:
    """Yield the recordings to which a transcript of this name belongs, with the tags between the names."""
    tags: list[str] = []
    while name:
        if owners := names.get(name) or folded.get(name.casefold()):
            yield from ((owner, tags) for owner in owners)
            return
        name, _, tag = name.rpartition(".")
        if not (tag.lower() in (*_KINDS, _FORCED) or is_language(tag)):
            return
        tags = [tag.lower(), *tags]


class Finder:
    """Finds recordings by their names, and the transcripts next to recordings. Each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, _Folder] = {}
        self._used: dict[Path, Path] = {}  # by recording
        self._left_out: dict[Path, None] = {}
        self._not_said: dict[str, None] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """Return the recording ``name`` with any suffix: the alphabetically first one, or None."""
        return self._folder(folder).recordings.get(name)

    def transcript_of(self, recording: Path, *, timed: bool = False) -> tuple[str | None, Path | None]:
        """Return the words in the .txt file, or the path of the subtitles, next to a recording; None for the other.

        Next to ``talk.mp4``, these are ``talk.srt``, ``TALK.SRT``, ``talk.mp4.srt`` or ``talk.en.srt``. A name without
        a language comes first, then the order of `TRANSCRIPTS` counts.

        Args:
            recording: its path.
            timed: only consider files with times.

        Raises:
            SourceError: if there are several languages, or a .txt file cannot be read or is not Unicode.
        """
        files = self._folder(recording.parent).transcripts_of(recording)
        files = [(file, tags) for file, tags in files if not (timed and file.suffix.lower() == ".txt")]
        ranked = sorted(
            (bool(tags), TRANSCRIPTS.index(file.suffix.lower()), "orig" not in str(tags), len(tags), file.name, file)
            for file, tags in files
            if _FORCED not in tags
        )
        if not ranked:
            return None, None
        if ranked[0][0]:
            _check_language(recording, files)
        chosen = ranked[0][-1]
        self._used[recording] = chosen
        self._left_out |= {file: None for file, _ in files if file != chosen}
        if chosen.suffix.lower() != ".txt":
            return None, chosen
        words, parts = read_words(chosen)
        self._not_said |= dict.fromkeys(parts)
        return words or None, None

    @property
    def notes(self) -> list[str]:
        """What was found next to recordings, and what of it nobody says, in a sentence each."""
        if not self._used:
            return []
        names = some(list(dict.fromkeys(file.name for file in self._used.values())))
        rest = f"; not used: {some([file.name for file in self._left_out])}" if self._left_out else ""
        notes = [f"the words of {count(len(self._used), 'recording')} come from files next to them: {names}{rest}."]
        if self._not_said:
            notes.append(f"text files hold what nobody says, which was left out: {some(list(self._not_said))}.")
        return notes

    def _folder(self, folder: Path) -> _Folder:
        if folder not in self._folders:
            self._folders[folder] = _Folder(folder)
        return self._folders[folder]


def _check_language(recording: Path, files: Sequence[tuple[Path, list[str]]]) -> None:
    """Raise ``SourceError`` if transcripts are in several languages, and none is marked as the original."""
    languages = {tag.replace("_", "-").partition("-")[0] for _, tags in files for tag in tags[:1] if is_language(tag)}
    if len(languages) > 1 and not any("orig" in tag for _, tags in files for tag in tags):
        raise SourceError(
            f"{recording.name} has transcripts in several languages next to it: "
            f"{some([file.name for file, _ in files])}. Keep the one in the language that is spoken, or name it "
            f"{recording.stem}.srt."
        )


def inside(folder: Path) -> list[Path]:
    """Return the contents of a folder without hidden and stray files, with clip_9 before clip_10.

    Raises:
        SourceError: if the folder cannot be read.
    """
    try:
        visible = [file for file in folder.iterdir() if not is_stray(file.name)]
    except OSError as error:
        raise SourceError(f"cannot read {folder}: {error.strerror}. Check its permissions.") from error
    return sorted(visible, key=lambda file: (_natural(file.name), file.name))


def clips_of_files(source: Path, finder: Finder) -> ClipList:
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
            text, subtitles = finder.transcript_of(file)
        except SourceError as error:
            failures.append(Failure(clip_id, str(file), str(error)))
            continue
        clips.append(Clip(file, clip_id, text=text, subtitles=subtitles, video=video))
    others = [str(file.relative_to(source)) for file, _ in listed if _is_other(file)]
    unread = f"{count(len(others), 'file')} left out, of no kind that is read as a recording: {some(others)}."
    return ClipList(tuple(clips), tuple(failures), (unread,) if others else ())


def recordings_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the recordings in a folder and its subfolders, each with the name of its subfolder or an empty string."""
    return ((file, video) for file, video in _files(folder) if _is_recording(file))


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
