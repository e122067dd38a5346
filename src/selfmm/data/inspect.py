"""Inspection of a data set before training: what it holds, and what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.data.corrections import count_corrections
from selfmm.data.findings import FIRST, Finding, Inspection, Lengths, ModalityReport, SplitReport
from selfmm.data.manifest import SPLITS, TEXT
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.data.writer import sha256

BINS = 11
"""Bins of the label histogram. The number is odd, so that the middle of the range is in the middle of a bin."""
_CHUNK_BYTES = 8 << 20
_CJK = r"\u3400-\u9fff\u3040-\u30ff"
# Chinese and Japanese have no spaces between words: there, each character counts as a word.
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}\u3000-\u303f\uff00-\uffef]+")


def inspect_dataset(dataset: Dataset, *, verify: bool = True) -> Inspection:
    """Inspect a data set. Frames are read in pieces of 8 MiB, so memory does not grow with the data set.

    Args:
        dataset: an opened data set.
        verify: also compare every file with its checksum in ``dataset.json``.
    """
    low, high = dataset.manifest.label_range
    edges = np.linspace(low, high, BINS + 1)
    samples, labels = dataset.samples, dataset.labels()
    slack = 1e-6 * (high - low)  # a float32 .8 is a little more than .8
    outside = np.asarray((labels < low - slack) | (labels > high + slack))
    ids = samples["id"].astype(str)
    empty: npt.NDArray[np.bool_] = np.all([dataset.lengths(name) == 0 for name in dataset.modalities], axis=0)
    splits_of_video = samples.groupby("video")["split"].nunique()
    return Inspection(
        name=dataset.name,
        path=str(dataset.path),
        label_range=(low, high),
        bin_edges=tuple(edges.tolist()),
        splits={split: _split(dataset, split, edges) for split in SPLITS},
        modalities={name: _modality(dataset, name) for name in dataset.modalities},
        duplicated_ids=_finding(pd.Series(ids[ids.duplicated()].unique())),
        shared_videos=_finding(pd.Series(splits_of_video.index[splits_of_video > 1])),
        outside_range=_finding(ids[outside]),
        empty_clips=_finding(ids[empty]),
        corrections=count_corrections(dataset.corrections),
        damaged_files=_damaged(dataset) if verify else (),
        verified=verify,
    )


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


def _modality(dataset: Dataset, name: str) -> ModalityReport:
    modality = dataset.modalities[name]
    ids = dataset.samples["id"].astype(str)
    missing = dataset.lengths(name) == 0
    lengths = _words(dataset) if modality.kind == "text" else dataset.lengths(name)
    empty: _Scan = (np.zeros(len(ids), dtype=np.bool_), 0, ())
    broken, gaps, constant = _scan(dataset, name) if modality.kind == "frames" else empty
    present = {split: lengths[rows][~missing[rows]] for split in SPLITS if len(rows := dataset.rows(split))}
    return ModalityReport(
        kind=modality.kind,
        dim=modality.dim,
        unit="words" if modality.kind == "text" else modality.kind,
        frames=int(lengths.sum()),
        lengths={split: _quantiles(values) for split, values in present.items() if len(values)},
        missing=_finding(ids[missing]),
        non_finite=_finding(ids[broken]),
        gaps=gaps,
        constant_columns=constant,
    )


def _words(dataset: Dataset) -> npt.NDArray[np.int64]:
    texts = dataset.samples[TEXT].fillna("").astype(str)
    return np.array([len(_WORD.findall(text)) for text in texts], dtype=np.int64)


_Scan = tuple[npt.NDArray[np.bool_], int, tuple[int, ...]]


def _scan(dataset: Dataset, name: str) -> _Scan:
    """Return whether each clip has non-finite values, (N,), the number of gaps, and the constant columns."""
    matrix, starts = dataset.matrix(name), dataset.samples[f"{name}_offset"].to_numpy(dtype=np.int64)
    ends = starts + dataset.lengths(name)
    broken = np.zeros(len(starts), dtype=np.bool_)
    lowest, highest = np.full(matrix.shape[1], np.inf), np.full(matrix.shape[1], -np.inf)
    gaps, may_have_gaps = 0, dataset.modalities[name].gaps
    for first, chunk in _chunks(matrix):
        finite = np.isfinite(chunk)
        gap = np.isnan(chunk).all(axis=1) & may_have_gaps
        gaps += int(gap.sum())
        rows = first + np.flatnonzero(~(finite.all(axis=1) | gap))
        broken |= np.searchsorted(rows, ends) > np.searchsorted(rows, starts)
        lowest = np.minimum(lowest, np.min(chunk, axis=0, where=finite, initial=np.inf))
        highest = np.maximum(highest, np.max(chunk, axis=0, where=finite, initial=-np.inf))
    constant: list[int] = np.flatnonzero((lowest == highest) & (len(matrix) > 1)).tolist()
    return broken, gaps, tuple(constant)


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
