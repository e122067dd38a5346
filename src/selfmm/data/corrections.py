"""Labels per modality that people gave to clips: ``corrections.parquet`` in the folder of a data set.

=========== ======= ================================================================================
column      type    meaning
=========== ======= ================================================================================
id          string  id of the clip
modality    string  the modality that was judged alone
label       float64 its label, on the scale of the data set
weight      float64 in [0, 1], its weight W_s in the loss of this modality
source      string  the name that the user gave, or the name of the file
annotators  string  names in the file, separated by commas; the label is the mean over them
imported_at string  time in UTC, ISO 8601
sha256      string  SHA-256 of the file that it was read from
=========== ======= ================================================================================

There is one row per clip and modality. The file has no checksum in ``dataset.json``: it grows while the rest of the
data set stays the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from selfmm.core.errors import DatasetError
from selfmm.core.files import atomic_file, explain
from selfmm.core.messages import first_line, some

CORRECTIONS = "corrections.parquet"
_NUMBERS = ("label", "weight")
COLUMNS = ("id", "modality", *_NUMBERS, "source", "annotators", "imported_at", "sha256")


def empty_corrections() -> pd.DataFrame:
    """Return a table of corrections without rows."""
    return pd.DataFrame({name: pd.Series(dtype="float64" if name in _NUMBERS else "str") for name in COLUMNS})


def read_corrections(
    folder: Path, ids: Collection[str], modalities: Collection[str], label_range: tuple[float, float]
) -> pd.DataFrame:
    """Return the corrections of a data-set folder; raise ``DatasetError`` if they are damaged or do not fit it."""
    path = folder / CORRECTIONS
    if not path.is_file():
        return empty_corrections()
    remedy = f"Fix it, or move {path} away to continue without corrections."
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow fails on damaged bytes in many ways
        raise DatasetError(f"cannot read {path}: {first_line(error)}. {remedy}") from error
    wrong = [name for name in COLUMNS if name not in table or not _is_of_type(table[name], name)]
    if wrong:
        raise DatasetError(f"{path} lacks the columns {wrong}, or they have the wrong type. {remedy}")
    problems = find_problems(table, ids, modalities, label_range)
    repeated = table["id"][table.duplicated(["id", "modality"])]
    if len(repeated):
        problems.append(f"clips are corrected twice: {some(list(repeated))}")
    if not table["weight"].between(0, 1).all():
        problems.append("weights are not in [0, 1]")
    if problems:
        raise DatasetError("\n  - ".join([f"{path} does not fit the data set:", *problems, remedy]))
    return table[list(COLUMNS)]


def _is_of_type(column: pd.Series, name: str) -> bool:
    if name in _NUMBERS:
        return bool(pd.api.types.is_float_dtype(column))
    return all(isinstance(value, str) for value in column)


def find_problems(
    table: pd.DataFrame, ids: Collection[str], modalities: Collection[str], label_range: tuple[float, float]
) -> list[str]:
    """Return what is wrong with the columns ``id``, ``modality`` and ``label``, one sentence per kind of problem."""
    problems = []
    unknown = table["id"][~table["id"].isin(set(ids))].unique()
    if len(unknown):
        problems.append(f"the data set has no clips with these ids: {some(list(unknown))}.")
    others = table["modality"][~table["modality"].isin(list(modalities))].unique()
    if len(others):
        problems.append(f"there are labels of {some(list(others))}; the data set has {', '.join(modalities)}.")
    low, high = label_range
    slack = 1e-6 * (high - low)  # a float32 .8 is a little more than .8
    outside = table[~table["label"].between(low - slack, high + slack)]
    if len(outside):
        named = [f"{row.label:g} ({row.modality} of {str(row.id)[:60]})" for row in outside.itertuples()]
        problems.append(f"labels are outside [{low:g}, {high:g}]: {some(named)}.")
    return problems


def count_corrections(table: pd.DataFrame) -> dict[str, int]:
    """Return the number of corrections per modality."""
    return {str(name): len(group) for name, group in table.groupby("modality", sort=False)}


def merge_corrections(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return old and new corrections together, and the number of old ones that were replaced."""
    merged = pd.concat([old, new], ignore_index=True) if len(old) else new
    latest = merged.drop_duplicates(["id", "modality"], keep="last")
    return latest.sort_values(["id", "modality"], ignore_index=True), len(merged) - len(latest)


def write_corrections(folder: Path, table: pd.DataFrame) -> None:
    """Replace the corrections of a data-set folder, atomically; remove the file if the table is empty.

    Raises:
        OutputError: if the folder cannot be written.
    """
    path = folder / CORRECTIONS
    if table.empty:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise explain(error, path) from error
        return
    with atomic_file(path) as temporary:
        table[list(COLUMNS)].to_parquet(temporary, index=False)


def digest(corrections: pd.DataFrame) -> str:
    """Return a hash of the columns that training uses; empty without corrections."""
    if corrections.empty:
        return ""
    rows = corrections.sort_values(["id", "modality"])[["id", "modality", "label", "weight"]]
    return hashlib.sha256(rows.to_csv(index=False).encode("utf-8", "surrogateescape")).hexdigest()
