"""Import of a user's files as a data-set folder: read, check, store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from selfmm.core.errors import SourceError
from selfmm.core.files import is_stray
from selfmm.core.version import __version__
from selfmm.data.checks import Missing, check_source
from selfmm.data.findings import unimodal_labels_note
from selfmm.data.finite import NonFinite
from selfmm.data.inspect import count_unimodal_labels
from selfmm.data.manifest import Form
from selfmm.data.mmsa.pickles import read_mmsa_pickle
from selfmm.data.other_paths import TABLES
from selfmm.data.store import Dataset
from selfmm.data.tables.cells import refuse_other
from selfmm.data.tables.reader import find_table, read_table_source
from selfmm.data.writer import Source, sha256, write_dataset

_PICKLES = (".pkl", ".pickle")


def import_dataset(
    src: str | Path,
    dst: str | Path,
    *,
    name: str | None = None,
    language: str | None = None,
    label_range: tuple[float, float] | None = None,
    text: Form | None = None,
    tokenizer: str | None = None,
    non_finite: NonFinite = "error",
    missing: Missing = "error",
    seed: int = 0,
    force: bool = False,
) -> tuple[Dataset, tuple[str, ...]]:
    """Read an MMSA pickle or a table with features, check it, and store it as a data-set folder.

    Args:
        src: ``.pkl`` or ``.pickle`` (see `read_mmsa_pickle`), or ``.csv``, ``.tsv``, ``.xlsx``, ``.parquet`` or a
            folder with one of these (see `read_table_source`).
        dst: the folder to make, which appears only when it is complete.
        name, language, label_range, text, tokenizer, non_finite: see the readers.
        missing: ``error`` refuses clips that lack a modality, ``allow`` keeps them.
        seed: seed of the split, if the source has no splits.
        force: replace a data set at ``dst``.

    Returns:
        The opened data set, and notes on changes and on what the user should know.

    Raises:
        UnsafePickleError: if the pickle asks for anything but numpy arrays and plain containers.
        SourceError: if the source is missing, damaged or wrong; everything wrong is listed.
        OutputError: if ``dst`` exists or cannot be written.
    """
    src = Path(src)
    options: dict[str, Any] = {
        "name": name,
        "language": language,
        "label_range": label_range,
        "text": text,
        "tokenizer": tokenizer,
        "non_finite": non_finite,
    }
    source, files = _read(src, options, seed)
    notes = (*source.notes, *check_source(source, missing=missing))
    provenance = _provenance(files, {**options, "missing": missing, "seed": seed})
    dataset = write_dataset(replace(source, provenance=provenance), dst, force=force)
    return dataset, (*notes, *_unimodal_labels(dataset))


def _unimodal_labels(dataset: Dataset) -> list[str]:
    counts = count_unimodal_labels(dataset.samples, dataset.modalities)
    return [f"{unimodal_labels_note(counts)}."] if counts else []


def _read(src: Path, options: dict[str, Any], seed: int) -> tuple[Source, Sequence[Path]]:
    suffix = src.suffix.lower()
    if not src.exists():
        raise SourceError(f"{src} does not exist. Check the path.")
    if suffix in _PICKLES and src.is_file():
        return read_mmsa_pickle(src, **options), [src]
    if suffix in TABLES or src.is_dir():
        table = find_table(src)
        source = read_table_source(src, **options, seed=seed)
        return source, [table.parent / file for file in source.provenance["files"]]
    refuse_other(src)
    raise SourceError(
        f"{src} is not a kind of file that can be imported. Pass a pickle (.pkl, .pickle), a table (.csv, .tsv, "
        ".xlsx, .parquet), or a folder with a table in it."
    )


def _provenance(files: Sequence[Path], options: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the source. It has no paths: they reveal the user's machine and mean nothing elsewhere."""
    return {
        "source": files[0].name,
        "sha256": {file.name: _digest(file) for file in files},
        "selfmm": __version__,
        "imported": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {key: value for key, value in options.items() if value is not None},
    }


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; for a folder, of the names and hashes of its .npy files."""
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".npy" and not is_stray(file.name))
    lines = [f"{file.name} {sha256(file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
