"""Tables of clips: which columns there are, and what each row says. See `selfmm.features.clips.listing`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from selfmm.core.errors import SourceError
from selfmm.core.messages import did_you_mean
from selfmm.data.tables.column_names import COLUMNS
from selfmm.features.clips.clip import ClipList, Failure
from selfmm.features.clips.files import Finder
from selfmm.features.clips.overlaps import overlap_notes
from selfmm.features.clips.rows import Row, RowError, read_row

TABLES = (".csv", ".tsv", ".parquet")
_NAMES = {"file": "path", "filename": "path", "file_name": "path", "video_path": "path", **COLUMNS}
_FIND = ("path", "id", "video")  # a recording is found by one of these


def is_clip_table(path: Path) -> bool:
    """Whether a table has a column that names recordings."""
    return not {"path", "id", "clip_id"}.isdisjoint(_columns(path))


def names_recordings(path: Path) -> bool:
    """Whether a table names the file of each clip."""
    return "path" in _columns(path)


def read_clip_table(path: Path, label_column: str | None, require_labels: bool, root: Path) -> ClipList:
    """The clips of a table; for the arguments see `selfmm.features.clips.listing.read_clips`."""
    columns = _columns(path)
    _take_label(path, columns, label_column, require_labels)
    if not any(name in columns for name in _FIND):
        raise SourceError(
            f"{path} has no column path, and none named id or video by which recordings could be found; it has "
            f"{', '.join(map(repr, columns))}. Add a column path with the file of each clip."
        )
    rows = [Row(dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)]
    if not rows:
        raise SourceError(f"{path} has no row. Add one per clip.")
    ids = _ids(path, rows)
    clips, failures, finder = [], [], Finder()
    for one, row in zip(ids, rows, strict=True):
        try:
            clips.append(read_row(one, row, root, finder, require_label=require_labels))
        except RowError as error:
            failures.append(Failure(one, row["path"], str(error)))
    return ClipList(tuple(clips), tuple(failures), tuple(overlap_notes(clips)))


def _columns(path: Path) -> dict[str, list[str]]:
    """Cells as words, by the name that a column has here; of a field's name only where our own is not there."""
    from selfmm.data.tables.cells import read_cells, words

    raw = read_cells(path)
    names = [str(name).strip().lower() for name in raw.columns]
    known = [_NAMES[name] if name in _NAMES and _NAMES[name] not in names else name for name in names]
    twice = sorted(name for name, times in Counter(known).items() if times > 1)
    if twice:
        raise SourceError(f"{path} has more than one column for {', '.join(twice)}. Remove or rename one of each.")
    return {name: list(words(raw.iloc[:, place])) for place, name in enumerate(known)}


def _take_label(path: Path, columns: dict[str, list[str]], wanted: str | None, required: bool) -> None:
    """Puts the chosen column into the place of the label."""
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


def _ids(path: Path, rows: Sequence[Row]) -> list[str]:
    ids = [row.id for row in rows]
    given = Counter(one for one in ids if one)
    twice = [one for one, times in given.items() if times > 1]
    if twice:
        shown = ", ".join(repr(one[:80]) for one in twice[:3])
        raise SourceError(f"{path}: {len(twice)} ids occur more than once: {shown}. Give each clip one of its own.")
    return _made_ids(rows, ids)


def _made_ids(rows: Sequence[Row], ids: list[str]) -> list[str]:
    """Fills in the ids that are not there: the file's name, with a number where several clips are of one file."""
    stems = {row["path"]: Path(row["path"]).stem for row in rows if row["path"]}
    ambiguous = Counter(stems.values())
    of_file = Counter(row["path"] for row, one in zip(rows, ids, strict=True) if not one)
    taken, seen = set(ids), Counter[str]()
    made = []
    for number, (row, one) in enumerate(zip(rows, ids, strict=True), start=1):
        file = row["path"]
        if not one and file:
            one = stems[file] if ambiguous[stems[file]] == 1 else str(Path(file).with_suffix("").as_posix())
            seen[file] += 1
            one = f"{one}_{seen[file]}" if of_file[file] > 1 else one
        if not one or (one in taken and not row.id):
            one = f"row {number}"
        taken.add(one)
        made.append(one)
    return made
