"""The labels of a run as arrays. They are read in pieces: a table with a row per clip, epoch and modality is large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import RunError
from selfmm.labels.outcomes import Outcome

COLUMNS = ("id", "epoch", "modality", "m_label", "u_label")
ESTIMATES = ("trust", "expected_error", "contradiction")
OPTIONAL = ("outcome", "split", *ESTIMATES)
"""Columns that only tables of some rules and versions have."""
_WORDS = pd.Index([outcome.word for outcome in Outcome])
_NAMES = frozenset({"string", "categorical", "integer"})
UNKNOWN = 255

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelHistory:
    """The u-labels of N clips, M modalities and E epochs.

    Attributes:
        ids: (N,) names of the clips, in the order of their first rows in the table.
        modalities, epochs: M names, and E numbers in increasing order.
        m_labels: (N,) labels of the whole clip.
        u_labels: (M, E, N); NaN where the table has no row.
        outcomes: (M, E, N), an `Outcome` or ``UNKNOWN``; None if the table has no column ``outcome``, as in old runs.
        estimates: (M, N) each: the columns ``ESTIMATES`` of labels that were estimated before training; else empty.
        splits: (N,) names; None if the table has no column ``split``: all are training clips.
    """

    ids: pd.Index[str]
    modalities: tuple[str, ...]
    epochs: tuple[int, ...]
    m_labels: Floats
    u_labels: Floats
    outcomes: Codes | None
    estimates: Mapping[str, Floats] = field(default_factory=dict)
    splits: npt.NDArray[np.object_] | None = None

    @property
    def estimated(self) -> bool:
        """Whether the labels were estimated before training, and are the same in all epochs."""
        return bool(self.estimates)

    def until(self, epoch: int) -> LabelHistory:
        """Return the labels up to an epoch; estimated labels as they are.

        Raises:
            RunError: if there is no such epoch.
        """
        if self.estimated:
            return self
        if epoch not in self.epochs:
            raise RunError(f"labels.parquet has no epoch {epoch}; it has {self.epochs[0]} to {self.epochs[-1]}.")
        end = self.epochs.index(epoch) + 1
        outcomes = None if self.outcomes is None else self.outcomes[:, :end]
        return replace(self, epochs=self.epochs[:end], u_labels=self.u_labels[:, :end], outcomes=outcomes)

    @classmethod
    def of(cls, tables: pd.DataFrame | Iterable[pd.DataFrame]) -> LabelHistory:
        """Return the labels of ``labels.parquet``, passed whole or in pieces, with rows in any order.

        Raises:
            RunError: if a column is missing or has a wrong type, a row occurs twice, or there are no rows.
        """
        collector = _Collector()
        for table in [tables] if isinstance(tables, pd.DataFrame) else tables:
            collector.add(table)
        return collector.history()

    def has(self, number: int, *outcomes: Outcome) -> npt.NDArray[np.bool_]:
        """Return (E, N) bool: the outcome of modality ``number`` is one of ``outcomes``; they must be recorded."""
        assert self.outcomes is not None
        mask: npt.NDArray[np.bool_] = np.isin(self.outcomes[number], [int(outcome) for outcome in outcomes])
        return mask


@dataclass
class _Block:
    """Rows of one epoch and modality in one piece of the table."""

    rows: npt.NDArray[np.intp]
    u_labels: Floats
    codes: Codes | None
    estimates: Mapping[str, Floats]


class _Collector:
    def __init__(self) -> None:
        self.ids: pd.Index[str] = pd.Index([], dtype="str")
        self.m_labels: list[Floats] = []
        self.splits: list[npt.NDArray[np.object_]] = []
        self.blocks: dict[tuple[str, int], list[_Block]] = {}

    def add(self, table: pd.DataFrame) -> None:
        table = check_labels(table)
        for key, part in table.groupby(["modality", "epoch"], sort=False, observed=True):
            name, epoch = cast(tuple[str, int], key)
            codes = _codes(part["outcome"]) if "outcome" in part else None
            estimates = {column: part[column].to_numpy(dtype=np.float32) for column in ESTIMATES if column in part}
            block = _Block(self._rows(part), part["u_label"].to_numpy(dtype=np.float32), codes, estimates)
            self.blocks.setdefault((str(name), int(epoch)), []).append(block)

    def _rows(self, part: pd.DataFrame) -> npt.NDArray[np.intp]:
        """Return the positions of the part's clips in ``ids``, and append new clips."""
        ids = pd.Index(part["id"])
        if not ids.is_unique:
            clip = ids[ids.duplicated()][0]
            raise RunError(f"the labels of {clip!r} occur twice in one epoch; labels.parquet is damaged.")
        rows = self.ids.get_indexer(ids)
        new = rows < 0
        if new.any():
            rows[new] = np.arange(len(self.ids), len(self.ids) + int(new.sum()))
            self.ids = self.ids.append(ids[new])
            self.m_labels.append(part["m_label"].to_numpy(dtype=np.float32)[new])
            if "split" in part:
                self.splits.append(part["split"].to_numpy(dtype=object)[new])
        return rows

    def history(self) -> LabelHistory:
        if not len(self.ids):
            raise RunError("labels.parquet holds no labels; the run folder is damaged.")
        modalities = tuple(dict.fromkeys(name for name, _ in self.blocks))
        epochs = tuple(sorted({epoch for _, epoch in self.blocks}))
        shape = (len(modalities), len(epochs), len(self.ids))
        u_labels = np.full(shape, np.nan, dtype=np.float32)
        recorded = all(block.codes is not None for blocks in self.blocks.values() for block in blocks)
        outcomes = np.full(shape, UNKNOWN, dtype=np.uint8) if recorded else None
        named = [
            column for column in ESTIMATES if all(column in b.estimates for own in self.blocks.values() for b in own)
        ]
        estimates = {column: np.full((shape[0], shape[2]), np.nan, dtype=np.float32) for column in named}
        for (name, epoch), blocks in self.blocks.items():
            place = modalities.index(name), epochs.index(epoch)
            for block in blocks:
                if np.isfinite(u_labels[place][block.rows]).any():
                    raise RunError(f"epoch {epoch} of {name!r} occurs twice; labels.parquet is damaged.")
                u_labels[place][block.rows] = block.u_labels
                if outcomes is not None and block.codes is not None:
                    outcomes[place][block.rows] = block.codes
                for column, values in estimates.items():
                    values[place[0], block.rows] = block.estimates[column]
        m_labels, splits = np.concatenate(self.m_labels), np.concatenate(self.splits) if self.splits else None
        splits = splits if splits is not None and len(splits) == len(m_labels) else None
        return LabelHistory(self.ids, modalities, epochs, m_labels, u_labels, outcomes, estimates, splits)


def check_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table; raise ``RunError`` unless it has ids, modalities and finite labels."""
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise RunError(f"the labels lack the columns {missing}; labels.parquet is damaged or not from selfmm.")
    numeric = ["epoch", "m_label", "u_label", *(name for name in ESTIMATES if name in table)]
    numbers = [name for name in numeric if not pd.api.types.is_numeric_dtype(table[name])]
    if numbers:
        raise RunError(f"{', '.join(numbers)} should be numbers; labels.parquet is damaged or not from selfmm.")
    names = [name for name in ("id", "modality") if pd.api.types.infer_dtype(table[name], skipna=True) not in _NAMES]
    if len(table) and names:
        raise RunError(f"{', '.join(names)} should be names; labels.parquet is damaged or not from selfmm.")
    bad = ~np.isfinite(table[["epoch", "m_label", "u_label"]].to_numpy(dtype=np.float64)).all(axis=1)
    if bad.any() or table[["id", "modality"]].isna().to_numpy().any():
        raise RunError("labels.parquet has rows without an id, a modality, or finite labels; it is damaged.")
    return table


def _codes(outcomes: pd.Series) -> Codes:
    """Codes of the outcomes from their words; UNKNOWN for an unknown word."""
    codes = _WORDS.get_indexer(pd.Index(outcomes.astype("str")))
    return np.where(codes < 0, UNKNOWN, codes).astype(np.uint8)
