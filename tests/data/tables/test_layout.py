"""Lines of tables that would be read as something else: titles, quotes, rows with too many fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.core.errors import SourceError
from selfmm.data.tables.cells import read_cells


def cells(folder: Path, content: str, name: str = "clips.csv") -> list[list[str]]:
    (folder / name).write_text(content, newline="")
    return read_cells(folder / name).to_numpy().tolist()


@pytest.mark.parametrize(
    "above",
    ["My study\n", "My study,,\n,,\n", "# made by a program\n# in 2024\n", '"Ratings; all"\n', "a,b,c\n", "text\n"],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_titles_above_the_header(tmp_path: Path, above: str, separator: str) -> None:
    with pytest.raises(SourceError, match=r"names of its columns in row \d \('id', 'label', 'text'\). Remove the rows"):
        cells(tmp_path, above + f"id{separator}label{separator}text\na{separator}1{separator}x\n")


def test_a_row_that_names_a_column_is_not_a_header(tmp_path: Path) -> None:
    assert cells(tmp_path, "id,modality,label\na,text,1\n") == [["a", "text", "1"]]
    assert cells(tmp_path, "name,rating\nid,1\n") == [["id", "1"]]


@pytest.mark.parametrize("quoted", [r'"he said \"no\" to me"', '"he said "no" to me"', '"so "much", so good"'])
def test_a_quote_within_a_quoted_text(tmp_path: Path, quoted: str) -> None:
    with pytest.raises(SourceError, match=r"a quote within a quoted text in line 3\. Write it twice"):
        cells(tmp_path, f"id,label,text\na,1,x\nb,2,{quoted}\n")


def test_rows_swallowed_by_a_quote(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"ends in line 3 holds the row 'b\\t2\\tno'"):
        cells(tmp_path, 'id\tlabel\ttext\na\t1\t"oh\nb\t2\tno"\nc\t0\tx\n', "clips.tsv")


def test_quoted_texts_of_several_lines(tmp_path: Path) -> None:
    text = "well, so, good\r\nit, was, fine\n5"
    assert cells(tmp_path, f'id,label,text,note\na,1,"{text}",5" tall\n') == [["a", "1", text, '5" tall']]
    assert cells(tmp_path, 'id,label,text\na,1,"he said ""no"""\n') == [["a", "1", 'he said "no"']]
    assert cells(tmp_path, f'id,label,text\na,1,"{"x" * 200_000}"\n')[0][2] == "x" * 200_000


def test_rows_that_are_too_long_are_shown(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"longer than its header: 4 fields in 'a,1,x,y', 3 in the header. Between"):
        cells(tmp_path, "id,label,text\na,1,x,y\nb,1,z\n")
    with pytest.raises(SourceError, match=r"as R writes it, use row.names = FALSE"):
        cells(tmp_path, '"id","label"\n"1","a",1\n"2","b",2\n')
