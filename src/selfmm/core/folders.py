"""Locks on folders, for one process at a time, and new folders that appear whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from selfmm.core.errors import OutputError
from selfmm.core.files import explain, flush, is_litter, is_stray

LOCK = ".lock"
"""The file that is locked in a folder; it stays there."""

_HALF_WRITTEN = re.compile(r"\..+\.\d+\.partial|\.tmp[0-9A-Za-z]{6}")  # atomic_file's, and safetensors' own
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network file systems


def claim(
    folder: Path, *, holds: str, belongs: Callable[[Path], bool], resumable: Callable[[Path], bool], resume: bool
) -> None:
    """Make a folder, or accept an existing one to continue in; hidden and stray files in it do not count.

    With ``resume``, other files may be there too, such as a report, if there is something to resume.

    Args:
        folder: the folder to make or accept.
        holds: its content as messages name it, for example ``seeds``.
        belongs: whether a file may be in such a folder.
        resumable: whether a file shows that there is something to resume.
        resume: whether the user wants to resume.

    Raises:
        OutputError: if the folder holds something else, if there is something to resume and ``resume`` is not given, or
            if it cannot be made.
    """
    try:
        files = [path for path in folder.iterdir() if not is_stray(path.name)] if folder.is_dir() else []
        foreign = [path.name for path in files if not belongs(path)]
        begun = any(belongs(path) and (any(path.iterdir()) if path.is_dir() else resumable(path)) for path in files)
        if folder.is_file() or (foreign and not begun):
            what = f" (it holds {foreign[0]})" if foreign else ""
            raise OutputError(f"{folder} exists and is not a folder of {holds}{what}. Choose another `out=...`.")
        if not resume and (any(map(resumable, files)) or foreign):
            raise OutputError(
                f"{folder} already holds {holds}. Pass `resume=True`, which trains only what is missing, or choose "
                "another `out=...`."
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep other processes from working in ``folder``; the lock ends with the process, however that ends.

    Files that an earlier process left half-written in the folder are removed.

    Raises:
        OutputError: if another process holds the lock, or the folder is not writable.
    """
    with _locked(folder, timeout=0):
        sweep(folder)
        yield


@contextmanager
def taking_turns(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Wait until no other process is in such a block for ``folder``, so that none overwrites the changes of another.

    Args:
        folder: the folder to change.
        lock: the file that is locked in it; blocks with different files do not wait for each other.

    Raises:
        OutputError: if the folder is not writable.
    """
    with _locked(folder, timeout=-1, lock=lock):
        yield


@contextmanager
def _locked(folder: Path, timeout: float, lock: str = LOCK) -> Iterator[None]:
    lock_file = FileLock(folder / lock)
    try:
        lock_file.acquire(timeout)
    except Timeout as error:
        raise OutputError(
            f"another process is at work in {folder}. Wait for it, or choose another `out=...`."
        ) from error
    except NotImplementedError:  # older versions of filelock, where the file system has no locks
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise explain(error, folder / lock) from error
    try:
        yield
    finally:
        lock_file.release()


def sweep(folder: Path) -> None:
    """Remove files that killed processes left half-written; no other process may be writing to the folder."""
    for file in folder.glob(".*"):
        if _HALF_WRITTEN.fullmatch(file.name) and file.is_file():
            with suppress(OSError):
                file.unlink()


@contextmanager
def atomic_folder(
    path: Path, *, marker: str, ours: Callable[[str], bool] = lambda name: True, force: bool = False
) -> Iterator[Path]:
    """Yield an empty temporary folder next to ``path`` and rename it to ``path`` when the block ends without an error.

    Args:
        path: the folder to make.
        marker: name of a file that every such folder has; ``force`` replaces no folder without it.
        ours: whether a file of this name may be in such a folder; ``force`` replaces no folder that holds others.
        force: replace an existing folder. The old one stays until the new one is complete.

    Raises:
        OutputError: if ``path`` exists and ``force`` is not given or may not replace it, or if it cannot be written.
    """
    path = path.resolve()  # "." and "a/.." have no name
    temporary = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.partial")
    try:
        refuse_to_replace(path, marker, ours, force)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                flush(file)
        _swap(temporary, path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_to_replace(path: Path, marker: str, ours: Callable[[str], bool], force: bool) -> None:
    """Raise ``OutputError`` where ``atomic_folder`` with these arguments would."""
    if path == Path.cwd():
        raise OutputError(f"{path} is the folder you are in; name another one, for example {path.name}/data.")
    names = [file.name for file in path.iterdir() if not is_litter(file.name)] if path.is_dir() else []
    if not path.exists() or (path.is_dir() and not names):
        return
    if not path.is_dir():
        raise OutputError(f"{path} exists already and is a file, so no folder can be made there. Choose another name.")
    foreign = sorted(name for name in names if not ours(name))
    if foreign or not (path / marker).is_file():
        what = f"other files ({', '.join(foreign[:3])})" if foreign else f"no {marker}"
        unforced = ", so `force=True` does not replace it" if force else ""
        raise OutputError(f"{path} exists and holds {what}{unforced}. Choose another name.")
    if not force:
        raise OutputError(f"{path} exists already. Choose another name, or pass `force=True` to replace it.")


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary folders of killed processes that were writing ``path`` on this machine."""
    prefix = f".{path.name}.{platform.node()}-"
    for folder in path.parent.glob(f"{glob.escape(prefix)}*.partial"):
        pid = folder.name.removeprefix(prefix).removesuffix(".partial")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``; an old folder is deleted only when the new one is in place."""
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    try:
        path.rename(old / "old")
        new.rename(path)
    except BaseException:  # an interrupt must not lose the old one either
        if (old / "old").exists() and not path.exists():
            (old / "old").rename(path)
        raise
    finally:
        if path.exists():  # otherwise the old one stays in its hidden folder
            shutil.rmtree(old, ignore_errors=True)
