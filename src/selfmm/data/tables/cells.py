"""The unconverted cells of a table file, and the names of columns and splits in the tables of MMSA and others."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from selfmm.core.errors import SourceError
from selfmm.core.messages import first_line

TABLES = (".csv", ".tsv", ".parquet")
"""Suffixes of tables."""
COLUMNS = {  # name in other tables: our name
    "video_id": "video",
    "mode": "split",
    "label_t": "label_text",
    "label_a": "label_audio",
    "label_v": "label_vision",
    "start_s": "start",
    "end_s": "end",
}
SPLIT_WORDS = {"val": "valid", "dev": "valid", "validation": "valid"}
SEPARATOR = "$_$"
"""Separates the video and the clip in an id of MOSI, MOSEI or SIMS."""
OF_LABEL_STUDIO = {"annotation_id", "lead_time"}
"""Columns of Label Studio's CSV, where ``id`` is the number of a task."""
_BY_PEOPLE = ("", "person", "fixed")  # how a label was made, if a person gave it
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def as_text(cell: object) -> object:
    """Return a cell, with a ' before a word that a spreadsheet would run (``=cmd()``, an id like ``-3g5y``)."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def from_text(word: str) -> str:
    """Return a word without the mark of `as_text`."""
    return word[1:] if word.startswith("'") and _FORMULA.match(word) else word


def read_cells(path: Path) -> pd.DataFrame:
    """Return a .csv or .tsv as strings, or a .parquet as it is; raise ``SourceError`` if it cannot be read."""
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            # Without this, a row with more fields than the header silently loses the last ones.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            options: Any = {
                "sep": "\t" if path.suffix.lower() == ".tsv" else ",",
                "dtype": str,
                "keep_default_na": False,
                "encoding": "utf-8-sig",
            }
            table: pd.DataFrame = pd.read_csv(path, index_col=False, **options)
            # pandas renames the second of two equal names to "name.1"; callers need the original names.
            header = pd.read_csv(path, header=None, nrows=1, **options).iloc[0]
            table.columns = pd.Index([own if own.strip() else old for own, old in zip(header, table, strict=True)])
            return table
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except pd.errors.ParserWarning as error:
        raise SourceError(
            f"{path} has rows longer than its header. Separate fields by commas (not semicolons), write decimals with "
            "a point, and put quotes around texts with commas."
        ) from error
    except (OSError, ValueError, OverflowError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise SourceError(f"cannot read {path}: {first_line(error)}. Check that it is a valid table.") from error


def refuse_generated(cells: pd.DataFrame, path: Path) -> None:
    """Raise ``SourceError`` if a program made labels in columns ``label_<modality>``: they are not people's.

    ``made_<modality>`` or ``outcome_<modality>`` of an exported table of labels says how each of them was made.
    """
    columns = set(map(str, cells))
    generated, marks = [], []
    for name in sorted(column.removeprefix("label_") for column in columns if column.startswith("label_")):
        for mark in sorted({f"made_{name}", f"outcome_{name}"} & columns):
            how = words(cells[mark]).str.strip()
            if ((words(cells[f"label_{name}"]).str.strip() != "") & ~how.isin(_BY_PEOPLE)).any():
                generated.append(f"label_{name}")
                marks.append(mark)
    if generated:
        raise SourceError(
            f"{path} has labels that a program made, in {', '.join(dict.fromkeys(generated))}; {marks[0]} says how. "
            "They are not people's labels. Remove these columns; or, to use them as if people had given them, remove "
            f"{', '.join(marks)}."
        )


def refuse_label_studio(names: Collection[str], path: Path) -> None:
    """Raise ``SourceError`` if these columns are those of Label Studio's CSV: its ids are not those of clips."""
    if "id" in names and (mark := sorted(OF_LABEL_STUDIO.intersection(names))):
        raise SourceError(
            f"{path} comes from Label Studio (it has a column {mark[0]}), where id is the number of a task, not of a "
            f"clip. To add its ratings to a data set: selfmm labels DATA --import {path}. To read it as a table of "
            f"clips, write their ids into the column id, and remove {mark[0]}."
        )


def words(column: pd.Series) -> pd.Series:
    """Return every cell as a string; a blank cell is empty."""
    return pd.Series(["" if _is_blank(value) else _word(value) for value in column], dtype=object)


def _is_blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _word(value: object) -> str:
    # Parquet files of other tools may store words as bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
