"""Write a table as a spreadsheet (.xlsx) in which every word is text, never a formula.

The file is a minimal workbook of ECMA-376, "Office Open XML File Formats": one sheet, whose words are inline strings.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from selfmm.core.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS, MOST_CHARACTERS = 1_048_576, 32_767
"""What a spreadsheet program opens: rows of a sheet with its header, and characters of a cell."""

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="labels" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
_SHEET = "xl/worksheets/sheet1.xml"
# Characters that XML 1.0 cannot hold or would change, and what looks like the escape of one.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_spreadsheet(path: Path, table: pd.DataFrame) -> None:
    """Write a table with its header; missing values are empty cells. The same table gives the same bytes.

    Raises:
        OutputError: if the table has more rows or longer texts than a spreadsheet can hold.
    """
    if len(table) >= MOST_ROWS:
        raise OutputError(f"a spreadsheet holds {MOST_ROWS:,} rows, and the table has {len(table):,}. Write .csv.")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in _PARTS.items():
            book.writestr(_entry(name), _HEAD + content)
        with book.open(_entry(_SHEET), "w", force_zip64=True) as sheet:
            for part in _sheet(table):
                sheet.write(part.encode())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # with the earliest date that there is
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _sheet(table: pd.DataFrame) -> Iterator[str]:
    yield f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'
    yield f"<row>{''.join(map(_cell, map(str, table.columns)))}</row>"
    for row in table.itertuples(index=False, name=None):
        yield f"<row>{''.join(map(_cell, row))}</row>"
    yield "</sheetData></worksheet>"


def _cell(value: object) -> str:
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS:
            raise OutputError(
                f"a cell of a spreadsheet holds {MOST_CHARACTERS:,} characters, and {value[:40]!r}... has "
                f"{len(value):,}. Write .csv or .parquet."
            )
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(_UNSAFE.sub(_escape, value))}</t></is></c>'
    try:
        number = float(value)  # type: ignore[arg-type]
    except TypeError:  # None and pandas' NA
        return "<c/>"
    return f"<c><v>{number!r}</v></c>" if math.isfinite(number) else "<c/>"


def _escape(match: re.Match[str]) -> str:
    return f"_x{ord(match.group()):04X}_"
