"""The labels that a rule generates in every epoch: written during training, joined into one table at its end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from selfmm.core.files import atomic_file
from selfmm.data.store import Dataset
from selfmm.labels import EstimatedLabels, Outcome
from selfmm.training.objective import Generator

_COLUMNS = ("u_label", "weight", "outcome")


@dataclass(frozen=True)
class LabelRecord:
    """Labels of a run, one file per epoch in ``folder``."""

    folder: Path

    def write(self, epoch: int, generator: Generator) -> None:
        """Write the labels, loss weights and outcomes after ``epoch``; estimated labels are the same in all of them.

        Raises:
            OutputError: if the file cannot be written.
        """
        if isinstance(generator, EstimatedLabels):
            return
        clips = torch.arange(len(generator.m_labels), device=generator.m_labels.device)
        parts = (generator.labels, generator.weights(clips), generator.outcomes)
        arrays = {
            column: np.stack([values.cpu().numpy() for values in part.values()])
            for column, part in zip(_COLUMNS, parts, strict=True)
        }
        with atomic_file(self._file(epoch)) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def epochs(self) -> int:
        """Return the number of epochs whose labels are written."""
        return len(list(self.folder.glob("[0-9]*.npz")))

    def table(
        self, dataset: Dataset, rows: npt.NDArray[np.int64], modalities: Sequence[str], epochs: int
    ) -> pd.DataFrame:
        """Return the content of ``labels.parquet``: one row per training clip (``rows``), epoch and modality."""
        ids = dataset.samples["id"].to_numpy()[rows]
        m_labels = dataset.labels()[rows].astype(np.float32)
        words = pd.Index([outcome.word for outcome in Outcome])
        tables = []
        for epoch in range(1, epochs + 1):
            with np.load(self._file(epoch), allow_pickle=False) as stored:
                u_labels, weights, outcomes = (stored[column] for column in _COLUMNS)
            for at, name in enumerate(modalities):
                columns = {"id": ids, "epoch": epoch, "modality": name, "m_label": m_labels, "u_label": u_labels[at]}
                tables.append(pd.DataFrame({**columns, "weight": weights[at], "outcome": words[outcomes[at]]}))
        return pd.concat(tables, ignore_index=True)

    def clear(self) -> None:
        """Remove all files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, epoch: int) -> Path:
        return self.folder / f"{epoch:05}.npz"
