"""List the clips in a recording, a folder or a table.

**A recording** is one clip. **A folder** gives one clip for each recording in it and in its subfolders; the name of the
subfolder is the ``video`` of its clips, such as a speaker or a conversation. A file ``a.srt``, ``a.vtt``, ``a.ass`` or
``a.txt`` next to ``a.mp4`` is its transcript. A folder that holds a table of clips counts as that table.

**A table** is .csv, .tsv or .parquet with one row per clip. Its columns are those of `selfmm.data.tables.reader`, and:

- ``path`` (or ``file``, ``filename``, ``video_path``): the recording; relative to the folder of the table, or to
  ``media_root``. The table is the user's own, so paths may lead anywhere. Without this column, the recording is
  ``<video>/<clip_id>``, ``Raw/<video>/<clip_id>`` (the layout of MMSA-FET), ``<id>`` or ``<video>`` with any suffix.
- ``start`` and ``end``: seconds in the recording; empty: its beginning, its end.
- ``subtitles``: an .srt, .vtt, .ass or .ssa file; relative to the same folder as ``path``.
"""

from __future__ import annotations

from pathlib import Path

from selfmm.core.errors import SourceError
from selfmm.data.other_paths import RECORDINGS
from selfmm.features.clips.clip import ClipList
from selfmm.features.clips.files import clips_of_files, inside
from selfmm.features.clips.tables import TABLES, is_clip_table, names_recordings, read_clip_table


def is_recording(path: Path) -> bool:
    """Return whether a path counts as a recording: a file that is not a table."""
    return path.is_file() and path.suffix.lower() not in TABLES


def holds_recordings(path: Path) -> bool:
    """Return whether a folder holds recordings, or a table names recordings in a column ``path``."""
    if path.is_dir():
        return any(file.suffix.lower() in RECORDINGS for file in inside(path))
    return path.is_file() and path.suffix.lower() in TABLES and names_recordings(path)


def table_of_clips(source: Path) -> Path | None:
    """Return the table that lists the clips of a source: the source itself, or a table in the folder; None without one.

    Raises:
        SourceError: if a folder holds several such tables.
    """
    if not source.is_dir():
        return source if source.suffix.lower() in TABLES and source.is_file() else None
    tables = [file for file in inside(source) if file.suffix.lower() in TABLES and is_clip_table(file)]
    if len(tables) > 1:
        names = ", ".join(file.name for file in tables)
        raise SourceError(f"{source} holds {len(tables)} tables of clips: {names}. Give the path of one of them.")
    return next(iter(tables), None)


def read_clips(
    source: Path, *, label_column: str | None = None, require_labels: bool = False, media_root: Path | None = None
) -> ClipList:
    """Return the clips in a recording, a folder or a table.

    Args:
        source: see above.
        label_column: column of a table that holds the ratings; default: ``label``.
        require_labels: whether a clip without a rating is a failure, and a list without ratings an error.
        media_root: folder from which a table's relative paths start; default: the folder of the table.

    Raises:
        SourceError: if the list as a whole is wrong: no such file, no clip, no such column, repeated ids. Problems of
            single clips are in ``failures``.
    """
    source = Path(source)
    if not source.exists():
        raise SourceError(f"{source} does not exist. Give a recording, a folder of recordings, or a table of clips.")
    table = table_of_clips(source)
    if table is not None:
        return read_clip_table(table, label_column, require_labels, media_root or table.parent)
    if require_labels or label_column is not None:
        raise SourceError(
            f"{source} has no ratings: they must be in a table. Write a .csv with the columns path and label, one row "
            "per clip, and give its path."
        )
    return clips_of_files(source)
