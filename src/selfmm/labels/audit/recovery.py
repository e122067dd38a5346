"""How well generated labels recover the true label of each modality, compared with the trivial answer.

The trivial answer is the m-label itself. Generated labels must be closer to the truth than that, especially where a
modality contradicts the whole clip.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import DatasetError
from selfmm.evaluation.metrics import pearson

_Array = npt.NDArray[np.float64]

DESCRIPTIONS: Mapping[str, str] = {
    "clips": "number of clips with known m-label, u-label and truth",
    "corr": "Pearson correlation of the u-labels with the truth",
    "corr_trivial": "Pearson correlation of the m-labels with the truth",
    "mae": "mean absolute error of the u-labels",
    "mae_trivial": "mean absolute error of the m-labels",
    "rmse": "root mean squared error of the u-labels",
    "rmse_trivial": "root mean squared error of the m-labels",
    "contradicting": "number of clips in which the modality contradicts the whole clip",
    "right": "share of the contradicting clips with the u-label on the modality's side of the neutral label",
    "right_trivial": "share of the contradicting clips with the m-label on the modality's side",
    "agreeing": "number of clips with modality and m-label on the same side of the neutral label",
    "flipped": "share of the agreeing clips with the u-label on the wrong side of the neutral label",
    "flipped_trivial": "share of the agreeing clips with the m-label on the wrong side",
}
"""One line per column of `recovery`."""


def recovery(table: pd.DataFrame, u_labels: Mapping[str, npt.ArrayLike], neutral: float = 0.0) -> pd.DataFrame:
    """Compare u-labels with the truth per modality.

    Args:
        table: rows of ``samples.parquet`` with ``label`` and ``label_<modality>``. A column ``conflict`` (planted data)
            names the modality that contradicts; without it, a modality contradicts where its truth and the m-label are
            on different sides of ``neutral``.
        u_labels: per modality, (N,) generated labels in the order of ``table``; NaN where a clip has none. Modalities
            without a column ``label_<modality>`` are left out.
        neutral: the label between the sides: 0, or 3 for labels from 1 to 5.

    Returns:
        One row per modality, columns as in ``DESCRIPTIONS``; NaN for shares and correlations without a value.

    Raises:
        DatasetError: if lengths differ, or no modality has a truth to compare with.
    """
    known = {name: values for name, values in u_labels.items() if f"label_{name}" in table.columns}
    if not known:
        raise DatasetError(
            f"the table has no true labels of {list(u_labels)}: a column label_<modality> is needed. "
            "Recovery can be measured on planted data and on data with human labels per modality (SIMS)."
        )
    rows = {
        name: _compare(table, name, np.asarray(values, dtype=np.float64), neutral) for name, values in known.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(DESCRIPTIONS)).rename_axis("modality")


def _compare(table: pd.DataFrame, name: str, u_labels: _Array, neutral: float) -> dict[str, float]:
    if u_labels.shape != (len(table),):
        raise DatasetError(f"the u-labels of {name!r} are {u_labels.shape}; the table has {len(table)} clips")
    truth = table[f"label_{name}"].to_numpy(dtype=np.float64) - neutral
    labels = table["label"].to_numpy(dtype=np.float64) - neutral
    u_labels = u_labels - neutral
    known = np.isfinite(truth) & np.isfinite(labels) & np.isfinite(u_labels)
    contradicting, agreeing = (mask[known] for mask in _sides(table, name, truth, labels))
    truth = truth[known]
    figures: dict[str, float] = {
        "clips": int(known.sum()),
        "contradicting": int(contradicting.sum()),
        "agreeing": int(agreeing.sum()),
    }
    for suffix, answer in (("", u_labels[known]), ("_trivial", labels[known])):
        figures[f"corr{suffix}"] = pearson(answer, truth)
        figures[f"mae{suffix}"] = _mean(np.abs(answer - truth))
        figures[f"rmse{suffix}"] = float(np.sqrt(_mean(np.square(answer - truth))))
        figures[f"right{suffix}"] = _mean(answer[contradicting] * truth[contradicting] > 0)
        figures[f"flipped{suffix}"] = _mean(answer[agreeing] * truth[agreeing] < 0)
    return figures


def _sides(
    table: pd.DataFrame, name: str, truth: _Array, labels: _Array
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Masks of contradicting and of agreeing clips, for labels around 0; a label of 0 is on neither side."""
    product = np.sign(truth) * np.sign(labels)
    if "conflict" not in table.columns:
        return product < 0, product > 0
    named = (table["conflict"].fillna("") == name).to_numpy(dtype=bool)
    return named, ~named & (product > 0)


def _mean(values: _Array | npt.NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
