"""Writes that either happen whole or not at all: everything goes to a temporary neighbour, then is renamed."""

from __future__ import annotations

import errno
import glob
import json
import math
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm.core.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


_HALF_WRITTEN = re.compile(r"\..+\.\d+\.partial|\.tmp[0-9A-Za-z]{6}")  # atomic_file's, and safetensors' own


def claim(
    folder: Path,
    otherwise: str,
    *,
    holds: str,
    ours: Callable[[Path], bool],
    begun: Callable[[Path], bool],
    resume: bool,
) -> None:
    """Makes a folder, or takes one that is there for what is to be gone on with; hidden files in it are let be.

    Args:
        otherwise: what a folder with other files is, for the message: ``no search``.
        holds: what it may hold, for the message: ``seeds``.
        ours: whether a file may be there.
        begun: whether a file says that there is something to resume.
        resume: whether that is wanted.

    Raises:
        OutputError: it is of something else, holds something and ``resume`` is not given, or cannot be made.
    """
    try:
        there = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
        foreign = [path.name for path in there if not ours(path)]
        if foreign or folder.is_file():
            what = f" (it holds {foreign[0]})" if foreign else ""
            raise OutputError(f"{folder} exists and is {otherwise}{what}. Choose another `out=...`.")
        if any(map(begun, there)) and not resume:
            raise OutputError(
                f"{folder} holds {holds} already. Pass `resume=True`, which trains only what is missing, or choose "
                "another `out=...`."
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


def explain(error: OSError, path: Path) -> OutputError:
    """Turns an operating system error on writing ``path`` into a message with the mend."""
    reason = {
        errno.ENOSPC: "the disk is full; free some space or choose another place",
        errno.EDQUOT: "the disk quota is used up; free some space or choose another place",
        errno.EACCES: "the folder is not writable for you; choose another place or change its permissions",
        errno.EPERM: "the folder is not writable for you; choose another place or change its permissions",
        errno.ENOENT: "the folder does not exist; make it or choose another place",
        errno.EROFS: "the file system is read-only; choose another place",
        errno.EEXIST: "a part of the path is a file, not a folder; choose another place",
        errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
        errno.EFBIG: "the file grows beyond the size you may write; raise the limit or choose another place",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    }.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"cannot write {path}: {reason}. Nothing was left half-written.")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` and renames it over ``path`` when the block ends well.

    Raises:
        OutputError: the file cannot be written; ``path`` is then as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        with suppress(OSError):  # what stopped the write may stop this too; the first error is the one to tell
            temporary.unlink()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keeps a second process from working in ``folder``; the lock goes with the process, however it ends.

    What a process before left half-written there is removed.

    Raises:
        OutputError: another process holds the lock.
    """
    if fcntl is None:  # no such locks on this system
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"another process is at work in {folder}. Wait for it, or choose another `out=...`."
            ) from error
        sweep(folder)
        yield


def sweep(folder: Path) -> None:
    """Removes what killed processes left half-written in a folder to which nobody else writes now."""
    for left in folder.glob(".*"):
        if _HALF_WRITTEN.fullmatch(left.name) and left.is_file():
            with suppress(OSError):
                left.unlink()


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Waits until no other process is in such a block for ``folder``, so that what one reads and writes is not lost."""
    if fcntl is None:  # no such locks on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)  # the folder itself: no file is left in it, and it need not be writable
    try:
        with suppress(OSError):  # some network file systems know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(
    path: Path, *, marker: str, ours: Callable[[str], bool] = lambda name: True, force: bool = False
) -> Iterator[Path]:
    """Yields an empty temporary folder beside ``path`` and renames it to ``path`` when the block ends well.

    Args:
        path: the folder to make.
        marker: name of a file that tells a folder of ours from any other; ``force`` replaces nothing else.
        ours: whether a file of this name may lie in such a folder; ``force`` replaces no folder that holds others.
        force: replace a folder that is there already. The old one stays until the new one is complete.

    Raises:
        OutputError: ``path`` exists and ``force`` is not given, it is not ours to replace, or it cannot be
            written.
    """
    path = path.resolve()  # "." and "a/.." have no name to put a temporary folder beside
    temporary = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.partial")
    try:
        refuse_to_replace(path, marker, ours, force)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        _swap(temporary, path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_to_replace(path: Path, marker: str, ours: Callable[[str], bool], force: bool) -> None:
    """Raises ``OutputError`` where ``atomic_folder`` with these arguments would."""
    if path == Path.cwd():
        raise OutputError(f"{path} is the folder you are in; name another one, for example {path.name}/data.")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not force:
        raise OutputError(f"{path} exists already. Choose another name, or pass `force=True` to replace it.")
    foreign = sorted(file.name for file in path.iterdir() if not ours(file.name)) if path.is_dir() else [path.name]
    if foreign or not (path / marker).is_file():
        what = f"other files ({', '.join(foreign[:3])})" if foreign else f"no {marker}"
        raise OutputError(f"{path} exists and holds {what}, so `force=True` does not replace it. Choose another name.")


def _remove_abandoned(path: Path) -> None:
    """Removes what earlier writers of ``path`` on this machine left when they were killed."""
    prefix = f".{path.name}.{platform.node()}-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*.partial"):
        pid = left.name.removeprefix(prefix).removesuffix(".partial")
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _swap(new: Path, path: Path) -> None:
    """Renames ``new`` to ``path``; what stood there goes only after the new folder is in place."""
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    try:
        path.rename(old / "old")
        new.rename(path)
    except BaseException:  # an interrupt too must not cost the old one
        if (old / "old").exists() and not path.exists():
            (old / "old").rename(path)
        raise
    finally:
        if path.exists():  # else the old one stays in its hidden folder rather than nowhere
            shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def to_json(content: object) -> str:
    """JSON text; NaN, which JSON does not know, becomes null."""
    return json.dumps(_without_nan(content), indent=2, ensure_ascii=False)


def write_json(path: Path, content: object) -> None:
    """Writes JSON atomically; NaN becomes null."""
    write_text(path, to_json(content) + "\n")


def write_json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(_without_nan(row), ensure_ascii=False) + "\n" for row in rows))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes a table atomically, as CSV or Parquet by the suffix."""
    with atomic_file(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return value


def safe_name(name: str) -> str:
    """A data set's name as part of a path: it comes with the data, which may be a stranger's, and must not lead out."""
    return re.sub(r"[^\w-]+", "_", name)[:100]
