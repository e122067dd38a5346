"""The order in which clips are shown to raters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

Order = Literal["given", "random", "disagreement", "uncertainty"]


def rating_order(
    ids: Sequence[str], order: Order, *, scores: pd.DataFrame | None = None, neutral: float = 0.0, seed: int = 0
) -> list[str]:
    """Return the ids of clips in the order in which to rate them.

    Args:
        ids: (N,) ids in their original order.
        order: ``given``: the original order. ``random``: a permutation. ``disagreement``: first the clips with the
            largest differences between modalities. ``uncertainty``: first the clips with the least certain scores.
        scores: a table of predictions or labels with the column ``id``, for the last two orders; clips without a score
            come last, in their original order. Disagreement is the largest difference between the columns
            ``score_<modality>`` (or ``label_<modality>``, ``u_label_<modality>``). Uncertainty is ``deviation`` (of the
            runs of an ensemble) if the table has it. Otherwise it is the width of the band, ``high - low``. Of clips
            with equal bands, or without bands, those with a ``score`` nearest to ``neutral`` come first.
        neutral: the neutral label.
        seed: the same ids and seed give the same permutation.

    >>> scores = pd.DataFrame({"id": ["a", "b"], "score_text": [1.0, 2.0], "score_audio": [1.0, -2.0]})
    >>> rating_order(["a", "b", "c"], "disagreement", scores=scores)
    ['b', 'a', 'c']
    """
    if order == "given":
        return list(ids)
    if order == "random":
        return [ids[place] for place in np.random.default_rng(seed).permutation(len(ids))]
    if scores is None:
        return list(ids)
    of_clip = scores.drop_duplicates("id").set_index("id").reindex(list(ids))
    keys = [_spread(of_clip)] if order == "disagreement" else _doubt(of_clip, neutral)
    # The last key of lexsort counts most. Its sort is stable, and NaN comes last.
    places = np.lexsort([-np.asarray(key, dtype=np.float64) for key in reversed(keys)])
    return [ids[place] for place in places]


def _spread(table: pd.DataFrame) -> pd.Series:
    """Return the largest difference between modalities; NaN where fewer than two have a score."""
    for prefix in ("score_", "u_label_", "label_"):
        columns = table[[name for name in table if str(name).startswith(prefix)]].select_dtypes("number")
        if columns.shape[1] >= 2:
            spread = columns.max(axis=1) - columns.min(axis=1)
            return spread.where(columns.notna().sum(axis=1) >= 2)
    return pd.Series(np.nan, table.index)


def _doubt(table: pd.DataFrame, neutral: float) -> list[pd.Series]:
    unknown = pd.Series(np.nan, table.index)
    closeness = -(table["score"] - neutral).abs() if "score" in table else unknown
    if "deviation" in table:
        return [table["deviation"], closeness]
    if {"low", "high"} <= set(table) and table["low"].notna().any():
        return [(table["high"] - table["low"]).round(6), closeness]
    return [closeness]
