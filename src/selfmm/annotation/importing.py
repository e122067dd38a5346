"""Import of annotations as corrections of a data set: all of them, or none if something is wrong."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from selfmm.annotation.journal import read_journal
from selfmm.annotation.label_studio_answers import read_label_studio
from selfmm.annotation.ratings import Ratings, printable, rater_name
from selfmm.annotation.sheet import read_sheet
from selfmm.core.errors import SourceError, refuse
from selfmm.core.folders import taking_turns
from selfmm.core.messages import count, some
from selfmm.data.agreement import agreement
from selfmm.data.corrections import count_corrections
from selfmm.data.manifest import TEXT
from selfmm.data.other_paths import TABLES
from selfmm.data.ratings import RATINGS, find_problems, merge_ratings, write_ratings
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.tables.cells import refuse_other
from selfmm.data.writer import sha256
from selfmm.training.corrections import training_corrections

JOURNAL = ".jsonl"
"""Suffix of the ratings given in the app, see `selfmm.annotation.journal`."""


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        counts: number of ratings in the file, per modality.
        raters: the names of the raters in the file.
        added, replaced, unchanged: number of ratings in the file that are new, that replaced another rating of the same
            rater, and that the data set had already.
        total: number of corrections of the data set after the import: clips and modalities with a rating.
        agreement: of all raters of the data set, see `selfmm.data.agreement.agreement`.
        notes: what the user should know, one sentence each.
    """

    counts: dict[str, int]
    raters: tuple[str, ...]
    added: int
    replaced: int
    unchanged: int
    total: int
    agreement: pd.DataFrame
    notes: tuple[str, ...]


def import_corrections(
    dataset: Dataset, path: str | Path, *, weight: float = 1.0, source: str | None = None, rater: str | None = None
) -> Imported:
    """Read the labels that people gave and store each of them in the data-set folder.

    Every rater's rating is kept. It replaces an older rating of the same rater, clip and modality; ratings of others
    are added. Empty cells and missing ratings change nothing. `selfmm.data.corrections` makes one label of them.

    Args:
        dataset: the data set with the clips. It keeps the corrections that it has read; open it again to see the
            new ones.
        path: a filled sheet (.csv, .tsv, .xlsx, .parquet), an export of Label Studio (.json: JSON or JSON-MIN), or the
            ratings given in the app (.jsonl). Of these, ratings of whole clips and of other clips are left out, and
            earlier ratings of the same source that are not in the file any more are removed.
        weight: weight of these labels in training, in [0, 1].
        source: a name for the origin of the labels; by default the name of the file.
        rater: who gave the ratings that name nobody; by default the source.

    Raises:
        SourceError: if something is wrong; everything wrong is listed, and nothing is changed.
        DatasetError: if the existing corrections are damaged.
        OutputError: if the folder cannot be written.
    """
    path = Path(path)
    samples = dataset.samples.dropna(subset="id")
    ids = set(samples["id"])
    ratings = _read(path, ids)
    from_app = path.suffix.lower() == JOURNAL
    if from_app:
        _leave_out_others(ratings, dataset)
    if TEXT in samples:
        ratings.check_texts(dict(samples[["id", TEXT]].dropna().itertuples(index=False, name=None)))
    origin = printable(source or path.name)
    table, repeated = ratings.by_rater(rater_name(rater or "") or rater_name(origin))
    problems = ratings.all_problems()
    problems += _other_scale(ratings, dataset)
    problems += find_problems(table, ids, dataset.modalities, dataset.manifest.label_range)
    if not 0 <= weight <= 1:
        problems.append(f"the weight is {weight}; give a number from 0 to 1.")
    if table.empty and not problems and from_app:
        problems.append(
            "nobody rated a single modality of a clip of this data set. Ratings of whole clips become m-labels of a "
            "copy: name it with `out=...`."
        )
    elif table.empty and not problems:
        problems.append("it has no labels. Fill in label_<modality>, or submit annotations and export again.")
    refuse(f"{path} cannot be imported; nothing was changed:", problems)
    new = table.assign(
        weight=float(weight),
        source=origin,
        imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256=sha256(path),
    )[list(RATINGS)]
    with taking_turns(dataset.path):
        merged, before = merge_ratings(open_dataset(dataset.path).ratings, new)
        if from_app:  # ratings that were taken back in the app since the last import
            key = ["id", "modality", "rater"]
            imported = pd.MultiIndex.from_frame(merged[key]).isin(pd.MultiIndex.from_frame(new[key]))
            merged = merged[imported | (merged["source"] != origin)]
        write_ratings(dataset.path, merged)
    changed = before[(before["label"] != before["label_new"]) | (before["weight"] != before["weight_new"])]
    after = open_dataset(dataset.path)
    notes = [
        *ratings.notes,
        *_repeated(repeated),
        *_unnamed(ratings, rater),
        *_alike(set(after.ratings["rater"])),
        *_replaced(changed),
        *_unused(after, new),
    ]
    return Imported(
        counts=count_corrections(new),
        raters=tuple(sorted(set(new["rater"]))),
        added=len(new) - len(before),
        replaced=len(changed),
        unchanged=len(before) - len(changed),
        total=len(after.corrections),
        agreement=agreement(after.ratings),
        notes=tuple(notes),
    )


def forget_corrections(dataset: Dataset, source: str) -> int:
    """Remove all ratings of one source and return their number.

    Raises:
        SourceError: if no rating has this source.
    """
    with taking_turns(dataset.path):
        table = open_dataset(dataset.path).ratings
        others = table[table["source"] != source]
        if len(others) == len(table):
            sources = ", ".join(sorted(set(table["source"]))) or "none"
            raise SourceError(f"{dataset.path} has no corrections from {source!r}; their sources are: {sources}.")
        write_ratings(dataset.path, others)
    return len(table) - len(others)


def _read(path: Path, ids: Collection[str]) -> Ratings:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SourceError(f"{path} {'is not a file' if path.exists() else 'does not exist'}. Check the path.")
    if suffix == ".json":
        return read_label_studio(path)
    if suffix == JOURNAL:
        return read_journal(path)
    if suffix in TABLES:
        return read_sheet(path, ids)
    refuse_other(path)
    raise SourceError(
        f"{path} is not a kind of file that can be imported. Pass a filled sheet (.csv, .tsv, .xlsx, .parquet), a "
        "Label Studio export (.json), or the ratings given in the app (.jsonl)."
    )


def _leave_out_others(ratings: Ratings, dataset: Dataset) -> None:
    """Leave out ratings of clips that could not be extracted, and of modalities that the data set does not have."""
    usable = [row for row in ratings.rows if row.id in dataset and row.modality in dataset.modalities]
    if left_out := len(ratings.rows) - len(usable):
        ratings.notes.append(f"{count(left_out, 'rating')} left out: the data set lacks the clip or the modality.")
    ratings.rows[:] = usable


def _other_scale(ratings: Ratings, dataset: Dataset) -> list[str]:
    own = dataset.manifest.label_range
    if ratings.label_range in (None, own) or not ratings.rows:
        return []
    low, high = ratings.label_range or own
    return [
        f"the ratings are from {low:g} to {high:g}, but the labels of the data set are from {own[0]:g} to {own[1]:g}. "
        "Rate on that scale."
    ]


def _alike(raters: Collection[str]) -> list[str]:
    """Return a note on raters whose names differ only in capitals."""
    names: dict[str, list[str]] = {}
    for rater in sorted(raters):
        names.setdefault(rater.casefold(), []).append(rater)
    alike = [", ".join(same) for same in names.values() if len(same) > 1]
    return [f"raters differ only in capitals: {some(alike)}. They count as different people."] if alike else []


def _repeated(number: int) -> list[str]:
    if not number:
        return []
    return [f"the same person annotated clips again: {count(number, 'earlier rating')} of the file left out."]


def _unnamed(ratings: Ratings, rater: str | None) -> list[str]:
    unnamed = any(not rating.rater for rating in ratings.rows)
    if rater and not unnamed:
        return ["the file names its raters, so `rater=...` is not used."]
    if rater or not unnamed:
        return []
    return ["ratings without a rater count as those of one person with the name of the source; `rater=...` names them."]


def _replaced(changed: pd.DataFrame) -> list[str]:
    if changed.empty:
        return []
    rows = [
        f"{row.modality} of {str(row.id)[:60]} ({row.rater}): {row.label:g} -> {row.label_new:g}"
        for row in changed[changed["label"] != changed["label_new"]].itertuples()
    ]
    weights = f" weights changed in {len(changed) - len(rows)}." if len(rows) < len(changed) else ""
    shown = f" {some(rows)}." if rows else ""
    return [f"{count(len(changed), 'rating')} replaced an earlier one of the same rater.{shown}{weights}"]


def _unused(dataset: Dataset, new: pd.DataFrame) -> list[str]:
    usable = training_corrections(dataset, list(dataset.modalities), dataset.rows("train"))
    used = usable[["id", "modality"]].drop_duplicates().assign(used=True)
    unused = int(new.merge(used, on=["id", "modality"], how="left")["used"].isna().sum())
    if not unused:
        return []
    return [
        f"{count(unused, 'rating')} left out of training, but kept: the clip is outside the training split or lacks "
        "the modality."
    ]
