"""What goes to annotators: the training clips of a run with the labels that the run generated."""

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
    """The training clips, one row each.

    Args:
        dataset: the one trained on.
        u_labels: ``id``, ``modality``, ``u_label`` of one epoch.
        modalities: of the run.
        most: only so many clips, those whose modalities disagree most, leaving out clips that have a correction.

    Returns:
        ``id``, ``video``, ``path``, ``start``, ``end`` (those that the data set has), ``text``, ``m_label``,
        ``u_label_<modality>`` (NaN where the clip lacks the stream) and ``spread``, the largest difference between
        u-labels of the clip. In the data set's order, or with ``most`` by spread, the widest first.

    Raises:
        RunError: the labels are not of this data set's clips.
    """
    rows = dataset.rows("train")
    columns = ["id", *(name for name in PLACE if name in dataset.samples), TEXT, "label"]
    table = dataset.samples.iloc[rows][columns].rename(columns={"label": "m_label"}).reset_index(drop=True)
    for name in {"start", "end"} & set(table):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    wide = u_labels.pivot_table(index="id", columns="modality", values="u_label", aggfunc="first")
    if set(wide.index) != set(table["id"]) or set(modalities) - set(wide.columns):
        raise RunError(
            f"the run's labels are not of the training clips in {dataset.path}: these were changed after the training. "
            "Train again, or bring the data set back as it was."
        )
    low, high = dataset.manifest.label_range
    decimals = 4 + max(0, -math.floor(math.log10(high - low)))  # float32 inside: no digits of its rounding
    for name in modalities:
        there = dataset.lengths(name)[rows] > 0
        values = wide[name].loc[table["id"]].to_numpy(dtype=np.float64)
        table[f"u_label_{name}"] = np.where(there, values, np.nan).round(decimals)
    labels = table[[f"u_label_{name}" for name in modalities]]
    table["spread"] = (labels.max(axis=1) - labels.min(axis=1)).fillna(0.0)
    if most is None:
        return table
    open_ = table[~table["id"].isin(set(dataset.corrections["id"]))]
    return open_.sort_values("spread", ascending=False, kind="stable").head(most).reset_index(drop=True)
