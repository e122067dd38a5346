"""Annotations become corrections of a data set, all of them or none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from selfmm.annotation.label_studio_answers import read_label_studio
from selfmm.annotation.ratings import Ratings, printable
from selfmm.annotation.sheet import read_sheet
from selfmm.core.errors import SourceError
from selfmm.core.folders import taking_turns
from selfmm.data.corrections import (
    COLUMNS,
    count_corrections,
    find_problems,
    merge_corrections,
    training_corrections,
    write_corrections,
)
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.tables.reader import SUFFIXES
from selfmm.data.writer import sha256


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        counts: new corrections per modality.
        replaced: how many of them took the place of an older one.
        total: corrections of the data set now.
        notes: what the user should know, one sentence each.
    """

    counts: dict[str, int]
    replaced: int
    total: int
    notes: tuple[str, ...]


def import_corrections(
    dataset: Dataset, path: str | Path, *, weight: float = 1.0, source: str | None = None
) -> Imported:
    """Reads what annotators filled in and stores it in the data-set folder as corrections.

    A clip's label of a modality is the mean of all who judged it. An older correction of the same clip and modality is
    replaced; an empty cell or a rating nobody gave changes nothing.

    Args:
        dataset: the clips are looked up in it by their id. It keeps the corrections it had read; open it anew.
        path: a filled sheet (.csv, .tsv, .parquet) or Label Studio's export (.json: JSON or JSON-MIN).
        weight: of these labels in training, in [0, 1].
        source: where they come from; by default the file's name.

    Raises:
        SourceError: something is wrong, and nothing was changed; all that was found is listed.
        DatasetError: the corrections that are there already are damaged.
        OutputError: the folder cannot be written.
    """
    path = Path(path)
    ratings = _read(path)
    given = ratings.table()
    problems = ratings.all_problems()
    ids = set(dataset.samples["id"].dropna())
    problems += find_problems(given, ids, dataset.modalities, dataset.manifest.label_range)
    if not 0 <= weight <= 1:
        problems.append(f"the weight is {weight}; give a number from 0 to 1.")
    if given.empty and not problems:
        problems.append("there is no label in it. Fill in label_<modality>, or submit annotations and export again.")
    if problems:
        raise SourceError("\n  - ".join([f"{path} cannot be imported as it is; nothing was changed:", *problems]))
    new = ratings.means().assign(
        weight=float(weight),
        source=printable(source or path.name),
        imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256=sha256(path),
    )[list(COLUMNS)]
    with taking_turns(dataset.path):
        merged, replaced = merge_corrections(open_dataset(dataset.path).corrections, new)
        write_corrections(dataset.path, merged)
    notes = (*ratings.notes, *_unused(dataset.path, new))
    return Imported(count_corrections(new), replaced, len(merged), notes)


def forget_corrections(dataset: Dataset, source: str) -> int:
    """Takes back all corrections of one source; returns how many these were.

    Raises:
        SourceError: there is no such source.
    """
    with taking_turns(dataset.path):
        table = open_dataset(dataset.path).corrections
        kept = table[table["source"] != source]
        if len(kept) == len(table):
            there = ", ".join(sorted(set(table["source"]))) or "none"
            raise SourceError(f"{dataset.path} has no corrections from {source!r}; their sources are: {there}.")
        write_corrections(dataset.path, kept)
    return len(table) - len(kept)


def _read(path: Path) -> Ratings:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SourceError(f"{path} {'is no file' if path.exists() else 'does not exist'}. Check the path.")
    if suffix == ".json":
        return read_label_studio(path)
    if suffix in SUFFIXES:
        return read_sheet(path)
    raise SourceError(
        f"{path} is of an unknown kind. Give a filled sheet (.csv, .tsv, .parquet) or Label Studio's export (.json)."
    )


def _unused(folder: Path, new: pd.DataFrame) -> list[str]:
    dataset = open_dataset(folder)
    heeded = training_corrections(dataset, list(dataset.modalities), dataset.rows("train"))
    used = heeded[["id", "modality"]].assign(used=True)
    unused = int(new.merge(used.drop_duplicates(), on=["id", "modality"], how="left")["used"].isna().sum())
    if not unused:
        return []
    return [
        f"{unused} of them are of clips outside the training split, or that lack the stream: they are kept, but "
        "training has no use for them."
    ]
