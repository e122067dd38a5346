"""How a program wrote a table of text: what separates its fields, and what its decimals begin with.

A spreadsheet uses semicolons and decimal commas where people write 1,5 for one and a half.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.core.errors import SourceError
from selfmm.core.messages import some

SEPARATORS = (",", ";", "\t", "|")
_NAMED = re.compile(r'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)  # the first line that Excel writes and hides
_KNOWN = re.compile(
    r"(id|label|text|path|file|file_?name|video|video_(id|path)|clip|clip_id|split|mode|start|end|start_s|end_s"
    r"|subtitles|rater|annotator|modality|label_\w+)",
    re.IGNORECASE,
)
_OF_WORDS = re.compile(
    r"(id|text|path|file|file_?name|video|video_(id|path)|clip|clip_id|split|mode|subtitles|modality|comment|notes?"
    r"|rater|annotator|coder|worker|(rater|annotator|worker)_?id|completed_by)",
    re.IGNORECASE,
)
_OF_NUMBERS = re.compile(r"(label(_.*)?|start(_s)?|end(_s)?)", re.IGNORECASE)

_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_POINT = re.compile(r"[+-]?\d*\.\d+(e[+-]?\d+)?", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d*[.,]?\d+(e[+-]?\d+)?", re.IGNORECASE)
_NO_NUMBER = {"", "-", "na", "n/a", "#n/a", "nan", "none", "null"}
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def separator_of(text: str, usual: str) -> tuple[str, str]:
    """Return a table without the line in which Excel names the separator, and what separates its fields.

    It is what splits the header into most names that are known; if nothing does, into most names.

    >>> separator_of("id;label\\na;1,5", ","), separator_of("sep=;\\nx;y", ",")
    (('id;label\\na;1,5', ';'), ('x;y', ';'))
    """
    if match := _NAMED.match(text):
        return text[match.end() :], match.group(1)
    headers = {separator: _header(text, separator) for separator in dict.fromkeys((usual, *SEPARATORS))}
    known = {separator: len(known_names(names)) for separator, names in headers.items()}
    counts = known if any(known.values()) else {separator: len(names) for separator, names in headers.items()}
    return text, max(counts, key=lambda separator: counts[separator])  # of equal ones the first: the usual one


def known_names(names: Iterable[str]) -> list[str]:
    """Return those of the names that columns of clips or ratings have."""
    return [name for name in names if _KNOWN.fullmatch(name)]


def _header(text: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(text.splitlines(keepends=True), delimiter=separator), [])]
    except csv.Error:
        return []


def with_points(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a table of strings with decimal points where columns of numbers have decimal commas.

    Raises:
        SourceError: if there are decimal points too, or if a comma could as well separate thousands.
    """
    cells = {place: [word.strip() for word in table.iloc[:, place]] for place in range(table.shape[1])}
    names = [str(name).strip() for name in table.columns]
    numbers = [place for place, column in cells.items() if _is_of_numbers(names[place], column)]
    commas = {place: [word for word in cells[place] if _COMMA.fullmatch(word)] for place in numbers}
    if not any(commas.values()):
        return table
    points = [word for place in numbers for word in cells[place] if _POINT.fullmatch(word)]
    words = [word for found in commas.values() for word in found]
    if points:
        raise SourceError(
            f"{path} has decimals with a comma ({some(words)}) and with a point ({some(points)}). Write all with a "
            "point."
        )
    if all(map(_THOUSANDS.fullmatch, words)):
        raise SourceError(
            f"{path} has numbers that could be thousands or decimals: {some(words)}. Write decimals with a point, and "
            "thousands without a separator."
        )
    table = table.copy()
    for place, found in commas.items():
        if found:
            changed = [word.replace(",", ".") if _COMMA.fullmatch(word) else word for word in cells[place]]
            table.isetitem(place, np.array(changed, dtype=object))
    return table


def _is_of_numbers(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column is one of our columns of numbers, or one of another name with numbers alone."""
    if _OF_NUMBERS.fullmatch(name):
        return True
    return not _OF_WORDS.fullmatch(name) and all(
        _NUMBER.fullmatch(word) for word in cells if word.lower() not in _NO_NUMBER
    )
