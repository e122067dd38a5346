"""Tables as spreadsheets of all countries write them: separators, decimal commas, and what could mean two things."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.core.errors import SourceError
from selfmm.data.tables.cells import read_cells
from selfmm.data.tables.reader import read_table_source


def cells(folder: Path, content: str, name: str = "clips.csv", encoding: str = "utf-8") -> dict[str, list[str]]:
    (folder / name).write_bytes(content.encode(encoding))
    return {str(column): list(values) for column, values in read_cells(folder / name).items()}


@pytest.mark.parametrize(
    ("content", "name", "encoding"),
    [
        ('id;label;text\na;-2,5;"gut; nein, sehr"\nb;1,25;x\n', "a.csv", "utf-8-sig"),  # Excel in German
        ('sep=;\r\nid;label;text\r\na;-2,5;"gut; nein, sehr"\r\nb;1,25;x\r\n', "a.csv", "utf-8"),
        ("id\tlabel\ttext\na\t-2,5\tgut; nein, sehr\nb\t1,25\tx\n", "a.csv", "utf-16"),  # Excel's Unicode text
        ("id\tlabel\ttext\na\t-2,5\tgut; nein, sehr\nb\t1,25\tx\n", "a.tsv", "utf-8"),
        ('id;label;text\na;-2.5;"gut; nein, sehr"\nb;1.25;x\n', "a.tsv", "utf-8"),
        ("id|label|text\na|-2.5|gut; nein, sehr\nb|1.25|x\n", "a.csv", "utf-8"),
        ('id,label,text\na,-2.5,"gut; nein, sehr"\nb,1.25,x\n', "a.csv", "utf-8"),
        ('"id","label","text"\n"a","-2.5","gut; nein, sehr"\n"b","1.25","x"\n', "a.tsv", "utf-8"),
    ],
)
def test_every_dialect(tmp_path: Path, content: str, name: str, encoding: str) -> None:
    assert cells(tmp_path, content, name, encoding) == {
        "id": ["a", "b"],
        "label": ["-2.5", "1.25"],
        "text": ["gut; nein, sehr", "x"],
    }


def test_semicolons_in_a_name_are_no_separators(tmp_path: Path) -> None:
    assert list(cells(tmp_path, 'id,label,"notes; a; b; c"\na,1,x\n')) == ["id", "label", "notes; a; b; c"]
    assert list(cells(tmp_path, "path\na;b.mp4\n")) == ["path"]
    assert list(cells(tmp_path, "name;rating\na;1\n")) == ["name", "rating"]


def test_words_keep_their_commas(tmp_path: Path) -> None:
    content = "id;text;video;rating;comment;start\n1,5;2,5;3,5;4,5;6,5;7,25\n"
    assert cells(tmp_path, content) == {
        "id": ["1,5"],
        "text": ["2,5"],
        "video": ["3,5"],
        "rating": ["4.5"],
        "comment": ["6,5"],
        "start": ["7.25"],
    }


def test_a_column_of_ratings_may_lack_some(tmp_path: Path) -> None:
    assert cells(tmp_path, "id;mean\na;1,5\nb;n/a\nc;\nd;-2\n")["mean"] == ["1.5", "n/a", "", "-2"]


def test_between_commas_a_comma_in_a_number_is_not_read(tmp_path: Path) -> None:
    assert cells(tmp_path, 'id,start\na,"1,500"\n')["start"] == ["1,500"]  # 1500 in English
    with pytest.raises(SourceError, match=r"not a finite number: '1,500 \(a\)'"):
        read_table_source(tmp_path / "clips.csv", require_labels=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id;label\na;1,5\nb;1.5\n", r"a comma \('1,5'\) and with a point \('1.5'\)"),
        ("id;label;start\na;1,5;1.500\n", r"a comma \('1,5'\) and with a point \('1.500'\)"),
        ("id;start\na;1,500\nb;2,250\n", "thousands or decimals: '1,500', '2,250'"),
    ],
)
def test_numbers_that_could_mean_two_things(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        cells(tmp_path, content)


def test_three_decimals_next_to_others_are_decimals(tmp_path: Path) -> None:
    assert cells(tmp_path, "id;label;start\na;-2,5;1,500\n")["start"] == ["1.500"]
    assert cells(tmp_path, "id;label;start\na;1;0,500\n")["start"] == ["0.500"]


def test_a_table_with_semicolons_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("id;label;text\na;1;x\nb;-2,5;so; schlecht\n")
    with pytest.raises(SourceError, match="has 4 fields in line 3, and its header has 3"):
        read_table_source(path)
    path.write_text('id;label;text;split\na;-2,5;"so; schlecht";train\nb;3;gut;dev\n;;;\n')
    table = read_table_source(path).table
    assert table["label"].tolist() == [-2.5, 3]
    assert table["text"].tolist() == ["so; schlecht", "gut"]
    assert table["split"].tolist() == ["train", "valid"]
