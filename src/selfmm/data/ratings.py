"""Labels per modality that people gave to clips, one row per rating: ``corrections.parquet`` in a data-set folder.

=========== ======= ================================================================================
column      type    meaning
=========== ======= ================================================================================
id          string  id of the clip
modality    string  the modality that was judged alone
rater       string  who judged it; the source if the file named nobody
label       float64 the label that this rater gave, on the scale of the data set
weight      float64 in [0, 1], the weight that the user gave to the import
source      string  the name that the user gave, or the name of the file
imported_at string  time in UTC, ISO 8601
sha256      string  SHA-256 of the file that it was read from
=========== ======= ================================================================================

There is one row per clip, modality and rater; :mod:`selfmm.data.corrections` makes one label per clip and modality of
them. Older files have one row per clip and modality, and a column ``annotators`` instead of ``rater``. Such a row is
read as one rating. The file has no checksum in ``dataset.json``: it grows while the rest of the data set stays the
same.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from selfmm.core.errors import DatasetError
from selfmm.core.files import atomic_file, explain
from selfmm.core.messages import first_line, some
from selfmm.data.altered_ids import altered
from selfmm.data.scales import widened

CORRECTIONS = "corrections.parquet"
_NUMBERS = ("label", "weight")
RATINGS = ("id", "modality", "rater", *_NUMBERS, "source", "imported_at", "sha256")
_KEY = ["id", "modality", "rater"]


def empty_ratings() -> pd.DataFrame:
    """Return a table of ratings without rows."""
    return pd.DataFrame({name: pd.Series(dtype="float64" if name in _NUMBERS else "str") for name in RATINGS})


def read_ratings(
    folder: Path, ids: Collection[str], modalities: Collection[str], label_range: tuple[float, float]
) -> pd.DataFrame:
    """Return the ratings in a data-set folder; raise ``DatasetError`` if they are damaged or do not fit it."""
    path = folder / CORRECTIONS
    if not path.is_file():
        return empty_ratings()
    remedy = f"Fix it, or move {path} away to continue without corrections."
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow fails on damaged bytes in many ways
        raise DatasetError(f"cannot read {path}: {first_line(error)}. {remedy}") from error
    if "rater" not in table and {"annotators", "source"} <= set(table):  # an older file
        named = table["annotators"] != ""
        table = table.assign(rater=table["annotators"].where(named, table["source"]))
    wrong = [name for name in RATINGS if name not in table or not _is_of_type(table[name], name)]
    if wrong:
        raise DatasetError(f"{path} lacks the columns {wrong}, or they have the wrong type. {remedy}")
    problems = find_problems(table, ids, modalities, label_range)
    repeated = table["id"][table.duplicated(_KEY)]
    if len(repeated):
        problems.append(f"one rater rated clips twice: {some(list(repeated))}")
    if not table["weight"].between(0, 1).all():
        problems.append("weights are not in [0, 1]")
    if problems:
        raise DatasetError("\n  - ".join([f"{path} does not fit the data set:", *problems, remedy]))
    return table[list(RATINGS)]


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
        hint = altered(list(unknown), ids)
        problems.append(f"the data set has no clips with these ids: {some(list(unknown))}.{hint and f' {hint}'}")
    others = table["modality"][~table["modality"].isin(list(modalities))].unique()
    if len(others):
        problems.append(f"there are labels of {some(list(others))}; the data set has {', '.join(modalities)}.")
    low, high = label_range
    outside = table[~table["label"].between(*widened(label_range))]
    if len(outside):
        named = [f"{row.label:g} ({row.modality} of {str(row.id)[:60]})" for row in outside.itertuples()]
        problems.append(f"labels are outside [{low:g}, {high:g}]: {some(named)}.")
    return problems


def merge_ratings(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return old and new ratings together, and the old ones that gave way to a new one of the same rater.

    Returns:
        The ratings, sorted by clip, modality and rater; and one row per new rating that an old one had: ``id``,
        ``modality``, ``rater``, ``label`` and ``weight`` (old), ``label_new`` and ``weight_new``.
    """
    both = old.merge(new, on=_KEY, suffixes=("", "_new"))[[*_KEY, *_NUMBERS, "label_new", "weight_new"]]
    merged = pd.concat([old, new], ignore_index=True) if len(old) else new
    latest = merged.drop_duplicates(_KEY, keep="last")
    return latest.sort_values(_KEY, ignore_index=True), both


def write_ratings(folder: Path, table: pd.DataFrame) -> None:
    """Replace the ratings in a data-set folder, atomically; remove the file if the table is empty.

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
        table[list(RATINGS)].to_parquet(temporary, index=False)
