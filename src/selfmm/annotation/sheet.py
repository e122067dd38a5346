"""Annotation in a spreadsheet: one row per clip, and one empty column ``label_<modality>`` per modality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from selfmm.annotation.ratings import PREFIX, Ratings
from selfmm.core.errors import SourceError
from selfmm.core.files import atomic_file
from selfmm.core.messages import some
from selfmm.data.tables.cells import as_text, from_text, read_cells, words


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


def read_sheet(path: Path) -> Ratings:
    """Read the filled cells ``label_<modality>`` of a .csv, .tsv or .parquet; other columns are ignored.

    Raises:
        SourceError: if the file cannot be read as a table with ids and labels.
    """
    cells = read_cells(path)
    names = [str(column).strip() for column in cells.columns]
    rated = [name for name in names if name.startswith(PREFIX)]
    if len(set(names)) < len(names) or "id" not in names or not rated:
        raise SourceError(
            f"{path} should have a column id and columns {PREFIX}<modality>, each once; it has {some(names)}. "
            "Fields are separated by commas in .csv (not by semicolons) and by tabs in .tsv."
        )
    cells = cells.set_axis(names, axis=1)
    ids = words(cells["id"]).str.strip()
    if path.suffix.lower() != ".parquet":
        ids = ids.map(from_text)
    ratings = Ratings()
    repeated = list(ids[ids.duplicated()].unique())
    if repeated:
        ratings.problems.append(f"ids have more than one row: {some(repeated)}. Keep one row per clip.")
    for name in rated:
        values = words(cells[name]).str.strip()
        for clip, value in zip(ids[values != ""], values[values != ""], strict=True):
            ratings.add(clip, name.removeprefix(PREFIX), value)
    return ratings
