"""Text in which there is nothing to read."""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"})  # blanks; control, format and half characters


def is_blank(text: str) -> bool:
    r"""Return whether a text has no visible character.

    >>> is_blank(" \n"), is_blank("\x01 \u200b"), is_blank("..."), is_blank("\U0001f600")
    (True, True, False, False)
    """
    return all(unicodedata.category(character) in _INVISIBLE for character in text)
