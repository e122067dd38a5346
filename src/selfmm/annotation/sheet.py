"""Annotation in a spreadsheet: one row per clip, and one empty column ``label_<modality>`` per modality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from selfmm.annotation.acts import CLIP as WHOLE
from selfmm.annotation.label_studio import CLIP
from selfmm.annotation.ratings import PREFIX, Ratings, rater_name
from selfmm.core.errors import SourceError
from selfmm.core.files import atomic_file, to_json
from selfmm.core.messages import clips as clips_of
from selfmm.core.messages import some
from selfmm.core.spreadsheets import write_spreadsheet
from selfmm.data.tables.cells import COLUMNS, SEPARATOR, as_text, from_text, read_cells, refuse_generated, words

_RATER = {"rater", "annotator", "coder", "worker", "rater_id", "annotator_id", "worker_id", "workerid", "completed_by"}


def write_sheet(path: Path, clips: pd.DataFrame, modalities: Sequence[str]) -> None:
    """Write clips from `clips_to_annotate` as .csv or .parquet, depending on the suffix."""
    empty = {f"{PREFIX}{name}": pd.Series([float("nan")] * len(clips), dtype="float64") for name in modalities}
    table = clips.drop(columns="spread").assign(**empty)
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            # Without the mark of utf-8-sig, Excel garbles characters outside ASCII.
            table.map(as_text).to_csv(temporary, index=False, encoding="utf-8-sig")


def write_rating_sheet(path: Path, ratings: pd.DataFrame) -> None:
    """Write ratings, a row per clip and rater, as .csv, .parquet, .xlsx or .json, depending on the suffix.

    The columns are ``id``, ``rater``, ``label`` (of the whole clip) and ``label_<modality>``, as far as there are such
    ratings; then ``mode`` and ``mode_<modality>``, what the rater could see or hear. The .json has Label Studio's form
    JSON-MIN. An import reads all but .xlsx, without the modes.

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
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        elif path.suffix == ".xlsx":
            write_spreadsheet(temporary, table)
        elif path.suffix == ".json":
            rows = table.rename(columns={"id": CLIP, "rater": "annotator"}).to_dict("records")
            known = [{name: value for name, value in row.items() if pd.notna(value)} for row in rows]
            temporary.write_text(to_json(known) + "\n", encoding="utf-8")
        else:
            table.map(as_text).to_csv(temporary, index=False, encoding="utf-8-sig")


def read_sheet(path: Path) -> Ratings:
    """Read the ratings of a .csv, .tsv or .parquet.

    A row is a clip as one person rated it: ``id`` and ``label_<modality>`` (or MMSA's ``video_id``, ``clip_id`` and
    ``label_T``, ``label_A``, ``label_V``), and ``rater`` or ``annotator`` if there are several people. Or a row is one
    rating: ``id``, ``modality``, ``label``, and ``rater``. In a CSV of Label Studio, ``clip`` is the id. Other columns
    are ignored.

    Raises:
        SourceError: if the file cannot be read as a table with ids and labels.
    """
    cells = _named(read_cells(path), path)
    refuse_generated(cells, path)
    in_text = path.suffix.lower() != ".parquet"
    ids = words(cells["id"]).str.strip()
    ids = ids.map(from_text) if in_text else ids
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
        values = column.str.strip()
        rows = zip(ids, modalities, values, raters, turns, strict=True)
        for clip, modality, value, rater, turn in rows:
            ratings.add(clip, modality, value or None, rater, turn)
    return ratings


def _named(cells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the cells under our names of columns; raise ``SourceError`` if what is needed is missing."""
    names = [_our_name(str(column).strip()) for column in cells.columns]
    if {CLIP, "annotation_id"} <= set(names):  # Label Studio's CSV, where ``id`` is the number of the task
        names = [{"id": "task", CLIP: "id"}.get(name, name) for name in names]
    cells = cells.set_axis(names, axis=1)
    twice = len(set(names)) < len(names)
    if "id" not in names and not twice and {"video", "clip_id"} <= set(names):
        cells["id"] = words(cells["video"]) + SEPARATOR + words(cells["clip_id"])
    labels = any(name.startswith(PREFIX) for name in names) or {"modality", "label"} <= set(names)
    if twice or "id" not in cells or not labels:
        raise SourceError(
            f"{path} should have a column id and columns {PREFIX}<modality> (or columns id, modality and label), each "
            f"once, and a column rater if several people rated; it has {some(names)}. "
            "Fields are separated by commas in .csv (not by semicolons) and by tabs in .tsv."
        )
    return cells


def _our_name(name: str) -> str:
    lower = name.lower()
    if lower in _RATER:
        return "rater"
    ours = COLUMNS.get(lower, lower)
    return ours if ours in ("id", "modality", "label", "video") or lower in ("label_t", "label_a", "label_v") else name


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
