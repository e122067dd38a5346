"""The folder that the app shows: the data sets, runs, comparisons and recordings in it. Nothing outside is served."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import NotHereError, RequestError

Kind = Literal["dataset", "run", "seeds", "comparison", "recordings"]

_DEPTH = 5  # folders below the one that is shown
_MOST = 20_000  # folders to look at
_FRESH = 2.0  # seconds for which a search is used again
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__"})


@dataclass(frozen=True)
class Item:
    """Something in the folder.

    Attributes:
        kind: what it is.
        name: its path from the folder that is shown, with ``/``; ``.`` for that folder itself. It is its identity.
        modified: time of its last change, in seconds since 1970.
        count: number of recordings; 0 for other kinds.
    """

    kind: Kind
    name: str
    modified: float
    count: int = 0


class Workspace:
    """The folder that the app shows.

    Args:
        root: the folder.

    Raises:
        SourceError: if it is not a folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise api.SourceError(f"{root} is not a folder. Give the folder with your data sets, runs and recordings.")
        self._found: tuple[float, list[Item]] = (-_FRESH, [])

    def items(self, *kinds: Kind) -> list[Item]:
        """Return the items of these kinds, or of all kinds; the last changed come first.

        Raises:
            NotHereError: if the folder itself is gone.
        """
        if not self.root.is_dir():
            raise NotHereError(f"The folder {self.root.name!r} is gone. Move it back, or start selfmm for another one.")
        then, found = self._found
        if time.monotonic() - then >= _FRESH:
            found = sorted(self._search(), key=lambda item: (-item.modified, item.name))
            self._found = (time.monotonic(), found)
        return [item for item in found if not kinds or item.kind in kinds]

    def look_again(self) -> None:
        """Search the folder again at the next call of :meth:`items`, because something was made or removed."""
        self._found = (-_FRESH, [])

    def unwritable(self) -> str:
        """Return what does not work because the folder cannot be written, and what to do; empty if it can."""
        if _is_writable(self.root):
            return ""
        return (
            f"The folder {self.root.name!r} cannot be written, so you cannot rate clips, make data sets or train in "
            "it. You can score, and look at what is there. Change the permissions of the folder, or start selfmm for a "
            "folder of your own."
        )

    def path(self, name: str) -> Path:
        """Return the path of something in the folder.

        Raises:
            NotHereError: if it does not exist, or lies outside, perhaps behind a link.
        """
        try:
            path = (self.root / name).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # missing, a null byte, or links that form a circle
            path = None
        if path is None or not path.is_relative_to(self.root) or Path(name).is_absolute():
            raise NotHereError(f"There is no {name[:200]!r} in this folder. It may have been moved or deleted.")
        return path

    def source(self, name: str) -> Path:
        """Return the path of a data set or a folder of recordings, whose clips are listed with their paths.

        Raises:
            NotHereError: if it does not exist, or lies outside.
            RequestError: if its path is not UTF-8, which tables cannot hold.
        """
        path = self.path(name)
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise RequestError(
                f"The name {name[:200]} has a character that is not UTF-8. Rename the folder to work with its clips."
            ) from None
        return path

    def name_of(self, path: str | Path) -> str | None:
        """Return the name of a path, which may not exist; None if it lies outside the folder."""
        try:
            resolved = (self.root / path).resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        return resolved.relative_to(self.root).as_posix() if resolved.is_relative_to(self.root) else None

    def run(self, name: str) -> str | Path:
        """Return the run that a page or a request names: ``starter``, or the path of a run in the folder.

        Raises:
            NotHereError: if there is no such run.
        """
        return name if name == parts.STARTER else self.path(name)

    def _search(self) -> Iterator[Item]:
        for seen, (folder, names, files) in enumerate(self._walk()):
            if seen >= _MOST:
                return
            kind = _kind_of(files, names)
            recordings = 0 if kind in ("dataset", "run", "seeds") else sum(map(is_recording, files))
            if kind is None and not recordings:
                continue
            try:
                modified = folder.stat().st_mtime
            except OSError:
                continue
            name = folder.relative_to(self.root).as_posix()
            if kind is not None:
                yield Item(kind, name, modified)
            if recordings:
                yield Item("recordings", name, modified, recordings)

    def _walk(self) -> Iterator[tuple[Path, list[str], list[str]]]:
        for place, names, files in os.walk(self.root):
            folder = Path(place)
            depth = len(folder.relative_to(self.root).parts)
            if "pyvenv.cfg" in files:
                names.clear()
                continue
            names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
            yield folder, list(names), files
            if depth >= _DEPTH or _kind_of(files, names) in ("dataset", "run"):
                names.clear()


def changed_at(file: Path) -> int:
    """Return the time of the last change of a file in nanoseconds since 1970; 0 if it does not exist."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def run_version(run: str | Path) -> int:
    """Return a number that changes when a run or a folder of seeds is trained again; 0 for the starter."""
    return 0 if run == parts.STARTER else changed_at(Path(run) / "run.json") or changed_at(Path(run) / "summary.json")


def dataset_version(path: Path) -> tuple[int, ...]:
    """Return numbers that change when a data set, or the ratings in it, change."""
    return tuple(changed_at(path / name) for name in (parts.MANIFEST, parts.TABLE, parts.CORRECTIONS))


def write_problem(*folders: Path) -> str:
    """Return why selfmm cannot make files in one of these folders, and what to do; an empty text if it can.

    A folder that does not exist yet is made in the nearest one that does.
    """
    for folder in folders:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if not _is_writable(existing):
            return (
                f"selfmm may not write to the folder {existing.name}. Change its permissions, or start selfmm for a "
                "copy of the folder in a place where you may write."
            )
    return ""


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _kind_of(files: list[str], folders: list[str]) -> Kind | None:
    if parts.MANIFEST in files:
        return "dataset"
    if "run.json" in files:
        return "run"
    if "comparison.json" in files:
        return "comparison"
    return "seeds" if "summary.json" in files and any(name.startswith("seed-") for name in folders) else None


def is_seed(name: str) -> bool:
    """Return whether the run of this name is one of several seeds, which are shown together."""
    return name.rpartition("/")[2].startswith("seed-")


def is_recording(name: str) -> bool:
    """Return whether a file of this name is a recording to show."""
    return not name.startswith(".") and Path(name).suffix.lower() in parts.RECORDINGS
