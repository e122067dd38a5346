"""People's corrections in training: fixed labels for the generator, and a record for ``run.json``."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from selfmm.data.store import Dataset
from selfmm.labels import FixedLabels
from selfmm.runs.folder import CorrectionsUsed


def training_corrections(dataset: Dataset, modalities: Collection[str], rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return the corrections that training uses: those of ``modalities``, for training clips that have the modality.

    Args:
        rows: (n,) row numbers of the training clips.

    Returns:
        The rows of ``dataset.corrections`` with the additional column ``position``, the clip's place in ``rows``.
    """
    ids = dataset.samples["id"].to_numpy()[rows]
    tables = [dataset.corrections.iloc[:0].assign(position=np.zeros(0, dtype=np.int64))]
    for name in modalities:
        present = np.flatnonzero(dataset.lengths(name)[rows] > 0)
        places = pd.DataFrame({"id": ids[present], "position": present})
        of_modality = dataset.corrections[dataset.corrections["modality"] == name]
        tables.append(of_modality.merge(places, on="id"))
    return pd.concat(tables, ignore_index=True)


def fixed_labels(dataset: Dataset, modalities: Collection[str], rows: npt.NDArray[np.int64]) -> dict[str, FixedLabels]:
    """Return the corrected labels of each modality that has any; arguments as in ``training_corrections``."""
    table = training_corrections(dataset, modalities, rows)
    # A label at the edge of the range may be a rounding error beyond it.
    table["label"] = table["label"].clip(*dataset.manifest.label_range)
    return {
        str(name): FixedLabels(
            index=torch.tensor(group["position"].to_numpy(dtype="int64")),
            labels=torch.tensor(group["label"].to_numpy(dtype="float32")),
            weights=torch.tensor(group["weight"].to_numpy(dtype="float32")),
        )
        for name, group in table.groupby("modality", sort=False)
    }


def corrections_used(
    dataset: Dataset, modalities: Collection[str], rows: npt.NDArray[np.int64]
) -> list[CorrectionsUsed]:
    """Return the number of corrections per modality, source and weight; arguments as in ``training_corrections``."""
    table = training_corrections(dataset, modalities, rows)
    groups = table.groupby(["modality", "source", "weight"])["weight"]
    return [
        CorrectionsUsed(modality=str(modality), source=str(source), weight=float(weights.iloc[0]), clips=len(weights))
        for (modality, source, _), weights in groups
    ]
