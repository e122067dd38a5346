"""Writes that happen whole or not at all."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from selfmm.core.errors import OutputError
from selfmm.core.files import atomic_file, atomic_folder, only_one, write_text

MARKER = "marker.json"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make(path: Path, content: str = "new", *, force: bool = False) -> None:
    with atomic_folder(path, marker=MARKER, force=force) as folder:
        (folder / MARKER).write_text(content)


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
        (errno.EACCES, "not writable for you"),
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


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    with atomic_folder(path, marker=MARKER) as folder:
        (folder / MARKER).touch()
        assert not path.exists()
    assert names(path) == [MARKER]
    assert names(path.parent) == ["a"]


def test_relative_paths_and_empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    make(Path("../b/../there"))
    assert names(tmp_path / "there") == [MARKER]
    # The folder one stands in would be replaced under one's shell.
    with pytest.raises(OutputError, match="is the folder you are in"):
        make(Path("b/.."))


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failed_folder_leaves_the_old_one(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a"
    make(path, "old")
    with pytest.raises(type(error)), atomic_folder(path, marker=MARKER, force=True):
        raise error
    assert (path / MARKER).read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_only_our_own_folders_are_replaced_and_only_on_demand(tmp_path: Path) -> None:
    make(tmp_path / "a", "old")
    with pytest.raises(OutputError, match=r"exists already. Choose another name, or pass `force=True`"):
        make(tmp_path / "a")
    make(tmp_path / "a", force=True)
    assert (tmp_path / "a" / MARKER).read_text() == "new"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"holds no marker.json.*`force=True` does not"):
        make(tmp_path / "b", force=True)
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_the_old_folder_survives_a_failing_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    make(tmp_path / "a", "old")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        make(tmp_path / "a", force=True)
    assert (tmp_path / "a" / MARKER).read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_an_old_folder_that_cannot_come_back_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "a", "old")
    rename = Path.rename
    done: list[Path] = []

    def once(self: Path, target: Path) -> Path:
        if done:
            raise OSError(errno.EIO, "broken")
        done.append(self)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OutputError, match="broken"):
        make(tmp_path / "a", force=True)
    (kept,) = tmp_path.glob(f".a.*.old/old/{MARKER}")
    assert kept.read_text() == "old"


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    dead = tmp_path / f".a.{platform.node()}-{finished.pid}.partial"
    kept = [
        tmp_path / f".a.{platform.node()}-1.partial",  # still at work
        tmp_path / f".a.elsewhere-{finished.pid}.partial",  # of another machine
        tmp_path / f".ab.{platform.node()}-{finished.pid}.partial",
    ]
    for folder in [dead, *kept]:
        folder.mkdir()
    make(tmp_path / "a")
    assert not dead.exists()
    assert all(folder.exists() for folder in kept)


def test_the_next_one_at_work_in_a_folder_removes_what_killed_ones_left(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, torch, safetensors.torch\n"
        "from pathlib import Path\n"
        "from selfmm.training import checkpoint\n"
        "def half(tensors, path):\n"
        "    (Path(path).parent / '.tmpAb3xYz').write_bytes(b'half')\n"  # as safetensors calls what it writes
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "checkpoint.save_file = half\n"
        "checkpoint.save_tensors(Path(sys.argv[1]) / 'w.safetensors', {'a': torch.zeros(3)})\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert len(names(tmp_path)) == 2
    for name in (".tmp", ".tmpAb3xYz.txt", ".notes.partial", "a.12.partial"):
        (tmp_path / name).write_text("somebody's")
    with only_one(tmp_path):
        assert names(tmp_path) == [".lock", ".notes.partial", ".tmp", ".tmpAb3xYz.txt", "a.12.partial"]
