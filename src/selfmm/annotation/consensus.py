"""One label per clip and target from the ratings of several people, and the clips on which they disagree."""

from __future__ import annotations

import pandas as pd

from selfmm.annotation.acts import CLIP

_PLACE = ["id", "modality"]


def mean_labels(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return the mean rating of each clip and target.

    Args:
        ratings: ``id``, ``modality`` (``clip`` for the m-label), ``rater`` and ``label``; at most one row per clip,
            target and rater.

    Returns:
        A row per clip and target, in the order of their first ratings: ``id``, ``modality``, ``label`` (the mean),
        ``ratings`` (their number), ``lowest``, ``highest`` and ``range`` (their difference, 0 for one rating).
    """
    groups = ratings.groupby(_PLACE, sort=False)["label"]
    table = groups.agg(label="mean", ratings="size", lowest="min", highest="max").reset_index()
    return table.assign(range=table["highest"] - table["lowest"])


def m_labels(ratings: pd.DataFrame) -> dict[str, float]:
    """Return the mean rating of each whole clip that has one, by id."""
    table = mean_labels(ratings[ratings["modality"] == CLIP])
    return dict(zip(table["id"].astype(str), table["label"].astype(float), strict=True))


def disagreements(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return the clips and targets that several people rated, those with the largest range first.

    Returns:
        The columns of :func:`mean_labels`, and ``labels``, a dictionary of the rating of each rater.
    """
    table = mean_labels(ratings)
    labels: dict[tuple[str, str], dict[str, float]] = {}
    for clip, target, rater, label in zip(*(ratings[name] for name in (*_PLACE, "rater", "label")), strict=True):
        labels.setdefault((clip, target), {})[rater] = label
    places = zip(table["id"], table["modality"], strict=True)
    table["labels"] = pd.Series([labels[place] for place in places], index=table.index, dtype=object)
    shared = table[table["ratings"] >= 2]
    return shared.sort_values("range", ascending=False, kind="stable", ignore_index=True)
