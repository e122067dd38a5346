"""What is wrong with the lines of a table of text: a header further down, quotes that end early or late, long rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from selfmm.core.errors import SourceError
from selfmm.core.messages import count, some
from selfmm.data.tables.dialect import SEPARATORS, known_names

_TITLES = 10  # rows that may be above a header


def refuse_titles(rows: Sequence[Sequence[str]], path: Path, first: int = 1) -> None:
    """Raise ``SourceError`` if the names of columns are not in the first of these rows, but in one below it.

    Args:
        rows: the first rows of the table.
        path: the file, for the message.
        first: number of the first row.
    """
    at_top = len(known_names(rows[0])) if rows else 0
    for number, row in enumerate(rows[1 : _TITLES + 1], start=first + 1):
        names = known_names(row)
        if len(names) > max(at_top, 1):
            raise SourceError(
                f"{path} has the names of its columns in row {number} ({some(names)}). Remove the rows above, so that "
                "they are in the first one."
            )


def refuse_layout(text: str, separator: str, path: Path) -> None:
    """Raise ``SourceError`` if the header is further down, or if the quotes of a table would change or hide cells."""
    top = text[:10_000].splitlines()[: _TITLES + 1]
    for own in dict.fromkeys((separator, *SEPARATORS)):
        refuse_titles([[cell.strip(' "') for cell in line.split(own)] for line in top], path)
    if '"' not in text:
        return
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next(reader, [])
        for row in reader:
            if line := next(_rows_in(row, header, separator), None):
                raise SourceError(
                    f"{path} has a quote that is not closed where it should be: the cell that ends in line "
                    f"{reader.line_num} holds the row {line[:60]!r}. Put quotes around the whole text, and within it, "
                    'write a quote twice, as in "he said ""no""".'
                )
    except csv.Error as error:  # of others, such as a long cell, pandas makes no trouble, or its own error
        if "expected after" in str(error):
            raise SourceError(
                f'{path} has a quote within a quoted text in line {reader.line_num}. Write it twice, as in "he said '
                '""no""".'
            ) from error


def _rows_in(row: Sequence[str], header: Sequence[str], separator: str) -> Iterator[str]:
    """Yield lines within the cells of a row that look like rows: a number where the header has ``label``."""
    places = [place for place, name in enumerate(header) if name.strip().lower().startswith("label")]
    for cell in row:
        for line in cell.splitlines()[1:]:
            fields = line.split(separator)
            if len(fields) == len(header) and any(_is_number(fields[place]) for place in places):
                yield line


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def long_rows(text: str, separator: str) -> str:
    """Return which rows of a table are longer than its header; empty if that cannot be told."""
    try:
        rows = [row for row in csv.reader(StringIO(text, newline=""), delimiter=separator) if row]
    except csv.Error:
        return ""
    width = len(rows[0])
    longer = [row for row in rows[1:] if len(row) > width]
    if not longer:
        return ""
    named = len(longer) == len(rows) - 1 and all(len(row) == width + 1 and row[0] and row[-1] for row in longer)
    hint = " If each begins with the name of the row, as R writes it, use row.names = FALSE." if named else ""
    return f": {count(len(longer[0]), 'field')} in {separator.join(longer[0])[:60]!r}, {width} in the header.{hint}"
