"""Labels per modality as a table with one row per clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.data.manifest import PLACE, TEXT
from selfmm.labels.outcomes import Outcome

LABEL = "label_"
"""Prefix of the labels, by which `selfmm import` recognises labels per modality."""

_OF_LABELS = {LABEL: "u_label", "trust_": "trust", "expected_error_": "expected_error"}
KNOWN = "known_label_"
"""Prefix of labels per modality that the data set has; another prefix than that of the u-labels, and ignored by
`selfmm import`."""


def per_clip(table: pd.DataFrame, samples: pd.DataFrame | None) -> pd.DataFrame:
    """Return one row per clip.

    Args:
        table: a row per modality and clip: id, modality, m_label, u_label, and of trust, expected_error, made, outcome
            those that the rule has; of one epoch.
        samples: the data set's table. Its order is kept. If labels were estimated, clips without labels have a row too.
            None: only ids and labels.

    Returns:
        id, ``path``, ``video``, ``start``, ``end``, text, split (those that are known) and label; per modality
        ``label_<modality>``, ``trust_<modality>`` and ``expected_error_<modality>``, NaN where the clip lacks the
        modality; ``made_<modality>``, or ``outcome_<modality>`` without it; ``known_label_<modality>`` for the data
        set's own labels.
    """
    names = list(dict.fromkeys(table["modality"]))
    how = "made" if "made" in table else "outcome" if "outcome" in table else None
    columns = _of_samples(table, samples)
    ids = pd.Index(columns["id"])
    for prefix, column in _OF_LABELS.items():
        for name in names if column in table else ():
            own = table[table["modality"] == name]
            # The shortest decimals of a float32: .8, not .800000011920929.
            values = own[column].astype("float32").astype("str").astype("float64")
            if "outcome" in own:
                values = values.where(own["outcome"] != Outcome.MISSING.word)
            columns[f"{prefix}{name}"] = pd.Series(values.to_numpy(), index=own["id"]).reindex(ids).to_numpy()
    for name in names if how else ():
        own = table[table["modality"] == name]
        words = pd.Series(own[how].to_numpy(dtype=object), index=own["id"])
        columns[f"{how}_{name}"] = words.reindex(ids).fillna("").to_numpy()
    for name in names:
        if samples is not None and f"{LABEL}{name}" in samples:
            known = pd.Series(samples[f"{LABEL}{name}"].to_numpy(dtype=np.float64), index=samples["id"])
            columns[f"{KNOWN}{name}"] = known.reindex(ids).to_numpy()
    return pd.DataFrame(columns)


def _of_samples(table: pd.DataFrame, samples: pd.DataFrame | None) -> dict[str, npt.NDArray[Any]]:
    """Return the columns that say which clip it is."""
    clips = table.drop_duplicates("id")
    if samples is None:
        known = {"id": clips["id"], "split": clips.get("split"), "label": clips["m_label"]}
        return {name: values.to_numpy() for name, values in known.items() if values is not None}
    rows = samples if "trust" in table else samples[samples["id"].isin(set(clips["id"]))]
    order = ("id", *(name for name in ("path", "video", "start", "end") if name in PLACE), TEXT, "split", "label")
    has_text = TEXT in rows and rows[TEXT].fillna("").astype(bool).any()
    return {name: rows[name].to_numpy() for name in order if name in rows and (has_text or name != TEXT)}
