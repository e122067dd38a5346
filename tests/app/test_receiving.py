"""A form whose recording does not fit on the disk."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from selfmm.app.receiving import _Reader, suffix_of


def test_a_recording_that_is_written_in_part_is_an_error(tmp_path: Path) -> None:
    reader = _Reader(tmp_path)
    reader._header += b"Content-Disposition"
    reader._value += b'form-data; name="recording"; filename="talk.wav"'
    reader._end_header()
    reader._end_headers()
    reader._data(b"x" * 3000, 0, 3000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            reader.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        reader.close()


@pytest.mark.parametrize(("name", "suffix"), [("a.MP4", ".mp4"), ("a.b/c", ""), ("x.$(y)", ""), ("..", "")])
def test_only_ordinary_endings_are_kept(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
