"""Text files that people save: UTF-8, or UTF-16 and UTF-32 with the mark by which they name themselves."""

from __future__ import annotations

import codecs
from pathlib import Path

from selfmm.core.errors import SourceError

# The mark of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHER_KINDS = {
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"PK\x03\x04": "a zip file, or a document or spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old document or spreadsheet of Office",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a database",
    b"$FL2": "a file of SPSS",
}
_START = 4096  # bytes in which to look for zeros


def encoding_of(content: bytes) -> str:
    """Return the encoding that the byte order mark of a text names, otherwise UTF-8.

    >>> encoding_of("Hi".encode("utf-16")), encoding_of(b"Hi")
    ('utf-16', 'utf-8-sig')
    """
    return next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8-sig")


def decode(content: bytes, path: Path) -> str:
    """Return the text of a file's content, without its byte order mark; line ends are as stored.

    Raises:
        SourceError: if it is in another encoding; the message says which one it looks like, and how to convert it.
    """
    try:
        text = content.decode(encoding_of(content))
    except UnicodeDecodeError as error:
        raise _not_unicode(content, path, error.start) from error
    if "\0" in text:  # UTF-16 without a mark, as long as all characters are of ASCII, is also valid UTF-8
        raise _not_unicode(content, path, content.index(0))
    return text


def read_text(path: Path) -> str:
    """Return the text of a file, see :func:`decode`; raise ``SourceError`` if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}.") from error
    return decode(content, path)


def _not_unicode(content: bytes, path: Path, byte: int) -> SourceError:
    if what := next((what for begin, what in _OTHER_KINDS.items() if content.startswith(begin)), None):
        return SourceError(f"{path} is not text: its content is {what}. Unpack it, or export it as text.")
    encoding = encoding_of(content)
    if encoding != "utf-8-sig":
        return SourceError(f"{path} begins as {encoding.upper()} text, but is damaged. Save it again as UTF-8.")
    guess = _without_mark(content)
    if guess is None and content[byte] == 0:
        return SourceError(f"{path} is damaged, or is not text: byte {byte} is zero. Export it again as text.")
    looks = f"since it looks like {guess}," if guess else "for example, if it is from Windows in a western language,"
    return SourceError(
        f"{path} is not UTF-8 text (byte {byte}). Save it as UTF-8, {looks} with: iconv -f {guess or 'WINDOWS-1252'} "
        "-t UTF-8"
    )


def _without_mark(content: bytes) -> str | None:
    """Return the encoding of two bytes per character that a text with many zero bytes looks like."""
    even, odd = (content[place:_START:2].count(0) for place in (0, 1))
    if 8 * max(even, odd) < min(len(content), _START):
        return None
    return "UTF-16LE" if odd > even else "UTF-16BE"
