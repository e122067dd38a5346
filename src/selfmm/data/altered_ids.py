"""Ids that a spreadsheet has altered: ``007`` became ``7``, and ``20230401123456789`` became ``2.02304E+16``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

_ROUNDED = re.compile(r"-?\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
_DATE = re.compile(r"\d{1,2}[-./ ][A-Za-zÄä]{3}|[A-Za-zÄä]{3}[-./ ]\d{2}|\d{4}-\d\d-\d\d 00:00:00")


def altered(ids: Sequence[str], known: Collection[str]) -> str:
    """Return a sentence about ids that are not known, if they seem to be altered forms of known ones; otherwise "".

    >>> altered(["7"], {"007", "010"})
    "A spreadsheet seems to have changed the ids: '7' was '007'. Restore them, and format the column as text."
    >>> altered(["x"], {"007"})
    ''
    >>> altered(["Clip 1"], {"clip  1"})
    "'Clip 1' and 'clip  1' differ only in capitals, blanks or stored accents. Write both in the same way."
    """
    alike = {plain_id(name): name for name in known}
    shortened = {_number(name): name for name in known if _number(name) != name}
    given, known = set(ids), set(known)
    for id_ in ids:
        before = shortened.get(_number(id_))
        if before is not None and before not in given:
            was = repr(before)
        elif _ROUNDED.fullmatch(id_):
            was = "a longer number"
        elif _DATE.fullmatch(id_):
            was = "no date, such as '3-4'"
        else:
            continue
        return (
            f"A spreadsheet seems to have changed the ids: {id_[:80]!r} was {was}. Restore them, and format the column "
            "as text."
        )
    for id_ in ids:
        before = alike.get(plain_id(id_))
        if before is not None and id_ not in known and before not in given:
            return (
                f"{id_[:80]!r} and {before[:80]!r} differ only in capitals, blanks or stored accents. Write both in "
                "the same way."
            )
    return ""


def plain_id(name: str) -> str:
    """Return an id without what people and systems change unseen: capitals, blanks, and how accents are stored."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _number(name: str) -> str:
    """Return digits as a spreadsheet shows a number, and any other name as it is."""
    whole = re.fullmatch(r"0*(\d+?)(?:\.0)?", name)
    return name if whole is None else whole.group(1)
