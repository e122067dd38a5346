"""Folders that appear whole or not at all, and that one process at a time works in."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from core.builders import MARKER, make, names
from selfmm.core.errors import OutputError
from selfmm.core.folders import LOCK, atomic_folder, claim, only_one, taking_turns
from waiting import FOREVER


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


LITTER = [".DS_Store", "._marker.json", "Thumbs.db", "desktop.ini", "~$clips.xlsx", ".~lock.clips.csv#"]


def test_litter_does_not_stop_a_folder_from_being_ours(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    for name in LITTER:
        (path / name).touch()
    make(path)  # nothing else is in it
    for name in LITTER:
        (path / name).touch()
    with atomic_folder(path, marker=MARKER, ours=lambda name: name == MARKER, force=True) as folder:
        (folder / MARKER).touch()
    assert names(path) == [MARKER]


@pytest.mark.parametrize("name", [".git", ".env", "notes.txt", ".venv"])
def test_what_a_user_keeps_in_a_folder_is_not_replaced(tmp_path: Path, name: str) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / name).touch()
    with (
        pytest.raises(OutputError, match=f"holds other files .*{name}"),
        atomic_folder(tmp_path / "a", marker=MARKER, ours=lambda name: name == MARKER, force=True),
    ):
        pass


def claimed(folder: Path, *, resume: bool) -> None:
    claim(
        folder,
        holds="seeds",
        belongs=lambda path: path.name in ("summary.csv", "seed-1"),
        resumable=lambda path: path.name == "summary.csv",
        resume=resume,
    )


@pytest.mark.parametrize("begun", ["seed-1/run.json", "summary.csv"])
@pytest.mark.parametrize("other", [*LITTER, ".git", "seed-1-report.html", "labels.xlsx", "pictures/a.png", "notes.txt"])
def test_a_folder_with_something_to_resume_may_hold_other_files(tmp_path: Path, begun: str, other: str) -> None:
    for name in (begun, other):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    claimed(tmp_path, resume=True)
    if other not in (*LITTER, ".git") or begun == "summary.csv":
        with pytest.raises(OutputError, match=r"already holds seeds\. Pass `resume=True`"):
            claimed(tmp_path, resume=False)


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "seed-1").mkdir()  # empty: nothing was begun
    with pytest.raises(OutputError, match=r"is not a folder of seeds \(it holds notes\.txt\)"):
        claimed(tmp_path, resume=resume)
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "Thumbs.db").touch()
    claimed(tmp_path, resume=resume)


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


@pytest.mark.slow
def test_the_next_one_at_work_in_a_folder_removes_what_killed_ones_left(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, torch, safetensors.torch\n"
        "from pathlib import Path\n"
        "from selfmm.core import tensors\n"
        "def half(values, path):\n"
        "    (Path(path).parent / '.tmpAb3xYz').write_bytes(b'half')\n"  # as safetensors calls what it writes
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "tensors.save_file = half\n"
        "tensors.save_tensors(Path(sys.argv[1]) / 'w.safetensors', {'a': torch.zeros(3)})\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert len(names(tmp_path)) == 2
    for name in (".tmp", ".tmpAb3xYz.txt", ".notes.partial", "a.12.partial"):
        (tmp_path / name).write_text("somebody's")
    with only_one(tmp_path):
        assert names(tmp_path) == [".lock", ".notes.partial", ".tmp", ".tmpAb3xYz.txt", "a.12.partial"]


HOLDS = """
import sys, time
from pathlib import Path
from selfmm.core.folders import only_one, taking_turns
with {"only_one": only_one, "taking_turns": taking_turns}[sys.argv[1]](Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
    Path(sys.argv[2]).with_suffix(".left").touch()
"""


def holder(how: str, folder: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that has the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, how, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_a_lock_keeps_others_out_and_goes_with_its_process(tmp_path: Path) -> None:
    process = holder("only_one", tmp_path, FOREVER)
    with pytest.raises(OutputError, match="another process is at work"), only_one(tmp_path):
        pass
    process.kill()
    process.wait()
    with only_one(tmp_path), pytest.raises(OutputError, match="another process is at work"), only_one(tmp_path):
        pass


@pytest.mark.slow
def test_those_who_take_turns_wait(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    process = holder("taking_turns", folder, 0.5)
    with taking_turns(folder):
        assert folder.with_suffix(".left").exists(), "the other one had the lock still"
    assert process.wait() == 0
    assert names(folder) == [LOCK]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for how in (only_one, taking_turns):
        with pytest.raises(OutputError, match="may not write to this folder"), how(tmp_path):
            pass


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "no locks"), NotImplementedError()])
def test_where_the_file_system_has_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(self: FileLock, timeout: float) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", fail)
    entered = False
    with only_one(tmp_path), taking_turns(tmp_path):
        entered = True
    assert entered


def test_other_errors_of_a_lock_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FileLock, timeout: float) -> None:
        raise OSError(errno.EROFS, "Read-only")

    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(OutputError, match="the file system is read-only"), only_one(tmp_path):
        pass


def test_force_is_offered_only_where_it_works(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    for name in ("file", "folder"):
        with (
            pytest.raises(OutputError, match="Choose another name") as caught,
            atomic_folder(tmp_path / name, marker="m"),
        ):
            pass
        assert "force=" not in str(caught.value)
