"""Corrections: one label per clip and modality, from the ratings of all people who judged it.

The label is the mean of the ratings, weighted with the weights of their imports. Its weight W_s in the loss grows with
the number of ratings and with the reliability r of one rating (:func:`selfmm.data.agreement.reliability`):

    weight = w * n r / (1 + (n - 1) r),    w = largest weight of the ratings, n = sum of their weights / w

The fraction is the reliability of a mean of n ratings by the formula of Spearman and Brown. It is also the inverse
variance, 1 / (t + e/n), of such a mean, relative to that of a label without error, if the labels to learn have the
variance t and one rating has the error variance e = t (1 - r) / r. Two consequences: a further rating never lowers the
weight at the same r; and where nobody rated a clip twice, r is 1 and the weight is that of the import.
"""

from __future__ import annotations

import hashlib

import pandas as pd

from selfmm.data.agreement import reliability

COLUMNS = ("id", "modality", "label", "weight", "ratings", "source", "annotators", "imported_at", "sha256")
_PAIR = ["id", "modality"]


def corrections_of(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return one row per clip and modality, sorted.

    Args:
        ratings: the columns of :mod:`selfmm.data.ratings`.

    Returns:
        ``id``, ``modality``, ``label`` (mean), ``weight`` (in the loss, [0, 1]), ``ratings`` (their number), ``source``
        and ``annotators`` (all names, separated by commas), ``imported_at`` and ``sha256`` (of the last import).
    """
    largest = ratings.groupby(_PAIR)["weight"].transform("max")
    share = (ratings["weight"] / largest).where(largest > 0, 1.0)  # 1 for a single rating, so that its label is exact
    ordered = ratings.assign(share=share, product=share * ratings["label"]).sort_values("imported_at", kind="stable")
    groups = ordered.groupby(_PAIR, sort=True)
    count = groups["share"].sum()
    of_one = reliability(ratings)
    r = pd.Series([of_one[name] for name in count.index.get_level_values("modality")], count.index, dtype="float64")
    worth = (count * r / (1 + (count - 1) * r)).clip(0, 1)
    table = pd.DataFrame(
        {
            "label": groups["product"].sum() / count,
            "weight": groups["weight"].max() * worth,
            "ratings": groups.size(),
            "source": _listed(ratings, "source"),
            "annotators": _listed(ratings, "rater"),
            "imported_at": groups["imported_at"].last(),
            "sha256": groups["sha256"].last(),
        }
    )
    return table.reset_index()[list(COLUMNS)]


def _listed(ratings: pd.DataFrame, column: str) -> pd.Series:
    """Return the different names of each clip and modality, sorted and separated by commas."""
    names: dict[tuple[str, str], list[str]] = {}
    rows = ratings[[*_PAIR, column]].drop_duplicates().sort_values(column)
    for clip, modality, name in zip(*(rows[key].tolist() for key in rows), strict=True):
        names.setdefault((clip, modality), []).append(name)
    index = pd.MultiIndex.from_tuples(names, names=_PAIR)
    return pd.Series([", ".join(group) for group in names.values()], index, dtype=object)


def count_corrections(table: pd.DataFrame) -> dict[str, int]:
    """Return the number of rows per modality."""
    return {str(name): len(group) for name, group in table.groupby("modality", sort=False)}


def digest(corrections: pd.DataFrame) -> str:
    """Return a hash of the columns that training uses; empty without corrections."""
    if corrections.empty:
        return ""
    rows = corrections.sort_values(["id", "modality"])[["id", "modality", "label", "weight"]]
    return hashlib.sha256(rows.to_csv(index=False).encode("utf-8", "surrogateescape")).hexdigest()
