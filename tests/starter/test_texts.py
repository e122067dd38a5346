"""The rated texts: how their files are read, and that no other archive is."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.core.errors import SourceError
from selfmm.starter.texts import parse, read_archive


def test_lines_of_the_files() -> None:
    texts = parse({"tweets": "1\t4\tso good\n2\t-2\tit\tis\n", "amazonReviewSnippets": "7_1\t0\ta\r\n7_2\t1.0\tb\n\n"})
    assert texts.texts == ["so good", "it\tis", "a", "b"]
    assert texts.labels.tolist() == [3, -1.5, 0, 0.75]
    assert texts.collections.tolist() == ["tweets", "tweets", "amazonReviewSnippets", "amazonReviewSnippets"]
    assert texts.documents.tolist() == ["tweets 1", "tweets 2", *["amazonReviewSnippets 7"] * 2]


def test_another_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"not it")
    with pytest.raises(SourceError, match=r"is not the source archive of vadersentiment==3.3.2: its SHA-256 is"):
        read_archive(tmp_path / "other.tar.gz")
    with pytest.raises(SourceError, match="cannot read"):
        read_archive(tmp_path / "missing.tar.gz")
