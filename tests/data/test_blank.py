"""Texts without a visible character count as no text."""

from __future__ import annotations

import sys
import unicodedata

from selfmm.data.blank import is_blank


def test_what_is_blank() -> None:
    for text in ("", " ", "\n\t\r", "\x00", "\x01\x7f", "\u200b\ufeff", "\u00a0\u3000", "\u2028", "\udc80"):
        assert is_blank(text), text
    for text in ("a", " \x01 a", ".", "\u597d", "\U0001f600", "\u0301", "\ue000", "\U0010fffd"):
        assert not is_blank(text), text
    assert is_blank("\U000e0001"), "a language tag"


def test_what_python_strips_is_blank() -> None:
    blanks = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    assert {unicodedata.category(blank) for blank in blanks} <= {"Zs", "Zl", "Zp", "Cc"}
    assert all(map(is_blank, blanks))
