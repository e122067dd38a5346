"""Read a table from a spreadsheet (.xlsx): what its cells show, as strings."""

from __future__ import annotations

import re
import zipfile
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.core.messages import count, first_line, some
from selfmm.data.tables.dialect import with_points
from selfmm.data.tables.layout import refuse_titles

_LARGEST = 1 << 30
"""Bytes of an unpacked workbook; a small file can hold much more than the memory."""
_EXACT = 10**15  # a spreadsheet keeps 15 digits of a number
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # of a character that XML cannot hold, such as a carriage return
_PADDED = re.compile(r"0+")


def read_workbook(path: Path) -> pd.DataFrame:
    """Return the only sheet with a table as strings; an empty cell is empty.

    Raises:
        SourceError: if the file is damaged or has several tables, or a cell has no value that can be read for sure.
        MissingPackageError: if openpyxl is not installed.
    """
    sheet = _only_sheet(path, _load(path, values=True))
    merged = [str(area) for area in sheet.merged_cells.ranges if area.min_row > 1]
    if merged:
        raise SourceError(
            f"{path}: cells are merged ({some(merged)}), so all but one of them are empty. Unmerge them, and fill each."
        )
    _refuse_formulas_without_result(path, sheet)
    rows = list(sheet.iter_rows())
    while not any(cell.value is not None for cell in rows[0]):
        rows = rows[1:]
    shown = pd.DataFrame([[_text(cell, path) for cell in row] for row in rows], dtype=object)
    refuse_titles([shown.iloc[place].tolist() for place in range(min(len(shown), 20))], path, rows[0][0].row)
    names, table = shown.iloc[0], shown.iloc[1:].reset_index(drop=True)
    is_text = pd.DataFrame([[isinstance(cell.value, str) for cell in row] for row in rows[1:]], columns=table.columns)
    table.columns = is_text.columns = pd.Index([name or f"Unnamed: {place}" for place, name in enumerate(names)])
    # Numbers in cells of text can have decimal commas; others are numbers already.
    table = with_points(table.where(is_text, ""), path).where(is_text, table)
    unused = [not name and not any(table.iloc[:, place]) for place, name in enumerate(names)]
    return table.loc[:, [not empty for empty in unused]]


def _load(path: Path, *, values: bool) -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise MissingPackageError(
            f"Reading {path} needs openpyxl. Install it with: pip install 'selfmm[excel]'. Or save the table as .csv."
        ) from error
    try:
        with zipfile.ZipFile(path) as book:
            size = sum(entry.file_size for entry in book.infolist())
        if size > _LARGEST:
            raise SourceError(f"{path} holds {size >> 20} MiB. Save the table as .csv.")
        with path.open("rb") as file:  # given a name, openpyxl judges by its suffix
            return openpyxl.load_workbook(file, data_only=values)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:  # the file may be damaged or hostile, and openpyxl raises many kinds of errors
        raise SourceError(
            f"cannot read {path} as a spreadsheet ({first_line(error)}). Open and save it again as .xlsx or .csv."
        ) from error


def _only_sheet(path: Path, book: Any) -> Any:
    """Return the sheet that has cells; of several, the only one that is visible."""
    sheets = [sheet for sheet in book.worksheets if any(any(row) for row in sheet.iter_rows(values_only=True))]
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"] if len(sheets) > 1 else sheets
    if len(visible) != 1:
        names = f": {some([sheet.title for sheet in visible])}" if visible else ""
        raise SourceError(
            f"{path} has {count(len(visible), 'sheet')} with cells{names}; expected one. Save the sheet with the clips "
            "as a file of its own."
        )
    return visible[0]


def _text(cell: Any, path: Path) -> str:
    value = cell.value
    if value is None:
        return ""
    problem = ""
    if isinstance(value, date | time | timedelta):
        problem = f"a date or time ({value}), which spreadsheets make of entries like 1-2. Format it as text or number"
    elif cell.data_type == "e" and value != "#N/A":
        problem = f"the error {value}, as of an entry that begins with = or -. Format it as text"
    elif isinstance(value, int | float) and "%" in cell.number_format:
        problem = f"a percentage ({value:.6g} is shown as {100 * value:.6g}%). Format it as a number"
    elif isinstance(value, int | float) and abs(value) >= _EXACT:
        problem = "a number of more than 15 digits, of which spreadsheets keep 15. Format it as text"
    if problem:
        raise SourceError(f"{path}: cell {cell.coordinate} is {problem}, and enter it again; or empty it.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = str(int(value)) if value == int(value) else repr(value)
        # An id like 007, shown by the format 000.
        return whole.zfill(len(cell.number_format)) if _PADDED.fullmatch(cell.number_format) else whole
    return _ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), str(value)).replace("\r\n", "\n")


def _refuse_formulas_without_result(path: Path, sheet: Any) -> None:
    """Raise ``SourceError`` if a cell has a formula, but its result is not in the file: it would seem empty."""
    with zipfile.ZipFile(path) as book:
        sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/")]
        if not any(re.search(rb"<(?:\w+:)?f[ >/]", book.read(name)) for name in sheets):
            return
    formulas = _load(path, values=False)[sheet.title]
    lacking = [
        cell.coordinate
        for row in formulas.iter_rows()
        for cell in row
        if cell.data_type == "f" and sheet[cell.coordinate].value is None
    ]
    if lacking:
        raise SourceError(
            f"{path}: cells have formulas without a result: {some(lacking)}. Open it in a spreadsheet program and save "
            "it, or replace the formulas by their values."
        )
