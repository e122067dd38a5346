"""Writer of data-set folders, from the source of any reader, a bounded number of frames at a time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.config.recipe import Recipe
from selfmm.core.errors import OutputError
from selfmm.core.files import to_json
from selfmm.core.folders import LOCK, atomic_folder, refuse_to_replace
from selfmm.data.manifest import MANIFEST, TABLE, TEXT, Manifest, Modality
from selfmm.data.ratings import CORRECTIONS
from selfmm.data.store import Dataset, open_dataset

_CHUNK_CLIPS = 64
WORDS = "words.parquet"
"""File of words with their times, where known: id, word, start, end, probability."""
FAILURES = "failures.csv"
"""File of the clips that could not be extracted: id, path, reason."""


@dataclass(frozen=True)
class Frames:
    """The frames of one modality, read clip by clip.

    Attributes:
        modality: kind, dim and rate.
        lengths: (N,) frames per clip; 0 where the clip lacks the modality.
        read: function of the number of a clip; returns (length, dim), or (length,) for token ids.
        dtype: float32 or float16 for frames, int32 for tokens.
        file: a .npy file of another data set with exactly these frames, which is linked or copied instead of reading
            them clip by clip; None: there is none.
    """

    modality: Modality
    lengths: npt.NDArray[np.int64]
    read: Callable[[int], npt.NDArray[Any]]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    file: Path | None = None


@dataclass(frozen=True)
class Source:
    """A data set that has been read but not stored yet.

    Attributes:
        table: columns ``id``, ``split``, ``label``, ``text``, ``video`` and any optional ones of
            ``samples.parquet``; offsets and lengths are added on writing.
        frames: for each modality with a matrix, so not for words in the table.
        name, language, label_range, provenance: as in ``dataset.json``.
        recipe: how the features were extracted, if selfmm extracted them.
        tables: further tables for the folder, by file name (.parquet or .csv).
        notes: what the reader changed and what the user should know, one sentence each.
    """

    table: pd.DataFrame
    frames: Mapping[str, Frames]
    name: str
    label_range: tuple[float, float]
    language: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def write_dataset(source: Source, path: str | Path, *, force: bool = False) -> Dataset:
    """Store ``source`` as a data-set folder, atomically, and open it.

    It needs memory for the table and for 64 clips of one modality, whatever the size of the data set.

    Raises:
        OutputError: if ``path`` exists and ``force`` is False, if it holds corrections, or if it cannot be written.
        SourceError: if the reader finds wrong frames.
    """
    path = Path(path)
    check_writable(path, force=force)
    with atomic_folder(path, marker=MANIFEST, ours=_ours, force=force) as folder:
        table = source.table.reset_index(drop=True).copy()
        modalities: dict[str, Modality] = {}
        if TEXT not in source.frames and table[TEXT].fillna("").str.strip().ne("").any():
            modalities[TEXT] = Modality(kind="text")
        for name, frames in source.frames.items():
            modalities[name] = frames.modality
            table[f"{name}_offset"] = np.concatenate([[0], np.cumsum(frames.lengths)[:-1]]).astype(np.int64)
            table[f"{name}_length"] = frames.lengths.astype(np.int64)
            _write_matrix(folder / f"{name}.npy", frames)
        for name, rows in {TABLE: table, **source.tables}.items():
            write = rows.to_csv if name.endswith(".csv") else rows.to_parquet
            write(folder / name, index=False)
        manifest = Manifest(
            name=source.name,
            language=source.language,
            label_range=source.label_range,
            modalities=modalities,
            recipe=source.recipe,
            provenance=dict(source.provenance),
            checksums={file.name: sha256(file) for file in sorted(folder.iterdir())},
        )
        (folder / MANIFEST).write_text(to_json(manifest.model_dump(mode="json")) + "\n", encoding="utf-8")
        _refuse_to_lose_corrections(path)  # some may have been added meanwhile
    return open_dataset(path)


def check_writable(path: Path, *, force: bool) -> None:
    """Raise ``OutputError`` if ``write_dataset`` may not write there, for callers that need long to make a source."""
    _refuse_to_lose_corrections(path)
    refuse_to_replace(path.resolve(), MANIFEST, _ours, force)


def _refuse_to_lose_corrections(path: Path) -> None:
    if (path / CORRECTIONS).is_file():
        raise OutputError(
            f"{path} holds corrections that people made ({CORRECTIONS}), which `force=True` would lose. Move this file "
            "away, make the data set again, and put the file back: it refers to clips by their ids."
        )


def _ours(name: str) -> bool:
    return name in (MANIFEST, TABLE, WORDS, FAILURES, LOCK) or name.endswith(".npy")


def _write_matrix(path: Path, frames: Frames) -> None:
    """Write a .npy file by plain appends: with a memory map, a full disk would kill the process (SIGBUS)."""
    if frames.file is not None:
        try:
            path.hardlink_to(frames.file.resolve())
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(frames.file, path)
        return
    total = int(frames.lengths.sum())
    shape = (total,) if frames.modality.dim is None else (total, frames.modality.dim)
    with path.open("wb") as file:
        header = {"descr": frames.dtype.newbyteorder("<").str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(frames.lengths), _CHUNK_CLIPS):
            clips = [frames.read(i) for i in range(start, min(start + _CHUNK_CLIPS, len(frames.lengths)))]
            file.write(np.concatenate(clips).astype(frames.dtype.newbyteorder("<"), copy=False).tobytes())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(dataset: Dataset) -> str:
    """Return a hash of the content alone: the same source, imported again elsewhere, gives the same hash."""
    content = dataset.manifest.model_dump_json(exclude={"provenance", "name"})
    # The table as it is now, because somebody may have edited labels in it.
    return hashlib.sha256((content + sha256(dataset.path / TABLE)).encode()).hexdigest()
