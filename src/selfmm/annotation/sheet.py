"""Annotation in a spreadsheet: one row per clip, and one empty column ``label_<modality>`` per modality."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from selfmm.annotation.acts import CLIP as WHOLE
from selfmm.annotation.label_studio import CLIP
from selfmm.annotation.ratings import PREFIX, Ratings, rater_name
from selfmm.core.errors import SourceError
from selfmm.core.files import atomic_file, write_json, write_table
from selfmm.core.messages import clips as clips_of
from selfmm.core.messages import some
from selfmm.data.manifest import TEXT
from selfmm.data.tables.cells import (
    COLUMNS,
    OF_LABEL_STUDIO,
    SEPARATOR,
    as_text,
    from_text,
    rating_cell,
    read_cells,
    refuse_generated,
    words,
)

_OURS = {"id", "modality", "label", "video", "clip_id", CLIP, TEXT, *OF_LABEL_STUDIO}
_RATER = {"rater", "annotator", "coder", "worker", "rater_id", "annotator_id", "worker_id", "workerid", "completed_by"}


def write_sheet(path: Path, clips: pd.DataFrame, modalities: Sequence[str]) -> None:
    """Write clips from `clips_to_annotate` as .csv, .xlsx or .parquet, depending on the suffix."""
    empty = {f"{PREFIX}{name}": pd.Series([float("nan")] * len(clips), dtype="float64") for name in modalities}
    table = clips.drop(columns="spread").assign(**empty)
    _write(path, table)


def write_rating_sheet(path: Path, ratings: pd.DataFrame) -> None:
    """Write ratings, a row per clip and rater, as .csv, .parquet, .xlsx or .json, depending on the suffix.

    The columns are ``id``, ``rater``, ``label`` (of the whole clip) and ``label_<modality>``, as far as there are such
    ratings; then ``mode`` and ``mode_<modality>``, what the rater could see or hear. The .json has Label Studio's form
    JSON-MIN. An import reads all of them, without the modes.

    Args:
        path: the file.
        ratings: ``id``, ``modality`` (``clip`` for the whole clip), ``rater``, ``label`` and ``mode``; at most one row
            per clip, target and rater.

    Raises:
        SourceError: if there are no ratings.
        OutputError: if the file cannot be written.
    """
    if ratings.empty:
        raise SourceError("nobody has rated a clip yet. Rate some clips first.")
    ends = ratings["modality"].map(lambda name: "" if name == WHOLE else f"_{name}")
    wide = pd.concat(
        [
            ratings.assign(column=kind + ends).pivot(index=["id", "rater"], columns="column", values=kind)
            for kind in ("label", "mode")
        ],
        axis=1,
    )
    order = ratings[["id", "rater"]].drop_duplicates()
    table = wide.reindex(pd.MultiIndex.from_frame(order)).rename_axis(columns=None).reset_index()
    if path.suffix == ".json":
        rows = table.rename(columns={"id": CLIP, "rater": "annotator"}).to_dict("records")
        write_json(path, [{name: value for name, value in row.items() if pd.notna(value)} for row in rows])
    else:
        _write(path, table)


def _write(path: Path, table: pd.DataFrame) -> None:
    """Write a sheet that an import reads back as it is, atomically."""
    if path.suffix == ".csv":
        with atomic_file(path) as temporary:
            # Without the mark of utf-8-sig, Excel garbles characters outside ASCII.
            table.map(as_text).to_csv(temporary, index=False, encoding="utf-8-sig")
        return
    if path.suffix == ".xlsx":  # every word is text there; only one that looks marked must come back as it is
        table = table.map(lambda cell: as_text(cell) if isinstance(cell, str) and cell.startswith("'") else cell)
    write_table(path, table)


def read_sheet(path: Path, known: Collection[str]) -> Ratings:
    """Read the ratings of a .csv, .tsv, .xlsx or .parquet.

    A row is a clip as one person rated it: ``id`` and ``label_<modality>`` (or MMSA's ``video_id``, ``clip_id`` and
    ``label_T``, ``label_A``, ``label_V``), and ``rater`` or ``annotator`` if there are several people. Or a row is one
    rating: ``id``, ``modality``, ``label``, and ``rater``. In a CSV of Label Studio, ``clip`` is the id. Other columns
    are ignored.

    Args:
        path: the file.
        known: ids of the clips of the data set. They tell which column holds the ids if there are several.

    Raises:
        SourceError: if the file cannot be read as a table with ids and labels, or its ids could mean two things.
    """
    cells = _named(read_cells(path), path)
    refuse_generated(cells, path)
    in_text = path.suffix.lower() != ".parquet"
    if in_text:
        for name in {"id", CLIP, "video", TEXT} & set(cells):
            cells[name] = words(cells[name]).map(from_text)
    ids = _ids(cells, path, known)
    raters = words(cells["rater"]).map(from_text).map(rater_name) if "rater" in cells else pd.Series([""] * len(ids))
    rated = [name for name in map(str, cells) if name.startswith(PREFIX)]
    ratings = Ratings()
    if rated:
        columns = [(pd.Series([name.removeprefix(PREFIX)] * len(ids)), words(cells[name])) for name in rated]
        key = pd.DataFrame({"id": ids, "rater": raters})
    else:
        columns = [(words(cells["modality"]).str.strip(), words(cells["label"]))]
        key = pd.DataFrame({"id": ids, "rater": raters, "modality": columns[0][0]})
    turns = _turns(key, ratings)
    for modalities, column in columns:
        values = column.map(rating_cell)
        rows = zip(ids, modalities, values, raters, turns, strict=True)
        for clip, modality, value, rater, turn in rows:
            ratings.add(clip, modality, value or None, rater, turn)
    ratings.texts = list(zip(ids, words(cells[TEXT]), strict=True)) if TEXT in cells else []
    return ratings


def _named(cells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the cells under our names of columns; raise ``SourceError`` if what is needed is missing."""
    names = [_our_name(str(column).strip()) for column in cells.columns]
    labels = any(name.startswith(PREFIX) for name in names) or {"modality", "label"} <= set(names)
    of_label_studio = CLIP in names and not OF_LABEL_STUDIO.isdisjoint(names)
    ids = "id" in names or {"video", "clip_id"} <= set(names) or of_label_studio
    if len(set(names)) < len(names) or not ids or not labels:
        raise SourceError(
            f"{path} should have a column id and columns {PREFIX}<modality> (or columns id, modality and label), each "
            f"once, and a column rater if several people rated; it has {some(names)}. "
            "The names are in the first row."
        )
    return cells.set_axis(names, axis=1)


def _our_name(name: str) -> str:
    lower = name.lower()
    if lower in _RATER:
        return "rater"
    ours = COLUMNS.get(lower, lower)
    # Names of modalities have no capitals.
    return ours if ours in _OURS or lower.startswith(PREFIX) else name


def _ids(cells: pd.DataFrame, path: Path, known: Collection[str]) -> pd.Series:
    """Return the id of the clip of each row; raise ``SourceError`` if two columns name different clips."""
    columns = {name: words(cells[name]).str.strip() for name in ("id", CLIP) if name in cells}
    if {"video", "clip_id"} <= set(cells):
        columns["video and clip_id"] = words(cells["video"]) + SEPARATOR + words(cells["clip_id"])
    if mark := sorted(OF_LABEL_STUDIO & set(cells)):
        columns.pop("id", None)
        if not columns:
            raise SourceError(
                f"{path} comes from Label Studio (it has a column {mark[0]}), where id is the number of a task, and "
                f"it has no column {CLIP} with the ids of clips. Add it; or, if id does hold them, remove {mark[0]}."
            )
    first = next(iter(columns))
    naming = [name for name, ids in columns.items() if not set(ids).isdisjoint(known)] or [first]
    differing = [name for name in naming[1:] if not columns[name].equals(columns[naming[0]])]
    if differing:
        raise SourceError(
            f"{path}: the columns {naming[0]} and {differing[0]} name different clips of the data set, so a rating "
            "could go to the wrong one. Remove the column that does not hold the ids of the clips."
        )
    return columns[naming[0]]


def _turns(key: pd.DataFrame, ratings: Ratings) -> pd.Series:
    """Return the number of each row among the rows with its key; add a problem or note if raters repeat or lack names.

    Args:
        key: ``id``, ``rater``, and ``modality`` if a row is one rating.
    """
    turns = key.groupby(list(key)).cumcount() + 1
    again = (turns > 1) & (key["id"] != "")
    named = key[again & (key["rater"] != "")]
    if len(named):
        repeated = [f"{row.id} ({row.rater})" for row in named.drop_duplicates(["id", "rater"]).itertuples()]
        ratings.problems.append(f"raters have more than one row for a clip: {some(repeated)}. Keep one row each.")
    unnamed = key["id"][again & (key["rater"] == "")].unique()
    if len(unnamed):
        ratings.notes.append(
            f"{clips_of(len(unnamed), ('has', 'have'))} several rows without a rater: {some(list(unnamed))}. Each row "
            "counts as another person's rating; a column rater names them."
        )
    return turns
