"""The file of the ratings given in the app: JSON lines, one per act of a rater, appended and never changed.

It is next to the recordings or the data set, as ``<name>-ratings.jsonl``. No other reader of selfmm takes this file for
its own. The first line states the scale, ``{"selfmm_ratings": 1, "label_range": [-3.0, 3.0]}``. Every other line
is an `Act`. Several processes may append at once: each takes the lock ``.<name>-ratings.jsonl.lock``, and an act counts
once it is on the disk. If a process dies in the middle of a line, the next process starts a new line, and readers
ignore the torn one.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from selfmm.annotation.acts import CLIP, Act, Standing
from selfmm.annotation.ratings import Ratings
from selfmm.core.errors import SourceError
from selfmm.core.files import explain
from selfmm.core.folders import taking_turns
from selfmm.core.messages import count

SUFFIX = "-ratings.jsonl"
FORMAT = 1
COLUMNS = ("id", "modality", "rater", "label", "mode", "proposal", "accepted", "seconds", "time")
_ENTRIES = tuple("target" if name == "modality" else name for name in COLUMNS)
_HEAD = "selfmm_ratings"
_NUMBERS = ("label", "proposal", "seconds")
_COMPARED = 500  # of the bytes read last, to check that the file is still the same


def journal_path(source: str | Path, root: str | Path | None = None) -> Path:
    """Return where the ratings of a source are: next to it, or inside it if it is the folder ``root`` itself.

    Args:
        source: a data set, a folder of recordings, or a table of clips.
        root: the folder outside which no file may be made.
    """
    source = Path(source).resolve()
    inside = root is not None and source == Path(root).resolve()
    return (source if inside else source.parent) / f"{source.name}{SUFFIX}"


class RatingJournal:
    """The ratings in a file. It reads what other processes append, and threads may share it.

    Args:
        path: the file; the first act makes it.
        label_range: lowest and highest label, for a file that does not exist yet. An existing file has its own.

    Raises:
        SourceError: if the file cannot be read, or is not a journal of this version.
    """

    def __init__(self, path: str | Path, label_range: tuple[float, float] = (-3.0, 3.0)) -> None:
        self.path = Path(path)
        self._default = float(label_range[0]), float(label_range[1])
        self._guard = threading.Lock()
        self._forget()
        self._read()

    @property
    def label_range(self) -> tuple[float, float]:
        """Lowest and highest label."""
        return self._range or self._default

    @property
    def states_range(self) -> bool:
        """Whether the file states its scale."""
        return self._range is not None

    @property
    def damaged(self) -> int:
        """Number of lines that cannot be read, for example torn by a crash."""
        return self._damaged

    def add(self, *acts: Act) -> None:
        """Append acts; when this returns, they are on the disk. Ignore acts with a key that the file has already.

        Raises:
            ArgumentsError: if an act is wrong; none is then recorded.
            OutputError: if the file cannot be written; none is then recorded.
            SourceError: if the file is not a journal of this version.
        """
        with taking_turns(self.path.parent, f".{self.path.name}.lock"):
            self._read()
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            checked = [replace(act.checked(self.label_range), time=time) for act in acts]
            new = [act for act in checked if act.key not in self._keys]
            if not new:
                return
            head = [] if self._range else [{_HEAD: FORMAT, "label_range": list(self.label_range)}]
            rows = [*head, *(act.to_json() for act in new)]
            _append(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
            self._read()

    def acts(self) -> list[Act]:
        """Return the acts that count, ``rate`` or ``skip``, in the order in which they were made.

        Raises:
            SourceError: if the file cannot be read, or is not a journal of this version.
        """
        self._read()
        with self._guard:
            return list(self._standing)

    def ratings(self) -> pd.DataFrame:
        """Return the ratings that count.

        Returns:
            A row per clip, target and rater: ``id``, ``modality`` (``clip`` for the m-label), ``rater``, ``label``,
            ``mode``, ``proposal`` (NaN if none was shown), ``accepted``, ``seconds`` and ``time``.
        """
        rated = [act for act in self.acts() if act.act == "rate"]
        rows = [[getattr(act, name) for name in _ENTRIES] for act in rated]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(_NUMBERS, "float64"))

    def _forget(self) -> None:
        self._standing, self._keys = Standing(), set[str]()
        self._range: tuple[float, float] | None = None
        self._damaged, self._offset, self._last = 0, 0, b""

    def _read(self) -> None:
        """Read the complete lines that were appended since the last time, or everything if the file is another one."""
        with self._guard:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._offset - len(self._last))
                    if file.read(len(self._last)) != self._last:
                        self._forget()
                        file.seek(0)
                    whole, end, _ = file.read().rpartition(b"\n")
            except FileNotFoundError:
                self._forget()
                return
            except OSError as error:
                raise SourceError(f"cannot read {self.path}: {error.strerror}. Check its permissions.") from error
            if not end:
                return
            self._offset += len(whole) + len(end)
            self._last = whole[-_COMPARED:] + end
            for line in whole.split(b"\n"):
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            content = json.loads(line)
            if _HEAD in content:
                self._range = self._range or _range_of(content, self.path)
                return
            act = Act.from_json(content)
            act = replace(act.checked(self.label_range), time=act.time)
        except SourceError:
            raise
        except Exception:  # a torn line can be anything
            self._damaged += bool(line.strip())
            return
        if act.key not in self._keys:
            self._standing.take(act)
            self._keys |= {act.key} - {""}


def _range_of(head: dict[str, Any], path: Path) -> tuple[float, float]:
    if head[_HEAD] != FORMAT:
        raise SourceError(
            f"{path} has format {head[_HEAD]!r:.40}; this selfmm reads format {FORMAT}. Use the version of selfmm that "
            "made it."
        )
    low, high = map(float, head["label_range"])
    return low, high


def _append(path: Path, lines: bytes) -> None:
    """Append lines to a file and wait until they are on the disk. If this fails, the file stays as it was."""
    try:
        is_new = not path.exists()
        with path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                _write(file, _end_of_line(file, size) + lines)
            except OSError:
                with suppress(OSError):
                    file.truncate(size)
                raise
        if is_new:
            _flush_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error


def _end_of_line(file: BinaryIO, size: int) -> bytes:
    """Return a line break if the last line lacks one, because a crash tore it."""
    if not size:
        return b""
    file.seek(size - 1)
    return b"" if file.read(1) == b"\n" else b"\n"


def _write(file: BinaryIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make sure that a new file is still in its folder after a power failure, where the system supports that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_journal(path: Path) -> Ratings:
    """Return the ratings of single modalities in a journal, to import them as corrections."""
    journal = RatingJournal(path)
    table = journal.ratings()
    ratings = Ratings(label_range=journal.label_range)
    of_clips = table["modality"] == CLIP
    for row in table[~of_clips].itertuples():
        ratings.add(str(row.id), str(row.modality), row.label, str(row.rater))
    if unread := journal.damaged + _is_torn(path):
        sentence = (
            f"{count(unread, 'line')} cannot be read as ratings of the app, and {'was' if unread == 1 else 'were'}"
        )
        (ratings.problems if table.empty else ratings.notes).append(f"{sentence} left out.")
    if not journal.states_range and not table.empty:
        ratings.problems.append(
            f'it does not state its scale. Begin it with a line like {{"{_HEAD}": {FORMAT}, "label_range": [-3, 3]}}.'
        )
    return ratings


def _is_torn(path: Path) -> bool:
    """Return whether there is something after the end of the last line."""
    return bool(path.read_bytes().rpartition(b"\n")[2].strip())
