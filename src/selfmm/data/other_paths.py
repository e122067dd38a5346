"""What a path holds if it is not a data set, judged by names of files alone: the advice for the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selfmm.core.files import is_stray
from selfmm.core.messages import typed
from selfmm.data.manifest import MANIFEST, TABLE

RECORDINGS = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".wmv"),
        *(".asf", ".3gp", ".ogv", ".mxf", ".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma"),
        *(".aiff", ".aif", ".au", ".caf", ".amr"),
    )
)
"""Suffixes of recordings."""
TABLES = (".csv", ".tsv", ".xlsx", ".parquet")
"""Suffixes of tables."""
OTHER_TABLES = (".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
"""Suffixes of spreadsheets that are not read."""

_PICKLES = (".pkl", ".pickle")


def not_a_dataset(path: Path) -> str:
    """Return the error message for a path that should be a data set and is not: what it is, and what to do."""
    if not path.exists():
        if path.suffix.lower() in {*TABLES, *_PICKLES, *RECORDINGS, ".toml", ".json"}:
            return f"{path} does not exist. Check the path; a data set is a folder that selfmm import or extract made."
        return (
            f"{path} does not exist. Make a data set with: selfmm import SOURCE {typed(path)}, or selfmm extract "
            f"SOURCE {typed(path)}"
        )
    return _of_folder(path) if path.is_dir() else _of_file(path)


def _of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in TABLES:
        return (
            f"{path} is a table, not a data set. Make one with: selfmm extract {typed(path)} DST if it lists "
            f"recordings, or selfmm import {typed(path)} DST if its features are next to it"
        )
    if suffix in OTHER_TABLES:
        return f"{path} is a spreadsheet of a kind that is not read. Save it as .xlsx or .csv."
    if suffix in _PICKLES:
        return f"{path} is a pickle, not a data set. Make one with: selfmm import {typed(path)} DST"
    if suffix in RECORDINGS:
        return f"{path} is a recording, not a data set. Make one with: selfmm extract {typed(path)} DST"
    if suffix == ".toml":
        return f"{path} is a file of settings, not a data set. Train with it: selfmm train DATA --preset {typed(path)}"
    return f"{path} is a file, not a data set. Pass the folder that selfmm import or selfmm extract made."


def _of_folder(path: Path) -> str:
    names = {file.name for file in _visible(path)}
    if {"run.json", "settings.toml"} <= names:
        return (
            f"{path} is a run folder, not a data set. Pass a data set, for example the one that the run was trained on."
        )
    if any(file.suffix.lower() in RECORDINGS for file in _within(path)):
        return f"{path} holds recordings and is not a data set yet. Make one with: selfmm extract {typed(path)} DST"
    source = "SOURCE"
    if TABLE not in names:  # otherwise it is what remains of a data set
        source = next((str(path / name) for name in sorted(names) if name.endswith((*_PICKLES, *TABLES))), source)
    return (
        f"{path} is not a data set: it has no {MANIFEST}. Make a data set with: selfmm import {typed(source)} DST, or "
        "selfmm extract SOURCE DST"
    )


def _within(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and in its subfolders, as far as they can be listed."""
    for file in _visible(folder):
        yield from _visible(file) if file.is_dir() else (file,)


def _visible(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if not is_stray(file.name)]
    except OSError:
        return []
