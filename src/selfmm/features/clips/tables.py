"""Read tables of clips. See `selfmm.features.clips.listing` for their columns."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.core.messages import did_you_mean, repeated_ids
from selfmm.data.tables.cells import COLUMNS, rating_cell, read_cells, refuse_label_studio, words
from selfmm.features.clips.clip import Clip, ClipList, Failure
from selfmm.features.clips.files import Finder
from selfmm.features.clips.rows import Row, RowError, find_recording, rating_of, read_row

_NAMES = {"file": "path", "filename": "path", "file_name": "path", "video_path": "path", **COLUMNS}
_OURS = ("score", "score_", "made_", "outcome_", "u_label_", "m_label")  # beginnings of the columns of our results
_FAILURES = ["id", "path", "reason"]
_OF_CLIPS = {"path", "label", "text", "start", "end", "split", "clip_id", "subtitles"}
_FIND = ("path", "id", "video")  # any of these columns can name the recording
_MEANT = {*_FIND, "clip_id", "split", "text", "subtitles", "start", "end"}
_SHOWN = 3
_TOUCH = 1e-3  # seconds; clips that share no more than this do not overlap


def is_clip_table(path: Path) -> bool:
    """Return whether a table has a column that names recordings."""
    return not {"path", "id", "clip_id"}.isdisjoint(_columns(path))


def why_not_of(folder: Path, path: Path, finder: Finder) -> str:
    """Return why a table in a folder of recordings is not the list of its clips; empty if it is."""
    try:
        columns = _columns(path)
        rows = _rows(columns)
        ids = _ids(path, rows)
    except (SourceError, MissingPackageError) as error:
        return str(error)
    if list(columns) == _FAILURES:
        return "it lists the clips that could not be extracted"
    if results := [name for name in columns if name.startswith(_OURS)]:
        return f"its column {results[0]} holds results of selfmm"
    if _OF_CLIPS.isdisjoint(columns) and not any(name.startswith("label_") for name in columns):
        return "it has no column path, label, text or start"
    if not any(_finds(clip_id, row, folder, finder) for clip_id, row in zip(ids, rows, strict=True)):
        return "no row of it names a recording in the folder"
    return ""


def _finds(clip_id: str, row: Row, folder: Path, finder: Finder) -> bool:
    try:
        return bool(find_recording(clip_id, row, folder, finder))
    except RowError:
        return False


def names_recordings(path: Path) -> bool:
    """Return whether a table names the file of each clip."""
    return "path" in _columns(path)


def read_clip_table(path: Path, label_column: str | None, require_labels: bool, root: Path, finder: Finder) -> ClipList:
    """Return the clips of a table. See `selfmm.features.clips.listing.read_clips` for the arguments."""
    columns = _columns(path)
    refuse_label_studio(columns, path)
    _take_label(path, columns, label_column, require_labels)
    if not any(name in columns for name in _FIND):
        raise SourceError(
            f"{path} has no column path, and none named id or video by which recordings could be found; it has "
            f"{', '.join(map(repr, columns))}. Add a column path with the file of each clip."
        )
    rows = _rows(columns)
    if not rows:
        raise SourceError(f"{path} has no rows. Add one row per clip.")
    ids = _ids(path, rows)
    clips, failures = [], []
    for clip_id, row in zip(ids, rows, strict=True):
        try:
            clips.append(read_row(clip_id, row, root, finder, require_label=require_labels))
        except RowError as error:
            failures.append(Failure(clip_id, row["path"], str(error)))
    ratings = tuple(rating for rating in map(rating_of, rows) if rating is not None)
    unread = () if "label" in columns else tuple(name for name in columns if _may_be_ratings(name, columns[name]))
    return ClipList(tuple(clips), tuple(failures), tuple(overlap_notes(clips)), ratings, unread)


def _rows(columns: dict[str, list[str]]) -> list[Row]:
    return [Row(dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)]


def _columns(path: Path) -> dict[str, list[str]]:
    """Return the cells as text, by selfmm's name of the column. Another name counts only if selfmm's is missing."""
    raw = read_cells(path)
    names = [str(name).strip().lower() for name in raw.columns]
    known = [_NAMES[name] if name in _NAMES and _NAMES[name] not in names else name for name in names]
    twice = sorted(name for name, times in Counter(known).items() if times > 1)
    if twice:
        raise SourceError(f"{path} has more than one column for {', '.join(twice)}. Remove or rename one of each.")
    return {name: list(words(raw.iloc[:, place])) for place, name in enumerate(known)}


def _take_label(path: Path, columns: dict[str, list[str]], wanted: str | None, required: bool) -> None:
    """Use the chosen column as the label."""
    name = "label" if wanted is None else wanted.strip().lower()
    name = _NAMES.get(name, name) if name not in columns else name
    if name in columns:
        columns["label"] = columns[name]
    elif required or wanted is not None:
        near = did_you_mean(name, list(columns))
        raise SourceError(
            f"{path} has no column {wanted or 'label'!r}{near if near.endswith('?') else '.'} It has "
            f"{', '.join(map(repr, columns))}. Name the one that holds the ratings with `label_column=...`."
        )


def _may_be_ratings(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column has numbers and no meaning here."""
    if name in _MEANT or name.startswith("label_"):
        return False
    try:
        return bool([float(cell) for cell in map(rating_cell, cells) if cell])
    except ValueError:
        return False


def _ids(path: Path, rows: Sequence[Row]) -> list[str]:
    """Return the ids. A missing id becomes the name of the file, with a number if it holds several clips."""
    ids = [row.id for row in rows]
    repeated = [clip_id for clip_id, times in Counter(filter(None, ids)).items() if times > 1]
    if repeated:
        raise SourceError(f"{path}: {repeated_ids(repeated)}. Give each clip a different id.")
    stems = {row["path"]: Path(row["path"]).stem for row in rows if row["path"]}
    ambiguous = Counter(stems.values())
    of_file = Counter(row["path"] for row, clip_id in zip(rows, ids, strict=True) if not clip_id)
    taken, seen = set(ids), Counter[str]()
    complete = []
    for number, (row, clip_id) in enumerate(zip(rows, ids, strict=True), start=1):
        file = row["path"]
        if not clip_id and file:
            clip_id = stems[file] if ambiguous[stems[file]] == 1 else str(Path(file).with_suffix("").as_posix())
            seen[file] += 1
            clip_id = f"{clip_id}_{seen[file]}" if of_file[file] > 1 else clip_id
        if not clip_id or (clip_id in taken and not row.id):
            clip_id = f"row {number}"
        taken.add(clip_id)
        complete.append(clip_id)
    return complete


def overlap_notes(clips: Sequence[Clip]) -> list[str]:
    """Return notes on clips that overlap in one recording, and on those that are in different splits."""
    pairs = list(_overlapping(clips))
    across = [(first, second) for first, second in pairs if first.split != second.split]
    notes = []
    if pairs:
        notes.append(
            f"clips of one recording overlap in time: {_named(pairs)}. Check their times if this is not intended."
        )
    if across:
        notes.append(
            f"clips that overlap are in different splits: {_named(across)}. The model is then tested on what it was "
            "trained on, and results look better than they are. Put all clips of one recording into one split."
        )
    return notes


def _overlapping(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Clip]]:
    """Yield each clip with the earlier clip of each split that overlaps it most."""
    by_file: dict[str, list[tuple[float, float, Clip]]] = defaultdict(list)
    for clip in clips:
        end = math.inf if clip.end is None else clip.end
        by_file[str(clip.path.resolve())].append((clip.start or 0.0, end, clip))
    for spans in by_file.values():
        farthest: dict[str | None, tuple[float, Clip]] = {}
        for start, end, clip in sorted(spans, key=lambda span: span[0]):
            yield from ((earlier, clip) for until, earlier in farthest.values() if until > start + _TOUCH)
            if clip.split not in farthest or end > farthest[clip.split][0]:
                farthest[clip.split] = (end, clip)


def _named(pairs: Sequence[tuple[Clip, Clip]]) -> str:
    shown = ", ".join(f"{_name(first)} and {_name(second)}" for first, second in pairs[:_SHOWN])
    return shown if len(pairs) <= _SHOWN else f"{shown}, and {len(pairs) - _SHOWN} more pairs"


def _name(clip: Clip) -> str:
    return f"{clip.id!r} ({clip.split})" if clip.split else repr(clip.id)
