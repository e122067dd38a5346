"""Inspection of a data set before training: what it holds, and what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.config.settings import PRESETS, Settings, load_settings
from selfmm.core.languages import ENGLISH_ONLY
from selfmm.data.capitals import in_capitals
from selfmm.data.corrections import count_corrections
from selfmm.data.findings import (
    FIRST,
    LARGE,
    Column,
    Finding,
    Inspection,
    Lengths,
    ModalityReport,
    Ranges,
    SplitReport,
)
from selfmm.data.manifest import SPLITS
from selfmm.data.scales import LabelScale, widened
from selfmm.data.splits import shared_videos
from selfmm.data.store import Dataset
from selfmm.data.writer import sha256

BINS = 11
"""Bins of the label histogram. The number is odd, so that the middle of the range is in the middle of a bin."""
_CHUNK_BYTES = 4 << 20
_CJK = r"\u3400-\u9fff\u3040-\u30ff"
# Chinese and Japanese have no spaces between words: there, each character counts as a word.
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}\u3000-\u303f\uff00-\uffef]+")


def inspect_dataset(dataset: Dataset, *, verify: bool = True, preset: str | Path | None = None) -> Inspection:
    """Inspect a data set. Frames are read in pieces of 4 MiB, so memory does not grow with the data set.

    Args:
        dataset: an opened data set.
        verify: also compare every file with its checksum in ``dataset.json``.
        preset: settings to judge the range of the features for, a preset or a TOML file; default: the default settings.

    Raises:
        SettingsError: if there is no such preset, or its settings are wrong.
    """
    named = {str(preset): preset} if preset is not None else {name: name for name in PRESETS}
    settings = {name: load_settings(value, trust=True) for name, value in named.items()}
    low, high = dataset.manifest.label_range
    edges = np.linspace(low, high, BINS + 1)
    samples, labels = dataset.samples, dataset.labels()
    lowest, highest = widened((low, high))
    outside = np.asarray((labels < lowest) | (labels > highest))
    ids = samples["id"].astype(str)
    empty: npt.NDArray[np.bool_] = np.all([dataset.lengths(name) == 0 for name in dataset.modalities], axis=0)
    return Inspection(
        name=dataset.name,
        path=str(dataset.path),
        label_range=(low, high),
        bin_edges=tuple(edges.tolist()),
        splits={split: _split(dataset, split, edges) for split in SPLITS},
        modalities={name: _modality(dataset, name, settings) for name in dataset.modalities},
        duplicated_ids=_finding(pd.Series(ids[ids.duplicated()].unique())),
        shared_videos=_finding(pd.Series(shared_videos(samples), dtype=object)),
        outside_range=_finding(ids[outside]),
        empty_clips=_finding(ids[empty]),
        corrections=count_corrections(dataset.corrections),
        damaged_files=_damaged(dataset) if verify else (),
        verified=verify,
        unimodal_labels=count_unimodal_labels(samples, dataset.modalities),
        preset="" if preset is None else str(preset),
        capitals=_finding(ids.iloc[in_capitals(dataset.texts())]),
        foreign=_finding(ids[_is_foreign(samples)]),
    )


def count_unimodal_labels(samples: pd.DataFrame, modalities: Collection[str]) -> dict[str, int]:
    """Return the number of clips with a ``label_<modality>``, for each modality that has any."""
    columns = {name: f"label_{name}" for name in modalities if f"label_{name}" in samples}
    counts = {name: int(samples[column].notna().sum()) for name, column in columns.items()}
    return {name: number for name, number in counts.items() if number}


def _split(dataset: Dataset, split: str, edges: npt.NDArray[np.float64]) -> SplitReport:
    rows = dataset.rows(split)
    labels = dataset.labels()[rows]
    known = labels[np.isfinite(labels)]
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    return SplitReport(
        clips=len(rows),
        videos=int(dataset.samples["video"].iloc[rows].nunique()),
        unlabelled=int(np.isnan(labels).sum()),
        negative=int((known < neutral).sum()),
        zero=int((known == neutral).sum()),
        positive=int((known > neutral).sum()),
        mean=float(known.mean()) if len(known) else math.nan,
        std=float(known.std()) if len(known) else math.nan,
        histogram=tuple(np.histogram(np.clip(known, edges[0], edges[-1]), edges)[0].tolist()),
    )


def _modality(dataset: Dataset, name: str, settings: Mapping[str, Settings]) -> ModalityReport:
    modality = dataset.modalities[name]
    ids = dataset.samples["id"].astype(str)
    missing = dataset.lengths(name) == 0
    lengths = _words(dataset) if modality.kind == "text" else dataset.lengths(name)
    empty = _Scan(np.zeros(len(ids), dtype=np.bool_), 0, (), None)
    scan = _scan(dataset, name) if modality.kind == "frames" else empty
    present = {split: lengths[rows][~missing[rows]] for split in SPLITS if len(rows := dataset.rows(split))}
    return ModalityReport(
        kind=modality.kind,
        dim=modality.dim,
        unit="words" if modality.kind == "text" else modality.kind,
        frames=int(lengths.sum()),
        lengths={split: _quantiles(values) for split, values in present.items() if len(values)},
        missing=_finding(ids[missing]),
        non_finite=_finding(ids[scan.broken]),
        gaps=scan.gaps,
        constant_columns=scan.constant,
        ranges=scan.ranges,
        raw_in=tuple(key for key, value in settings.items() if scan.ranges and not value.stream_for(name).standardise),
    )


def _is_foreign(samples: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether the extraction warned that the speech of each clip may be in a language that was not recognised, (N,)."""
    if "warnings" not in samples:
        return np.zeros(len(samples), dtype=np.bool_)
    return samples["warnings"].fillna("").astype(str).str.contains(ENGLISH_ONLY, regex=False).to_numpy(dtype=np.bool_)


def _words(dataset: Dataset) -> npt.NDArray[np.int64]:
    return np.array([len(_WORD.findall(text)) for text in dataset.texts()], dtype=np.int64)


class _Scan(NamedTuple):
    """Whether each clip has non-finite values, (N,); the number of gaps; constant columns; the ranges, if any."""

    broken: npt.NDArray[np.bool_]
    gaps: int
    constant: tuple[int, ...]
    ranges: Ranges | None


def _scan(dataset: Dataset, name: str) -> _Scan:
    matrix, starts = dataset.matrix(name), dataset.samples[f"{name}_offset"].to_numpy(dtype=np.int64)
    ends = starts + dataset.lengths(name)
    broken = np.zeros(len(starts), dtype=np.bool_)
    columns = _Columns(matrix.shape[1])
    gaps, may_have_gaps = 0, dataset.modalities[name].gaps
    for first, chunk in _chunks(matrix):
        finite = np.isfinite(chunk)
        gap = np.isnan(chunk).all(axis=1) & may_have_gaps
        gaps += int(gap.sum())
        rows = first + np.flatnonzero(~(finite.all(axis=1) | gap))
        broken |= np.searchsorted(rows, ends) > np.searchsorted(rows, starts)
        columns.add(chunk, finite)
    constant: list[int] = np.flatnonzero((columns.lowest == columns.highest) & (len(matrix) > 1)).tolist()
    return _Scan(broken, gaps, tuple(constant), columns.ranges(dataset.modalities[name].columns))


class _Columns:
    """Extremes, means and deviations of ``dim`` features, from pieces; non-finite values are left out."""

    def __init__(self, dim: int) -> None:
        self.lowest, self.highest = np.full(dim, np.inf), np.full(dim, -np.inf)
        self.count, self.mean, self.squares = (np.zeros(dim) for _ in range(3))  # squares: around the mean

    def add(self, chunk: npt.NDArray[Any], finite: npt.NDArray[np.bool_]) -> None:
        """Add (n, dim) values; see Chan, Golub and LeVeque (1983) for the update of means and squares."""
        self.lowest = np.minimum(self.lowest, np.min(chunk, axis=0, where=finite, initial=np.inf))
        self.highest = np.maximum(self.highest, np.max(chunk, axis=0, where=finite, initial=-np.inf))
        count = finite.sum(axis=0)
        total = np.maximum(self.count + count, 1)
        mean = np.sum(chunk, axis=0, where=finite, dtype=np.float64) / np.maximum(count, 1)
        around = np.subtract(chunk, mean, dtype=np.float64, where=finite, out=np.zeros(chunk.shape))
        step = np.where(count > 0, mean - self.mean, 0.0)
        self.squares += np.einsum("ij,ij->j", around, around) + step**2 * self.count * count / total
        self.mean += step * count / total
        self.count += count

    def ranges(self, names: Sequence[str]) -> Ranges | None:
        seen = np.flatnonzero(self.count > 0)
        if not len(seen):
            return None
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        size = np.sqrt(self.mean**2 + deviation**2)  # root mean square
        large = seen[size[seen] > LARGE]
        widest = int(seen[np.argmax(size[seen])])

        def called(column: int) -> str:
            return names[column] if names else f"column {column}"

        figures = (float(values[widest]) for values in (self.lowest, self.highest, self.mean, deviation))
        return Ranges(
            lowest=float(self.lowest[seen].min()),
            highest=float(self.highest[seen].max()),
            deviation=float(np.median(deviation[seen])),
            widest=Column(called(widest), *figures),
            off_scale=Finding(len(large), tuple(called(column) for column in large[:FIRST].tolist())),
        )


def _chunks(matrix: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    step = max(1, _CHUNK_BYTES // max(1, matrix[:1].nbytes))
    for start in range(0, len(matrix), step):
        yield start, matrix[start : start + step]


def _quantiles(lengths: npt.NDArray[np.int64]) -> Lengths:
    quarter, median, three_quarters, p95 = np.quantile(lengths, [0.25, 0.5, 0.75, 0.95]).tolist()
    return Lengths(int(lengths.min()), quarter, median, three_quarters, p95, int(lengths.max()))


def _damaged(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        name
        for name, expected in sorted(dataset.manifest.checksums.items())
        if not (dataset.path / name).is_file() or sha256(dataset.path / name) != expected
    )


def _finding(names: pd.Series[Any]) -> Finding:
    return Finding(len(names), tuple(names.head(FIRST).astype(str)))
