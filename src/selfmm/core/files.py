"""Write files whole or not at all: everything goes to a temporary file in the same folder, which is then renamed."""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm.core.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd


def explain(error: OSError, path: Path) -> OutputError:
    """Return the error to raise for an operating system error on writing ``path``, with what to do about it."""
    reason = {
        errno.ENOSPC: "the disk is full; free some space or choose another place",
        errno.EDQUOT: "the disk quota is used up; free some space or choose another place",
        errno.EACCES: "you may not write to this folder; choose another place or change its permissions",
        errno.EPERM: "you may not write to this folder; choose another place or change its permissions",
        errno.ENOENT: "the folder does not exist; make it or choose another place",
        errno.EROFS: "the file system is read-only; choose another place",
        errno.EEXIST: "a part of the path is a file, not a folder; choose another place",
        errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
        errno.EFBIG: "the file grows beyond the size you may write; raise the limit or choose another place",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    }.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"cannot write {path}: {reason}. Nothing was left half-written.")


_LITTER = {
    *(".ds_store", ".appledouble", ".localized", ".spotlight-v100", ".trashes", ".fseventsd", "__macosx", "icon\r"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", ".directory", "@eadir"),
}  # macOS; Windows, KDE and network drives
_unfinished: set[Path] = set()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` and rename it to ``path`` when the block ends without an error.

    Raises:
        OutputError: if the file cannot be written; ``path`` is then as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    _unfinished.add(temporary)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        _remove(temporary)


def discard_unfinished() -> None:
    """Remove the temporary files of this process, which is about to end without finishing them."""
    for temporary in list(_unfinished):
        _remove(temporary)


def _remove(temporary: Path) -> None:
    with suppress(OSError):  # what stopped the write may stop this too; the first error is the one to report
        temporary.unlink()
    _unfinished.discard(temporary)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def flush(path: Path) -> None:
    """Make sure that a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def to_json(content: object) -> str:
    """Return JSON text; NaN and infinity, which JSON does not know, become null."""
    return json.dumps(without_nan(content), indent=2, ensure_ascii=False)


def write_json(path: Path, content: object) -> None:
    """Write `to_json` of ``content``, atomically."""
    write_text(path, to_json(content) + "\n")


def write_json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(without_nan(row), ensure_ascii=False) + "\n" for row in rows))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically, as CSV, spreadsheet, JSON (an object per row) or Parquet by the suffix."""
    with atomic_file(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        elif path.suffix == ".xlsx":
            from selfmm.core.spreadsheets import write_spreadsheet

            write_spreadsheet(temporary, table)
        elif path.suffix == ".json":
            temporary.write_text(to_json(records(table)) + "\n", encoding="utf-8")
        else:
            table.to_parquet(temporary, index=False)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, for `to_json`."""
    return [{str(key): value for key, value in row.items()} for row in table.astype(object).to_dict("records")]


def without_nan(value: object) -> Any:
    """Return a copy of JSON content with None for numbers that are not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return value


def is_litter(name: str) -> bool:
    """Return whether systems and office programs leave a file of this name in any folder; nobody misses it.

    >>> [name for name in (".DS_Store", "Thumbs.db", "~$a.xlsx", ".~lock.a.csv#", "._a.wav", ".git") if is_litter(name)]
    ['.DS_Store', 'Thumbs.db', '~$a.xlsx', '.~lock.a.csv#', '._a.wav']
    """
    return name.startswith(("._", "~$", ".~lock.", ".nfs", ".fuse_hidden", ".#")) or name.lower() in _LITTER


def is_stray(name: str) -> bool:
    """Return whether a file says nothing about the folder it is in: it is hidden, litter or an editor's copy.

    >>> [name for name in (".git", "Thumbs.db", "a.csv~", "a.csv") if not is_stray(name)]
    ['a.csv']
    """
    return name.startswith(".") or name.endswith("~") or is_litter(name)


def safe_name(name: str) -> str:
    """Return a data set's name as part of a path. It comes with the data, so it must not lead elsewhere."""
    return re.sub(r"[^\w-]+", "_", name)[:100]
