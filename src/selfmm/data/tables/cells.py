"""The unconverted cells of a table file, and the names of columns and splits in the tables of MMSA and others."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from selfmm.core.encodings import read_text
from selfmm.core.errors import SourceError
from selfmm.core.messages import count, first_line, typed
from selfmm.data.other_paths import OTHER_TABLES
from selfmm.data.tables.dialect import separator_of, with_points
from selfmm.data.tables.layout import long_rows, refuse_layout
from selfmm.data.tables.workbook import read_workbook

COLUMNS = {  # name in other tables: our name
    "video_id": "video",
    "mode": "split",
    "label_t": "label_text",
    "label_a": "label_audio",
    "label_v": "label_vision",
    "start_s": "start",
    "end_s": "end",
}
_ZIP, _OLD_OFFICE = b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")  # how files begin
SPLIT_WORDS = {"val": "valid", "dev": "valid", "validation": "valid"}
SEPARATOR = "$_$"
"""Separates the video and the clip in an id of MOSI, MOSEI or SIMS."""
OF_LABEL_STUDIO = {"annotation_id", "lead_time"}
"""Columns of Label Studio's CSV, where ``id`` is the number of a task."""
_BY_PEOPLE = ("", "person", "fixed")  # how a label was made, if a person gave it
_UNKNOWN = {"nan", "na", "n/a", "#n/a", "<na>", "null", "none"}
_MINUS = re.compile(r"^[\u2212\u2013](?=[\d.])")  # as some countries and word processors write it
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def as_text(cell: object) -> object:
    """Return a cell, with a ' before a word that a spreadsheet would run (``=cmd()``, an id like ``-3g5y``)."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def from_text(word: str) -> str:
    """Return a word without the mark of `as_text`."""
    return word[1:] if word.startswith("'") and _FORMULA.match(word) else word


def read_cells(path: Path) -> pd.DataFrame:
    """Return a .csv, .tsv or .xlsx as strings, or a .parquet as it is; raise ``SourceError`` if it cannot be read.

    The content counts, not the suffix: a .csv can have semicolons and decimal commas, or be a spreadsheet. Rows of text
    without any content, which spreadsheets leave below a table, are left out. ``attrs["rows"]`` of the result has the
    number of each row as a spreadsheet shows it: the header is row 1.

    Raises:
        MissingPackageError: if it is a spreadsheet, and openpyxl is not installed.
    """
    table = _read(path)
    kept = np.ones(len(table), dtype=bool)
    if path.suffix.lower() != ".parquet":
        blank = [words(table.iloc[:, place]).str.strip() == "" for place in range(table.shape[1])]
        kept = ~np.logical_and.reduce(blank, dtype=bool) if len(table) else kept
    table = table if kept.all() else table[kept].reset_index(drop=True)
    table.attrs["rows"] = (np.flatnonzero(kept) + 2).tolist()
    return table


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            stored = pd.read_parquet(path)
            return stored if stored.index.names == [None] else stored.reset_index()
        with path.open("rb") as file:
            begin = file.read(8)
        if begin.startswith(_ZIP):
            return read_workbook(path)
        if begin == _OLD_OFFICE:
            raise SourceError(f"{path} is an old Excel file, or has a password. Save it as .xlsx or .csv, without one.")
        usual = "\t" if path.suffix.lower() == ".tsv" else ","
        text, separator = separator_of(read_text(path).lstrip("\r\n"), usual)
        if not text:
            raise SourceError(f"{path} is empty. Write a header, and one row per clip.")
        refuse_layout(text, separator, path)
        with warnings.catch_warnings():
            # Without this, a row with more fields than the header silently loses the last ones.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            options: Any = {
                "sep": separator,
                "dtype": str,
                "keep_default_na": False,
                "skip_blank_lines": False,  # so that rows keep their numbers
            }
            table: pd.DataFrame = pd.read_csv(StringIO(text), index_col=False, **options)
            # pandas renames the second of two equal names to "name.1"; callers need the original names.
            header = pd.read_csv(StringIO(text), header=None, nrows=1, **options).iloc[0]
            table.columns = pd.Index([own if own.strip() else old for own, old in zip(header, table, strict=True)])
            # Between commas, a comma in a number may separate thousands.
            return table if separator == "," else with_points(table, path)
    except pd.errors.ParserError as error:
        raise SourceError(f"{path} {_parser_problem(str(error))}") from error
    except pd.errors.ParserWarning as error:
        raise SourceError(
            f"{path} has rows longer than its header{long_rows(text, separator) or '.'} Between commas, write decimals "
            "with a point, and put quotes around texts with commas."
        ) from error
    except (OSError, ValueError, OverflowError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise SourceError(f"cannot read {path}: {first_line(error)}. Check that it is a valid table.") from error


def _parser_problem(message: str) -> str:
    """Return what is wrong with a .csv or .tsv, and what to do, from the message of pandas' parser."""
    if match := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message):
        expected, line, seen = match.groups()
        return (
            f"has {count(int(seen), 'field')} in line {line}, and its header has {expected}. Put quotes around a text "
            'that contains the separator, as in "good, but long".'
        )
    if match := re.search(r"EOF inside string starting at row (\d+)", message):
        return (
            f"has a quote in line {int(match.group(1)) + 1} that is never closed. Close it; within a quoted text, "
            'write a quote twice, as in "he said ""no""".'
        )
    return "is not a valid table. Save it again as .csv or .tsv, with the same number of fields in each row."


def refuse_other(path: Path) -> None:
    """Raise ``SourceError`` if the suffix is that of a spreadsheet that is not read."""
    if path.suffix.lower() in OTHER_TABLES:
        raise SourceError(f"{path} is a spreadsheet of a kind that is not read. Save it as .xlsx or .csv.")


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
            f"clip. To add its ratings to a data set: selfmm labels DATA --import {typed(path)}. To read it as a table "
            f"of clips, write their ids into the column id, and remove {mark[0]}."
        )


def rating_cell(cell: str) -> str:
    """Return a cell of a column of numbers; empty if it says that there is none, as other programs write it.

    >>> rating_cell(" 1.5 "), rating_cell("NaN"), rating_cell("#N/A"), rating_cell("\u22122")
    ('1.5', '', '', '-2')
    """
    return "" if is_unknown(cell) else _MINUS.sub("-", cell.strip())


def is_unknown(cell: str) -> bool:
    """Return whether a cell holds a word with which other programs say that there is nothing, such as ``NA``."""
    return cell.strip().lower() in _UNKNOWN


def words(column: pd.Series) -> pd.Series:
    """Return every cell as a string; a blank cell is empty."""
    return pd.Series(["" if _is_blank(value) else _word(value) for value in column], dtype=object)


def _is_blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _word(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))  # an id among numbers of which some were missing
    if isinstance(value, list | tuple | np.ndarray):
        return " ".join(map(str, value))  # the words of a text
    # Parquet files of other tools may store words as bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
