"""Writes that happen whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from core.builders import MARKER, make, names
from selfmm.core.errors import OutputError
from selfmm.core.files import atomic_file, discard_unfinished, write_text
from selfmm.core.folders import atomic_folder


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "é")
    write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise error

    with pytest.raises(type(error)), atomic_file(path) as temporary:
        fail(temporary)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EACCES, "may not write to this folder"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "grows beyond the size"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_operating_system_errors_are_explained(tmp_path: Path, code: int, message: str) -> None:
    def fail() -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(OutputError, match=message), atomic_file(tmp_path / "a.txt"):
        fail()
    with pytest.raises(OutputError, match=message), atomic_folder(tmp_path / "a", marker=MARKER):
        fail()
    assert names(tmp_path) == []


def test_a_really_full_disk(tmp_path: Path) -> None:
    """/dev/full takes every write and says that the disk is full."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    def fill(folder: Path) -> None:
        (folder / "data").symlink_to("/dev/full")
        (folder / "data").write_text("x" * 100_000)

    with pytest.raises(OutputError, match="the disk is full"), atomic_folder(tmp_path / "a", marker=MARKER) as folder:
        fill(folder)
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a part of the path is a file|File exists"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(OutputError, match=r"a part of the path is a file|File exists"):
        make(tmp_path / "file" / "deeper" / "a")
    with pytest.raises(OutputError, match="the name is too long"):
        write_text(tmp_path / ("x" * 300), "x")
    with pytest.raises(OutputError, match="the name is too long"):
        make(tmp_path / ("x" * 300))
    with pytest.raises(OutputError, match="exists already"):
        make(tmp_path / "file")


def test_a_process_that_ends_at_once_can_remove_what_it_has_not_finished(tmp_path: Path) -> None:
    with suppress(OutputError), atomic_file(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        discard_unfinished()
        assert not list(tmp_path.iterdir())
    with atomic_file(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
    discard_unfinished()
    assert names(tmp_path) == ["a.json"]
