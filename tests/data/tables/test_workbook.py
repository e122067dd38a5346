"""Spreadsheets: what their cells show, and nothing that would be read wrongly."""

from __future__ import annotations

import datetime
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.core.files import write_table
from selfmm.data.tables.cells import read_cells
from selfmm.data.tables.reader import read_table_source
from selfmm.features.clips.listing import read_clips

openpyxl = pytest.importorskip("openpyxl")


def workbook(path: Path, *rows: list[Any], change: Callable[[Any], object] = lambda book: None) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    change(book)
    book.save(path)
    return path


def cells(path: Path) -> dict[str, list[str]]:
    return {str(column): list(values) for column, values in read_cells(path).items()}


def test_cells_are_read_as_they_are_shown(tmp_path: Path) -> None:
    def padded(book: Any) -> None:
        book.active["B3"].number_format = "000"

    path = workbook(
        tmp_path / "a.xlsx",
        ["id", "code", "label", "text", None, "flag"],
        ["007", 7.0, -2.5, "gut, =sehr\ngut", None, True],
        ["8", 7, 3, None, None, False],
        [None] * 6,
        ["9", 0.1, "1e-3", " x ", None, None],
        [None] * 6,
        change=padded,
    )
    assert cells(path) == {
        "id": ["007", "8", "9"],
        "code": ["7", "007", "0.1"],
        "label": ["-2.5", "3", "1e-3"],
        "text": ["gut, =sehr\ngut", "", " x "],
        "flag": ["True", "False", ""],
    }
    assert read_cells(path).attrs["rows"] == [2, 3, 5]


def test_the_kind_of_a_file_is_in_its_content(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", ["id", "label"], ["a", 1]).rename(tmp_path / "a.csv")
    assert cells(tmp_path / "a.csv") == {"id": ["a"], "label": ["1"]}
    (tmp_path / "b.xlsx").write_text("id;label\na;1,5\n")
    assert cells(tmp_path / "b.xlsx") == {"id": ["a"], "label": ["1.5"]}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["=a", "-3g", "007", "x"], "label": [1.5, -2, None, 1e-7], "n": [1, 2, 3, 4]})
    write_table(tmp_path / "a.xlsx", table)
    assert cells(tmp_path / "a.xlsx") == {
        "id": ["=a", "-3g", "007", "x"],
        "label": ["1.5", "-2", "", "1e-07"],
        "n": ["1", "2", "3", "4"],
    }


def test_clips_and_features_from_a_spreadsheet(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "clips.xlsx",
        ["id", "path", "label", "start", "end", "text"],
        ["007", "a.mp4", -2.5, 0, 1.5, "so"],
        ["b", "a.mp4", "0,5", 2, 3, "la"],
    )
    (tmp_path / "a.mp4").touch()
    clips = read_clips(path).clips
    assert [(clip.id, clip.label, clip.end) for clip in clips] == [("007", -2.5, 1.5), ("b", 0.5, 3)]
    assert read_clips(tmp_path).clips == clips
    assert read_table_source(tmp_path).table["label"].tolist() == [-2.5, 0.5]


def hide(book: Any) -> None:
    book.create_sheet("lists")["A1"] = "good"
    book["lists"].sheet_state = "hidden"


def test_empty_and_hidden_sheets_do_not_count(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["id", "label"], ["a", 1]]
    path = workbook(tmp_path / "a.xlsx", *rows, change=lambda book: book.create_sheet("Sheet2"))
    assert cells(path) == {"id": ["a"], "label": ["1"]}
    assert cells(workbook(tmp_path / "b.xlsx", *rows, change=hide)) == {"id": ["a"], "label": ["1"]}


def second(book: Any) -> None:
    book.create_sheet("second")["A1"] = "id"


@pytest.mark.parametrize(
    ("cell", "change", "message"),
    [
        (datetime.date(2024, 2, 1), None, r"cell B2 is a date or time \(2024-02-01.*make of entries like 1-2"),
        (datetime.time(0, 12), None, r"cell B2 is a date or time \(00:12:00\).*enter it again"),
        (12345678901234567, None, "cell B2 is a number of more than 15 digits"),
        ("#NAME?", None, r"cell B2 is the error #NAME\?"),
        ("=1+1", None, r"cells have formulas without a result: 'B2'\. Open it in a spreadsheet program"),
        (1, lambda book: book.active.merge_cells("A2:A3"), "cells are merged .'A2:A3'"),
        (1, second, "has 2 sheets with cells: 'Sheet', 'second'; expected one"),
    ],
)
def test_what_could_be_read_wrongly_is_refused(tmp_path: Path, cell: object, change: Any, message: str) -> None:
    path = workbook(tmp_path / "a.xlsx", ["id", "label"], ["a", cell], ["b", 1], change=change or (lambda book: None))
    with pytest.raises(SourceError, match=message):
        read_cells(path)


def test_the_result_of_a_formula_is_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["id", "label"], ["a", "=1+1"])
    with zipfile.ZipFile(path) as book:
        files = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    files[sheet] = (
        files[sheet]
        .replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
        .replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
    )
    with zipfile.ZipFile(path, "w") as book:
        for name, content in files.items():
            book.writestr(name, content)
    assert cells(path) == {"id": ["a"], "label": ["2"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 broken", "cannot read .* as a spreadsheet"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(100), "is an old Excel file, or has a password. Save it as .xlsx"),
    ],
)
def test_damaged_spreadsheets(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_cells(tmp_path / "a.xlsx")


def test_an_empty_spreadsheet_and_a_zip_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has 0 sheets"):
        read_cells(workbook(tmp_path / "a.xlsx"))
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as book:
        book.writestr("x", "y")
    with pytest.raises(SourceError, match=r"cannot read .* as a spreadsheet"):
        read_cells(tmp_path / "b.xlsx")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfmm.data.tables.workbook._LARGEST", 1000)
    with pytest.raises(SourceError, match=r"MiB\. Save the table as \.csv"):
        read_cells(workbook(tmp_path / "a.xlsx", ["id"], ["a"]))


def test_without_openpyxl_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", ["id", "label"], ["a", 1])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingPackageError, match=r"needs openpyxl. Install it with: pip install 'selfmm\[excel\]'"):
        read_cells(path)
    (tmp_path / "b.mp4").touch()
    listed = read_clips(tmp_path)  # a folder of recordings can be read without it
    assert [clip.id for clip in listed.clips] == ["b"]
    assert "a.xlsx was not read: " in listed.notes[0]


@pytest.mark.parametrize("name", ["clips.xls", "clips.ods", "clips.XLSM"])
def test_other_spreadsheets(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    for read in (read_clips, read_table_source):
        with pytest.raises(SourceError, match=r"of a kind that is not read. Save it as .xlsx or .csv"):
            read(tmp_path / name)


def test_escaped_characters_are_read_as_what_they_are(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["id", "text"], ["a", "so_x000D_\ngood _x005F_x0041_ _x41_"])
    assert cells(path)["text"] == ["so\ngood _x0041_ _x41_"]
    write_table(path, pd.DataFrame({"id": ["a_x0041_\x01"], "text": ["\r"]}))
    assert cells(path) == {"id": ["a_x0041_\x01"], "text": ["\r"]}


def test_titles_above_the_header(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["My study"], [None], ["id", "label"], ["a", 1]]
    path = workbook(tmp_path / "a.xlsx", *rows, change=lambda book: book.active.merge_cells("A1:B1"))
    with pytest.raises(SourceError, match=r"names of its columns in row 3 \('id', 'label'\)"):
        read_cells(path)


def test_percentages_are_refused_as_in_text(tmp_path: Path) -> None:
    def percent(book: Any) -> None:
        book.active["B2"].number_format = "0.0%"

    path = workbook(tmp_path / "a.xlsx", ["id", "label"], ["a", 0.5], change=percent)
    with pytest.raises(SourceError, match=r"cell B2 is a percentage \(0.5 is shown as 50%\). Format it as a number"):
        read_cells(path)
