"""Texts in the encodings that people save, and the advice for all others."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from selfmm.core.encodings import read_text
from selfmm.core.errors import SourceError

TEXT = "1\n00:00:01,000 --> 00:00:02,000\nso good\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_names_its_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.srt").write_bytes(f"{TEXT}ü 好".encode(encoding))
    assert read_text(tmp_path / "a.srt") == f"{TEXT}ü 好"


def test_both_byte_orders(tmp_path: Path) -> None:
    for mark, encoding in (("\ufeff", "utf-16-le"), ("\ufeff", "utf-16-be"), ("\ufeff", "utf-32-be")):
        (tmp_path / "a.txt").write_bytes(f"{mark}ü".encode(encoding))
        assert read_text(tmp_path / "a.txt") == "ü"


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (TEXT.encode("utf-16-le"), "looks like UTF-16LE, with: iconv -f UTF-16LE -t UTF-8"),
        (TEXT.encode("utf-16-be"), "looks like UTF-16BE, with: iconv -f UTF-16BE -t UTF-8"),
        (f"{TEXT} naïve".encode("utf-16-le"), "iconv -f UTF-16LE"),
        (f"{TEXT} naïve".encode("cp1252"), "from Windows in a western language, with: iconv -f WINDOWS-1252"),
        (b"\xff\xfe1\x00\x00", "begins as UTF-16 text, but is damaged"),
    ],
)
def test_advice_fits_the_content(tmp_path: Path, content: bytes, advice: str) -> None:
    """Following it gives a file that can be read."""
    path = tmp_path / "a.srt"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="UTF") as error:
        read_text(path)
    assert advice in str(error.value)
    if "iconv" in advice:
        name = str(error.value).rpartition("iconv -f ")[2].split()[0]
        path.write_text(content.decode(name), encoding="utf-8")
        assert read_text(path).startswith(TEXT)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*No such file"):
        read_text(tmp_path / "none.srt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"id,label\n", mtime=0), "its content is a gzip file. Unpack it"),
        (b"PAR1\x15\x04\x00\xff", "its content is a Parquet file"),
        (b"$FL2@(#) SPSS\x00\xff", "its content is a file of SPSS"),
        (b"id,label\na,1\x00\n" + b"b,1\n" * 20, "is damaged, or is not text: byte 12 is zero"),
    ],
)
def test_what_is_not_text_gets_no_advice_about_encodings(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message) as error:
        read_text(tmp_path / "a.csv")
    assert "iconv" not in str(error.value)
