"""What the user points at becomes clips: one recording, a folder of them, or a table.

**A recording** is one clip. **A folder** gives one clip for each recording in it and in its folders, which name what
their clips share (``video``): a speaker, a conversation. Beside ``a.mp4`` a file ``a.srt``, ``a.vtt`` or ``a.txt`` is
what is said in it. A folder with a table of clips counts as that table.

**A table** is .csv, .tsv or .parquet with one row per clip. Its columns are those of `selfmm.data.tables.reader`, where

- ``path`` (or ``file``, ``filename``, ``video_path``) is the recording: absolute, or from the table's folder (or from
  ``media_root``). It is the user's own table, so it may lead anywhere. Without this column the recording is
  ``<video>/<clip_id>``, ``Raw/<video>/<clip_id>`` (the layout of MMSA-FET), ``<id>`` or ``<video>`` with any ending.
- ``start`` and ``end`` are seconds in the recording; empty: its beginning, its end.
- ``subtitles`` is an .srt or .vtt file, found like ``path``.
"""

from __future__ import annotations

from pathlib import Path

from selfmm.core.errors import SourceError
from selfmm.features.clips.clip import ClipList
from selfmm.features.clips.files import RECORDINGS, clips_of_files, inside
from selfmm.features.clips.tables import TABLES, is_clip_table, names_recordings, read_clip_table


def is_recording(path: Path) -> bool:
    """Whether a path is meant for a recording: a file that is no table."""
    return path.is_file() and path.suffix.lower() not in TABLES


def holds_recordings(path: Path) -> bool:
    """Whether a folder holds recordings, or a table has a column ``path`` that names some."""
    if path.is_dir():
        return any(file.suffix.lower() in RECORDINGS for file in inside(path))
    return path.is_file() and path.suffix.lower() in TABLES and names_recordings(path)


def read_clips(
    source: Path,
    *,
    label_column: str | None = None,
    require_labels: bool = False,
    media_root: Path | None = None,
) -> ClipList:
    """The clips that a recording, a folder or a table stands for.

    Args:
        source: see above.
        label_column: of a table, the one that holds the ratings; by default ``label``.
        require_labels: whether a clip without a rating is a failure, and a list without ratings an error.
        media_root: the folder from which a table's relative paths start; by default the table's.

    Raises:
        SourceError: the list as a whole is wrong: no such file, no clip, no such column, ids more than once. What is
            wrong with one clip is in ``failures``.
    """
    source = Path(source)
    if not source.exists():
        raise SourceError(f"{source} does not exist. Give a recording, a folder of recordings, or a table of clips.")
    table = source if source.suffix.lower() in TABLES and source.is_file() else None
    if source.is_dir():
        tables = [file for file in inside(source) if file.suffix.lower() in TABLES and is_clip_table(file)]
        if len(tables) > 1:
            names = ", ".join(file.name for file in tables)
            raise SourceError(f"{source} holds {len(tables)} tables of clips: {names}. Give the path of one of them.")
        table = next(iter(tables), None)
    if table is not None:
        return read_clip_table(table, label_column, require_labels, media_root or table.parent)
    if require_labels or label_column is not None:
        raise SourceError(
            f"{source} brings no ratings: these stand in a table. Write a .csv with the columns path and label, one "
            "row per clip, and give that."
        )
    return clips_of_files(source)
