"""Import of annotations as corrections of a data set: all of them, or none if something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from selfmm.annotation.label_studio_answers import read_label_studio
from selfmm.annotation.ratings import Ratings, printable
from selfmm.annotation.sheet import read_sheet
from selfmm.core.errors import SourceError, refuse
from selfmm.core.folders import taking_turns
from selfmm.data.corrections import COLUMNS, count_corrections, find_problems, merge_corrections, write_corrections
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.tables.reader import SUFFIXES
from selfmm.data.writer import sha256
from selfmm.training.corrections import training_corrections


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        counts: number of new corrections per modality.
        replaced: number of older corrections that were replaced.
        total: number of corrections of the data set after the import.
        notes: what the user should know, one sentence each.
    """

    counts: dict[str, int]
    replaced: int
    total: int
    notes: tuple[str, ...]


def import_corrections(
    dataset: Dataset, path: str | Path, *, weight: float = 1.0, source: str | None = None
) -> Imported:
    """Read the labels of annotators and store them in the data-set folder as corrections.

    The label of a clip and a modality is the mean over all annotators. It replaces an older correction of the same clip
    and modality; empty cells and missing ratings change nothing.

    Args:
        dataset: the data set with the clips. It keeps the corrections that it has read; open it again to see the
            new ones.
        path: a filled sheet (.csv, .tsv, .parquet) or an export of Label Studio (.json: JSON or JSON-MIN).
        weight: weight of these labels in training, in [0, 1].
        source: a name for the origin of the labels; by default the name of the file.

    Raises:
        SourceError: if something is wrong; everything wrong is listed, and nothing is changed.
        DatasetError: if the existing corrections are damaged.
        OutputError: if the folder cannot be written.
    """
    path = Path(path)
    ratings = _read(path)
    table = ratings.table()
    problems = ratings.all_problems()
    ids = set(dataset.samples["id"].dropna())
    problems += find_problems(table, ids, dataset.modalities, dataset.manifest.label_range)
    if not 0 <= weight <= 1:
        problems.append(f"the weight is {weight}; give a number from 0 to 1.")
    if table.empty and not problems:
        problems.append("it has no labels. Fill in label_<modality>, or submit annotations and export again.")
    refuse(f"{path} cannot be imported; nothing was changed:", problems)
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
    """Remove all corrections of one source and return their number.

    Raises:
        SourceError: if no correction has this source.
    """
    with taking_turns(dataset.path):
        table = open_dataset(dataset.path).corrections
        others = table[table["source"] != source]
        if len(others) == len(table):
            sources = ", ".join(sorted(set(table["source"]))) or "none"
            raise SourceError(f"{dataset.path} has no corrections from {source!r}; their sources are: {sources}.")
        write_corrections(dataset.path, others)
    return len(table) - len(others)


def _read(path: Path) -> Ratings:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SourceError(f"{path} {'is not a file' if path.exists() else 'does not exist'}. Check the path.")
    if suffix == ".json":
        return read_label_studio(path)
    if suffix in SUFFIXES:
        return read_sheet(path)
    raise SourceError(
        f"{path} is not a kind of file that can be imported. Pass a filled sheet (.csv, .tsv, .parquet) or a Label "
        "Studio export (.json)."
    )


def _unused(folder: Path, new: pd.DataFrame) -> list[str]:
    dataset = open_dataset(folder)
    usable = training_corrections(dataset, list(dataset.modalities), dataset.rows("train"))
    used = usable[["id", "modality"]].assign(used=True)
    unused = int(new.merge(used.drop_duplicates(), on=["id", "modality"], how="left")["used"].isna().sum())
    if not unused:
        return []
    return [
        f"{unused} of them belong to clips outside the training split or without the modality. They are kept, but "
        "training does not use them."
    ]
