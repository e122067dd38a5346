"""The clips of a data set as a table to search, filter and sort: 10,000 clips take a few milliseconds."""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm import api
from selfmm.api import parts
from selfmm.app.workspace import changed_at, dataset_version

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

BINS = 31
"""Bars of the label histogram. The first is centred at the lowest label, the last at the highest."""
_CLEAR = 0.1  # of the label range: a label this far from neutral is clearly positive or negative
_RATING = ("id", "modality", "rater", "label")
_KEPT = 16  # tables in memory


@dataclass(frozen=True, eq=False)
class ClipTable:
    """The clips of a data set, N, in its order.

    Attributes:
        dataset: the data set.
        ids, texts, videos, words: the id, text and recording of each clip, and all three in lower case for a search.
        splits: (N,) names.
        labels: (N,) m-labels; NaN where unknown.
        missing: per modality, (N,) whether the clip lacks it.
        by_modality: per modality with labels of its own, (N,) labels: those by people, else those of the data set, else
            NaN.
        people: every rating: ``id``, ``modality`` (``clip`` for the m-label), ``rater``, ``label``.
        ratings: (N,) number of ratings by people.
        warnings: what is wrong with each clip; empty if nothing is known to be wrong.
        spread: (N,) largest minus smallest label of the modalities; NaN if fewer than two are known.
        disagree: (N,) whether one modality is clearly positive and another one clearly negative.
        problem: why the ratings cannot be read; empty if they can.
    """

    dataset: api.Dataset
    ids: list[str]
    texts: list[str]
    videos: list[str]
    words: list[str]
    splits: npt.NDArray[np.str_]
    labels: Floats
    missing: Mapping[str, Bools]
    by_modality: Mapping[str, Floats]
    people: pd.DataFrame
    ratings: npt.NDArray[np.int64]
    warnings: list[str]
    spread: Floats
    disagree: Bools
    problem: str = ""
    places: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: api.Dataset, given: pd.DataFrame | None = None) -> ClipTable:
        """Return the table of an open data set.

        Args:
            dataset: the data set.
            given: ratings that are not yet part of it: ``id``, ``modality`` (``clip`` for the m-label), ``rater`` and
                ``label``. They replace earlier ones of the same rater.
        """
        samples = dataset.samples
        ids, videos = (samples[name].fillna("").astype(str).tolist() for name in ("id", "video"))
        texts = samples["text"].fillna("").astype(str).tolist()
        missing = {name: dataset.lengths(name) == 0 for name in dataset.modalities}
        people, problem = _people(dataset, given)
        by_modality = _labels_of_modalities(dataset, people)
        counts = people["id"].value_counts()
        zeros = np.zeros(len(ids), dtype=np.int64)
        spread, disagree = disagreement(by_modality, len(ids), dataset.manifest.label_range)
        return cls(
            dataset=dataset,
            ids=ids,
            texts=texts,
            videos=videos,
            words=["\n".join(row).casefold() for row in zip(ids, texts, videos, strict=True)],
            splits=samples["split"].to_numpy(dtype=str),
            labels=dataset.labels(),
            missing=missing,
            by_modality=by_modality,
            people=people,
            ratings=np.array([counts.get(name, 0) for name in ids], dtype=np.int64) if len(counts) else zeros,
            warnings=_warnings(dataset, ids, np.all(list(missing.values()), axis=0)),
            spread=spread,
            disagree=disagree,
            problem=problem,
            places={name: row for row, name in reversed(list(enumerate(ids)))},
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bin_width(self) -> float:
        """Width of a bar of the histogram, on the scale of the labels."""
        low, high = self.dataset.manifest.label_range
        return (high - low) / (BINS - 1)

    def histogram(self, rows: npt.NDArray[np.int64]) -> list[int]:
        """Return the number of these clips in each bar; labels outside the range are in the outer bars."""
        low, high = self.dataset.manifest.label_range
        labels = self.labels[rows]
        bars = np.rint((np.clip(labels[np.isfinite(labels)], low, high) - low) / self.bin_width)
        return np.bincount(bars.astype(np.int64), minlength=BINS).tolist()  # type: ignore[no-any-return]

    def media(self, row: int) -> tuple[str, float | None, float | None]:
        """Return the recording of a clip as the data set names it, and where the clip starts and ends in it."""
        samples = self.dataset.samples
        path = samples["path"].iloc[row] if "path" in samples else None
        start, end = (_second(samples[name].iloc[row]) if name in samples else None for name in ("start", "end"))
        return (path if isinstance(path, str) else ""), start, end


def _people(dataset: api.Dataset, given: pd.DataFrame | None) -> tuple[pd.DataFrame, str]:
    """Return every rating by people, and why those of the data set cannot be read (empty if they can)."""
    try:
        stored, problem = dataset.ratings, ""
    except api.DatasetError as error:
        stored, problem = pd.DataFrame(columns=list(_RATING)), str(error)
    tables = [table.reindex(columns=list(_RATING)) for table in (stored, given) if table is not None and len(table)]
    if not tables:
        return pd.DataFrame(columns=list(_RATING)), problem
    both = pd.concat(tables, ignore_index=True).drop_duplicates(["id", "modality", "rater"], keep="last")
    return both[both["id"].isin(dataset.samples["id"])].sort_values(["modality", "rater"], ignore_index=True), problem


def _labels_of_modalities(dataset: api.Dataset, people: pd.DataFrame) -> dict[str, Floats]:
    """Return the labels per modality: the mean of the ratings by people, else the label of the data set."""
    samples, labels = dataset.samples, {}
    for name in dataset.modalities:
        column = samples.get(f"label_{name}")
        if column is not None and column.notna().any():
            labels[name] = column.to_numpy(dtype=np.float64).copy()
    if len(people):
        rows = {name: row for row, name in reversed(list(enumerate(samples["id"].tolist())))}
        for modality, group in people.groupby("modality"):
            means = group.groupby("id")["label"].mean()
            own = labels.setdefault(str(modality), np.full(len(samples), np.nan))
            own[[rows[clip] for clip in means.index]] = means.to_numpy()
    return {name: labels[name] for name in dataset.modalities if name in labels}


def disagreement(labels: Mapping[str, Floats], count: int, label_range: tuple[float, float]) -> tuple[Floats, Bools]:
    """Return ``spread`` and ``disagree`` of :class:`ClipTable` for (N,) labels or scores per modality.

    Args:
        labels: NaN where unknown.
        count: N.
        label_range: lowest and highest label.
    """
    values = np.stack([*labels.values(), np.full(count, np.nan)])
    known = np.isfinite(values)
    several = known.sum(axis=0) > 1
    lowest = np.min(values, axis=0, where=known, initial=np.inf)
    highest = np.max(values, axis=0, where=known, initial=-np.inf)
    neutral = parts.LabelScale.of(label_range).neutral
    clear = _CLEAR * (label_range[1] - label_range[0])
    spread = np.where(several, highest - np.where(several, lowest, 0.0), np.nan)
    return spread, several & (lowest <= neutral - clear) & (highest >= neutral + clear)


def _warnings(dataset: api.Dataset, ids: list[str], nothing: Bools) -> list[str]:
    """Return what is known to be wrong with each clip; empty if nothing is."""
    samples, label_range = dataset.samples, dataset.manifest.label_range
    warnings = samples["warnings"].fillna("").astype(str).tolist() if "warnings" in samples else [""] * len(ids)
    labels, (lowest, highest) = dataset.labels(), parts.widened(label_range)
    shared = parts.shared_videos(samples)
    counts = Counter(ids)
    unlabelled = np.isnan(labels) & (samples["split"] != "test").to_numpy() & bool(np.isfinite(labels).any())
    cases: list[tuple[Any, str]] = [
        ((labels < lowest) | (labels > highest), f"the label is outside {scale_text(label_range)}"),
        (unlabelled, "it has no label, so training leaves it out"),
        (nothing, "it has no modality at all"),
        ([counts[name] > 1 for name in ids] if len(counts) < len(ids) else [], "another clip has the same id"),
        (samples["video"].isin(shared).to_numpy() if shared else [], "its recording has clips in two splits"),
    ]
    for at, sentence in cases:
        for row in np.flatnonzero(at).tolist():
            warnings[row] = f"{warnings[row]}; {sentence}" if warnings[row] else sentence
    return warnings


def scale_text(label_range: tuple[float, float]) -> str:
    """Return a range of labels as text, such as ``−3 to 3``."""
    low, high = label_range
    return f"{low:g} to {high:g}".replace("-", "−")


def _second(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and math.isfinite(value) else None


class ClipTables:
    """Tables of the data sets that were used last. A table is made again when a file changes."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[object, ...], ClipTable] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path, journal: api.RatingJournal | None = None) -> ClipTable:
        """Return the table of a data-set folder.

        Args:
            path: the folder.
            journal: ratings that are not yet part of the data set.

        Raises:
            DatasetError: if it cannot be read.
        """
        key = (path, *dataset_version(path), changed_at(journal.path) if journal else 0)
        with self._lock:
            if key not in self._tables:
                dataset = api.open_dataset(path)
                fits = journal is not None and tuple(journal.label_range) == tuple(dataset.manifest.label_range)
                given = journal.ratings() if journal is not None and fits else None
                self._tables[key] = ClipTable.of(dataset, given)
                while len(self._tables) > _KEPT:
                    self._tables.popitem(last=False)
            self._tables.move_to_end(key)
            return self._tables[key]


def warm_up() -> None:
    """Import what reads data sets and runs. It takes a second, for which the first page then need not wait."""
    import pyarrow.parquet  # noqa: F401  # pandas imports it only when it reads

    for module, name in ((api, "open_dataset"), (api, "open_ratings"), (parts, "RunFolder")):
        getattr(module, name)  # imports the module that defines it
