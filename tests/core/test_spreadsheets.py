"""A spreadsheet opens as what was written: words as words, numbers as numbers, gaps as empty cells."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from selfmm.core import spreadsheets
from selfmm.core.errors import OutputError
from selfmm.core.spreadsheets import write_spreadsheet

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def rows(path: Path) -> list[list[object]]:
    """The cells of the first sheet: (text,) for words, a number, or None."""
    with zipfile.ZipFile(path) as book:
        assert book.testzip() is None
        for name in book.namelist():
            ElementTree.fromstring(book.read(name))
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert not list(sheet.iter(f"{SPACE}f")), "no formulas"
    return [[_value(cell) for cell in row] for row in sheet.iter(f"{SPACE}row")]


def _value(cell: ElementTree.Element) -> object:
    words, number = cell.find(f"{SPACE}is/{SPACE}t"), cell.find(f"{SPACE}v")
    return words.text or "" if words is not None else None if number is None else float(number.text or "")


def test_words_numbers_and_gaps(tmp_path: Path) -> None:
    texts = ["=1+1", "+x", "-3g5y", "@a", '<b>&"', " a\nb,\tc ", "é真", "", None, pd.NA]
    numbers = [0.1, -1e-300, 5, np.nan, np.inf, 2**53, np.float32(0.5), None, 0, -0.0]
    table = pd.DataFrame({"id, name": pd.Series(texts, dtype=object), "x": pd.Series(numbers, dtype=object)})
    write_spreadsheet(tmp_path / "a.xlsx", table)
    first, *others = rows(tmp_path / "a.xlsx")
    assert first == ["id, name", "x"]
    assert [row[0] for row in others] == [*texts[:8], None, None]
    assert [row[1] for row in others] == [0.1, -1e-300, 5, None, None, 2**53, 0.5, None, 0, 0]


def test_characters_that_xml_cannot_hold_are_escaped_as_spreadsheets_do(tmp_path: Path) -> None:
    write_spreadsheet(
        tmp_path / "a.xlsx", pd.DataFrame({"a": ["\x00\r\x1f", "_x0041_", "_xyz_", "\ud800\uffff"]}, dtype=object)
    )
    assert [row[0] for row in rows(tmp_path / "a.xlsx")[1:]] == [
        *("_x0000__x000D__x001F_", "_x005F_x0041_", "_xyz_", "_xD800__xFFFF_"),
    ]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_spreadsheet(tmp_path / f"{name}.xlsx", pd.DataFrame({"a": ["x"], "b": [1.5]}))
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_what_a_spreadsheet_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match=r"holds 32,767 characters, and 'yyy.* has 32,768"):
        write_spreadsheet(tmp_path / "a.xlsx", pd.DataFrame({"a": ["y" * 32_768]}))
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 2)
    write_spreadsheet(tmp_path / "a.xlsx", pd.DataFrame({"a": ["y"]}))
    with pytest.raises(OutputError, match="holds 2 rows, and the table has 2"):
        write_spreadsheet(tmp_path / "a.xlsx", pd.DataFrame({"a": ["y", "z"]}))
