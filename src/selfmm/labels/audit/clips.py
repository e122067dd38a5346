"""The clips to look at: those with the greatest disagreement of modalities, and typical ones for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import RunError
from selfmm.data.manifest import PLACE, TEXT
from selfmm.labels.audit.history import LabelHistory

REFERENCES = (TEXT, *PLACE)
"""Columns of ``samples.parquet`` that show a person which clip it is."""

Rows = npt.NDArray[np.intp]


def disagreement(history: LabelHistory) -> npt.NDArray[np.float64]:
    """Return (N,), the range of each clip's labels at the last epoch: largest minus smallest of m and the u-labels.

    With one modality that is |u - m|. Modalities without a label for the clip do not count.
    """
    last = history.u_labels[:, -1].astype(np.float64)
    m_labels = history.m_labels.astype(np.float64)
    highest = np.fmax(np.fmax.reduce(last, axis=0), m_labels)
    spread: npt.NDArray[np.float64] = highest - np.fmin(np.fmin.reduce(last, axis=0), m_labels)
    return spread


def most_disagreeing(history: LabelHistory, count: int) -> Rows:
    """Return the rows of the ``count`` clips with the largest ``disagreement``, largest first, ties by id."""
    spread = disagreement(history)
    return _first(history, -spread, count, np.flatnonzero(spread > 0))


def typical(history: LabelHistory, count: int) -> Rows:
    """Return the rows of the ``count`` clips with the ``disagreement`` nearest to the median, ties by id."""
    spread = disagreement(history)
    return _first(history, np.abs(spread - np.median(spread)), count, np.arange(len(spread)))


def _first(history: LabelHistory, key: npt.NDArray[np.float64], count: int, among: Rows) -> Rows:
    key, wanted = key[among], min(count, len(among))
    if not wanted:
        return np.empty(0, dtype=np.intp)
    # Sort only those clips by name that can be among the first.
    near = np.flatnonzero(key <= np.partition(key, wanted - 1)[wanted - 1])
    names = history.ids[among[near]].to_numpy(dtype=str)
    order: Rows = among[near[np.lexsort((names, key[near]))[:wanted]]]
    return order


def clip_table(
    history: LabelHistory, rows: Rows, scores: pd.DataFrame | None = None, references: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one row per clip: id, m_label, u_<modality> at the last epoch, disagreement, then scores and references.

    Args:
        history: the labels.
        rows: positions of the clips in ``history.ids``.
        scores: ``predictions.parquet``; adds ``score`` and ``score_<modality>``.
        references: ``samples.parquet``; adds those of ``REFERENCES`` that it has.
    """
    ids = history.ids[rows]
    table: dict[str, object] = {"id": ids.to_numpy(), "m_label": history.m_labels[rows].astype(np.float64)}
    for number, name in enumerate(history.modalities):
        table[f"u_{name}"] = history.u_labels[number, -1, rows].astype(np.float64)
    table["disagreement"] = disagreement(history)[rows]
    wanted = ["score", *(f"score_{name}" for name in history.modalities)]
    for frame, columns in ((scores, wanted), (references, REFERENCES)):
        if frame is not None:
            table |= known_of(frame, columns, ids)
    return pd.DataFrame(table)


def known_of(frame: pd.DataFrame, columns: Sequence[str], ids: pd.Index[str]) -> dict[str, npt.NDArray[Any]]:
    """Return those columns that the frame has, for these clips in their order; see :func:`by_id`."""
    known = [column for column in columns if column in frame]
    table = by_id(frame[["id", *known]], ids)
    return {column: table[column].to_numpy() for column in known}


def by_id(frame: pd.DataFrame, ids: pd.Index[str]) -> pd.DataFrame:
    """Return the frame's rows for these clips in their order, without the column ``id``; NaN where it has no row.

    Raises:
        RunError: if a clip occurs twice.
    """
    indexed = frame.set_index("id")
    if not indexed.index.is_unique:
        twice = indexed.index[indexed.index.duplicated()][0]
        raise RunError(f"the clip {twice!r} occurs twice in a table of one row per clip; one of the files is damaged.")
    return indexed.reindex(ids)
