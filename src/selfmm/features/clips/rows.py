"""Read one row of a table as a clip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from selfmm.config.recipe import PARTS
from selfmm.core.errors import SourceError
from selfmm.data.tables.cells import SEPARATOR, SPLIT_WORDS, rating_cell
from selfmm.features.clips.clip import Clip
from selfmm.features.clips.files import Finder

_KNOWN_SPLITS = ("train", "valid", "test")
_LABEL_OF = "label_"


class RowError(Exception):
    """A row that cannot be used."""


class Row(dict[str, str]):
    """Cells by column; a missing column is empty."""

    def __missing__(self, name: str) -> str:
        return ""

    @property
    def id(self) -> str:
        """The id, or one composed of video and clip; empty if both are missing."""
        if "id" in self or not self["clip_id"].strip():
            return self["id"].strip()
        video = self["video"].strip()
        return f"{video}{SEPARATOR}{self['clip_id'].strip()}" if video else self["clip_id"].strip()


def read_row(clip_id: str, row: Row, root: Path, finder: Finder, *, require_label: bool) -> Clip:
    """Return the clip of a row. Relative paths start in ``root``; ``finder`` is for rows without a path.

    Raises:
        RowError: if the row cannot be used, with the reason.
    """
    start, end = _time(row, "start"), _time(row, "end")
    if end is not None and end <= (start or 0.0):
        raise RowError(
            f"it ends at {end:g} s and starts at {start or 0.0:g} s; the end must be later. Correct its times."
        )
    label = _number(row, "label")
    if require_label and label is None:
        raise RowError("it has no label. Write a number, or remove the row.")
    recording = find_recording(clip_id, row, root, finder)
    text, subtitles = _transcript(row, root, recording, finder, whole=start is None and end is None)
    return Clip(
        path=recording,
        id=clip_id,
        start=start,
        end=end,
        text=text,
        subtitles=subtitles,
        label=label,
        split=_split(row),
        video=row["video"].strip() or (clip_id.split(SEPARATOR, 1)[0] if SEPARATOR in clip_id else ""),
        labels=dict(_labels(row)),
    )


def rating_of(row: Row) -> float | None:
    """Return the rating of a row; None if it has none, or one that is not a number."""
    try:
        return _number(row, "label")
    except RowError:
        return None


def _number(row: Row, column: str) -> float | None:
    cell = rating_cell(row[column]) if column.startswith("label") else row[column].strip()
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RowError(
            f"its {column} is {cell[:80]!r}; expected a number, with a point for decimals. Correct the cell."
        )
    return value


def _time(row: Row, column: str) -> float | None:
    value = _number(row, column)
    if value is not None and value < 0:
        raise RowError(f"its {column} is {value:g} s; expected seconds in the file, 0 or more. Correct its times.")
    return value


def _labels(row: Row) -> Iterator[tuple[str, float]]:
    for column in row:
        modality = column.removeprefix(_LABEL_OF)
        if not column.startswith(_LABEL_OF) or not modality:
            continue
        try:
            value = _number(row, column)
        except RowError:
            if modality in PARTS:
                raise
            continue  # a column like label_name holds no ratings
        if value is not None:
            yield modality, value


def _split(row: Row) -> str | None:
    cell = row["split"].strip().lower()
    split = SPLIT_WORDS.get(cell, cell)
    if split and split not in _KNOWN_SPLITS:
        raise RowError(f"its split is {cell[:80]!r}; expected train, valid or test. Correct the cell, or empty it.")
    return split or None


def _transcript(
    row: Row, root: Path, recording: Path, finder: Finder, *, whole: bool
) -> tuple[str | None, Path | None]:
    text = row["text"] if row["text"].strip() else None
    if cell := row["subtitles"].strip():
        if not (root / cell).is_file():
            raise RowError(f"its subtitles {root / cell} do not exist. Correct the path, or empty the cell.")
        return text, root / cell
    if text is not None:
        return text, None
    try:
        return finder.transcript_of(recording, timed=not whole)  # a text without times is of the whole recording
    except SourceError as error:
        raise RowError(str(error)) from error


def find_recording(clip_id: str, row: Row, root: Path, finder: Finder) -> Path:
    """Return the recording of a row; raise ``RowError`` if there is none."""
    if "path" not in row:
        return _by_name(clip_id, row, root, finder)
    cell = row["path"].strip()
    if not cell:
        raise RowError("it has no path. Write the path of its recording.")
    path = root / cell
    try:
        if path.is_file():
            return path
        problem = "is a folder" if path.is_dir() else "does not exist"
    except (OSError, ValueError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if "://" in cell:
        raise RowError(f"{cell} is an address. Download the recording, and write the path of the file.")
    raise RowError(
        f"{path} {problem}. Correct the path, or give the folder that holds the recordings as the media root."
    )


def _by_name(clip_id: str, row: Row, root: Path, finder: Finder) -> Path:
    video, clip = row["video"].strip(), row["clip_id"].strip()
    places = [(root, clip_id), (root, video)]
    if video and clip:
        places = [(root / video, clip), (root / "Raw" / video, clip), *places]
    if any(not _is_plain(name) for name in (clip_id, video, clip) if name):
        raise RowError(f"its id {clip_id[:80]!r} is a path, so no recording is looked for. Add a column path.")
    for folder, name in places:
        if name and (recording := finder.find(folder, name)) is not None:
            return recording
    tried = ", ".join(str(folder / f"{name}.*") for folder, name in places if name)
    raise RowError(f"there is no recording at {tried}. Add a column path, or give its folder as the media root.")


def _is_plain(name: str) -> bool:
    return name not in (".", "..") and not set(name) & set("/\\\0")
