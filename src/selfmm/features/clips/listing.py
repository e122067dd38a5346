"""List the clips in a recording, a folder or a table.

**A recording** is one clip. **A folder** gives one clip for each recording in it and in its subfolders; the name of the
subfolder is the ``video`` of its clips, such as a speaker or a conversation. A file ``a.srt``, ``a.vtt``, ``a.ass`` or
``a.txt`` next to ``a.mp4`` is its transcript, see `selfmm.features.clips.files.Finder.transcript_of`. A folder that
holds a table of clips counts as that table. Other tables, such as the output of ``selfmm predict``, do not count: see
`selfmm.features.clips.tables.why_not_of`.

**A table** is .csv, .tsv, .xlsx or .parquet with one row per clip. Its columns are those of
`selfmm.data.tables.reader`, and:

- ``path`` (or ``file``, ``filename``, ``video_path``): the recording; relative to the folder of the table, or to
  ``media_root``. The table is the user's own, so paths may lead anywhere. Without this column, the recording is
  ``<video>/<clip_id>``, ``Raw/<video>/<clip_id>`` (the layout of MMSA-FET), ``<id>`` or ``<video>`` with any suffix.
- ``start`` and ``end``: seconds in the recording; empty: its beginning, its end.
- ``subtitles``: an .srt, .vtt, .ass or .ssa file; relative to the same folder as ``path``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from selfmm.core.errors import SourceError
from selfmm.core.messages import count, some
from selfmm.data.other_paths import OTHER_TABLES, TABLES
from selfmm.data.tables.cells import refuse_other
from selfmm.features.clips.clip import ClipList
from selfmm.features.clips.files import Finder, clips_of_files, inside, recordings_in
from selfmm.features.clips.tables import is_clip_table, names_recordings, read_clip_table, why_not_of


def is_recording(path: Path) -> bool:
    """Return whether a path counts as a recording: a file that is not a table."""
    return path.is_file() and path.suffix.lower() not in (*TABLES, *OTHER_TABLES)


def holds_recordings(path: Path) -> bool:
    """Return whether a folder holds recordings, or a table names recordings in a column ``path``.

    Recordings in subfolders do not count if there are features (.npz) in the folder itself.
    """
    if path.is_dir():
        subfolders = not any(file.suffix.lower() == ".npz" for file in inside(path))
        return any(subfolders or not video for _, video in recordings_in(path))
    return path.is_file() and path.suffix.lower() in TABLES and names_recordings(path)


def read_clips(
    source: Path,
    *,
    label_column: str | None = None,
    require_labels: bool = False,
    media_root: Path | None = None,
    finder: Finder | None = None,
) -> ClipList:
    """Return the clips in a recording, a folder or a table.

    Args:
        source: see above.
        label_column: column of a table that holds the ratings; default: ``label``.
        require_labels: whether a clip without a rating is a failure, and a list without ratings an error.
        media_root: folder from which a table's relative paths start; default: the folder of the table.
        finder: gets what was found next to recordings; without it, ``notes`` of the list say that.

    Raises:
        SourceError: if the list as a whole is wrong: no such file, no clip, no such column, repeated ids. Problems of
            single clips are in ``failures``.
    """
    source = Path(source)
    if not source.exists():
        raise SourceError(f"{source} does not exist. Give a recording, a folder of recordings, or a table of clips.")
    refuse_other(source)
    if finder is None:
        finder = Finder()
        options = {"label_column": label_column, "require_labels": require_labels, "media_root": media_root}
        listed = read_clips(source, **options, finder=finder)  # type: ignore[arg-type]
        return replace(listed, notes=(*listed.notes, *finder.notes))
    notes: list[str] = []
    table = source if source.is_file() and source.suffix.lower() in TABLES else None
    if source.is_dir():
        table, notes = _table_in(source, media_root or source, finder)
    if table is not None:
        listed = read_clip_table(table, label_column, require_labels, media_root or table.parent, finder)
        if source.is_dir():
            notes += _not_listed(source, table, listed)
        return replace(listed, notes=(*listed.notes, *notes), table=table)
    if require_labels or label_column is not None:
        raise SourceError(
            f"{source} has no ratings: they must be in a table. Write a .csv with the columns path and label, one row "
            f"per clip, and give its path.{''.join(f' Also, {note}' for note in notes)}"
        )
    listed = clips_of_files(source, finder)
    return replace(listed, notes=(*listed.notes, *notes))


def _table_in(folder: Path, root: Path, finder: Finder) -> tuple[Path | None, list[str]]:
    """Return the table of the clips in a folder, if there is one, and notes on other tables.

    In a folder of recordings, a table must list some of them.
    """
    files = [file for file in inside(folder) if file.suffix.lower() in TABLES and file.is_file()]
    if any(recordings_in(folder)):
        reasons = {file: why_not_of(root, file, finder) for file in files}
    else:
        reasons = {file: "" if is_clip_table(file) else "it names no recordings" for file in files}
    tables = [file for file, reason in reasons.items() if not reason]
    if len(tables) > 1:
        names = ", ".join(file.name for file in tables)
        raise SourceError(f"{folder} holds {len(tables)} tables of clips: {names}. Give the path of one of them.")
    notes = [f"{file.name} was not read: {reason.rstrip('.')}." for file, reason in reasons.items() if reason]
    return next(iter(tables), None), notes


def _not_listed(folder: Path, table: Path, listed: ClipList) -> list[str]:
    """Return a note on the recordings in a folder that its table does not name."""
    named = {clip.path.resolve() for clip in listed.clips} | {
        (folder / failure.path).resolve() for failure in listed.failures if failure.path
    }
    others = [file.name for file, _ in recordings_in(folder) if file.resolve() not in named]
    if not others:
        return []
    return [
        f"{table.name} lists the clips of {folder}; {count(len(others), 'recording')} not in it left out: "
        f"{some(others)}."
    ]
