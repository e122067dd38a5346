"""Answers that take no model: what everything else in a table has to be better than."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfmm.config.settings import Settings
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.experiments.embeddings import text_embeddings

_PENALTIES = tuple(10.0**power for power in range(-2, 6))


def trivial_answers(dataset: Dataset, settings: Settings) -> dict[str, npt.NDArray[np.float64]]:
    """Predictions (N,) for every clip, by name: ``mean``, and ``text ridge`` where there is text."""
    rows = training_rows(dataset, settings)
    labels = dataset.labels()
    found = {"mean": np.full(len(dataset), labels[rows].mean())}
    embeddings = text_embeddings(dataset, settings)
    if embeddings is not None:
        found["text ridge"] = ridge(embeddings, labels, rows)
    return found


def ridge(
    features: npt.NDArray[np.float64], labels: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Predictions (N,) of a ridge regression on standardised ``features`` (N, d), cut to the range of its labels.

    Its penalty is chosen by leaving out one training clip at a time; no other split is looked at.

    Args:
        labels: (N,); only those of ``rows`` are read.
        rows: (n,) row numbers of the training clips.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(features[rows], labels[rows])
    said: npt.NDArray[np.float64] = model.predict(features)
    return said.clip(labels[rows].min(), labels[rows].max())
