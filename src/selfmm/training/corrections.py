"""People's corrections in training: fixed labels for the generator, and a record for ``run.json``."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import torch

from selfmm.data.corrections import training_corrections
from selfmm.data.store import Dataset
from selfmm.labels import FixedLabels
from selfmm.runs.folder import CorrectionsUsed


def fixed_labels(dataset: Dataset, modalities: Collection[str], rows: npt.NDArray[np.int64]) -> dict[str, FixedLabels]:
    """Return the corrected labels of the training clips ``rows``, per modality that has any.

    Args:
        dataset: with its corrections.
        modalities: names of the modalities that have a task.
        rows: (N,) row numbers of the training clips; positions in the result count along them.
    """
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
    """Return the number of corrections per modality, source and weight; arguments as in ``fixed_labels``."""
    table = training_corrections(dataset, modalities, rows)
    groups = table.groupby(["modality", "source", "weight"])["weight"]
    return [
        CorrectionsUsed(modality=str(modality), source=str(source), weight=float(weights.iloc[0]), clips=len(weights))
        for (modality, source, _), weights in groups
    ]
