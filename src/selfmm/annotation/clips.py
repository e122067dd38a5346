"""Clips for annotators: the training clips of a run, with the labels that the run generated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from selfmm.core.errors import RunError
from selfmm.data.manifest import PLACE, TEXT
from selfmm.data.store import Dataset


def clips_to_annotate(
    dataset: Dataset, u_labels: pd.DataFrame, modalities: Sequence[str], *, most: int | None = None
) -> pd.DataFrame:
    """Return the training clips, one row each.

    Args:
        dataset: the data set that the run was trained on.
        u_labels: ``id``, ``modality``, ``u_label`` of one epoch.
        modalities: the modalities of the run.
        most: number of clips to return: those with the largest ``spread`` that have no correction; by default all
            clips.

    Returns:
        ``id``, ``video``, ``path``, ``start``, ``end`` (those that the data set has), ``text``, ``m_label``,
        ``u_label_<modality>`` (NaN where the clip lacks the modality) and ``spread``, the largest difference between
        u-labels of the clip. The clips are in the order of the data set, or with ``most`` by falling spread.

    Raises:
        RunError: if the labels do not belong to the training clips of this data set.
    """
    rows = dataset.rows("train")
    columns = ["id", *(name for name in PLACE if name in dataset.samples), TEXT, "label"]
    table = dataset.samples.iloc[rows][columns].rename(columns={"label": "m_label"}).reset_index(drop=True)
    for name in {"start", "end"} & set(table):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    wide = u_labels.pivot_table(index="id", columns="modality", values="u_label", aggfunc="first")
    if set(wide.index) != set(table["id"]) or set(modalities) - set(wide.columns):
        raise RunError(
            f"the labels of the run do not match the training clips in {dataset.path}: the clips were changed after "
            "training. Train again, or restore the data set."
        )
    low, high = dataset.manifest.label_range
    # The labels were float32: leave out the digits of its rounding.
    decimals = 4 + max(0, -math.floor(math.log10(high - low)))
    for name in modalities:
        present = dataset.lengths(name)[rows] > 0
        values = wide[name].loc[table["id"]].to_numpy(dtype=np.float64)
        table[f"u_label_{name}"] = np.where(present, values, np.nan).round(decimals)
    labels = table[[f"u_label_{name}" for name in modalities]]
    table["spread"] = (labels.max(axis=1) - labels.min(axis=1)).fillna(0.0)
    if most is None:
        return table
    uncorrected = table[~table["id"].isin(set(dataset.corrections["id"]))]
    return uncorrected.sort_values("spread", ascending=False, kind="stable").head(most).reset_index(drop=True)
