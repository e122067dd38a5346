"""The input of a report: a finished run folder, and its training data set if that still exists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from selfmm.config.settings import Settings
from selfmm.core.errors import DatasetError, RunError
from selfmm.core.messages import some
from selfmm.data.scales import LabelScale
from selfmm.data.store import open_dataset
from selfmm.data.writer import fingerprint
from selfmm.labels.audit.audit import Audit, audit
from selfmm.labels.audit.history import COLUMNS, OPTIONAL, LabelHistory
from selfmm.runs.folder import RunFolder, RunInfo

_ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Material:
    """A run and its data.

    Attributes:
        folder, info, settings: of the run.
        labels: the u-labels of every epoch; None if the run generated none.
        samples: the data set's table; None if it no longer exists or has changed since training.
        notes: what the report leaves out and why, one sentence each.
    """

    folder: RunFolder
    info: RunInfo
    settings: Settings
    labels: LabelHistory | None
    samples: pd.DataFrame | None
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Material:
        """Read a run folder.

        Raises:
            RunError: if it is not a finished run, or is damaged.
        """
        folder = RunFolder(path)
        info = folder.require_finished()
        if info.about:
            raise RunError(
                f"{info.dataset} has no report: it comes with selfmm and was not trained here. docs/{info.dataset}.md "
                f"says how it was made. For its figures on your clips: selfmm evaluate {info.dataset} DATA."
            )
        labels = _labels(path / "labels.parquet", info) if info.labels == "generated" else None
        samples, note = run_samples(info)
        notes = [note] if note else []
        settings = folder.settings()
        if labels is not None and labels.splits is None:
            notes.append(training_clips_only(settings.labels.rule))
        return cls(folder, info, settings, labels, samples, tuple(notes))

    @property
    def name(self) -> str:
        return self.folder.path.resolve().name

    @property
    def scale(self) -> LabelScale:
        """The neutral label, and how far labels extend from it."""
        return LabelScale.of(self.info.label_range)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return self.folder.metrics()

    @cached_property
    def history(self) -> pd.DataFrame:
        return self.folder.history()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return self.folder.predictions()

    @property
    def generated_labels(self) -> LabelHistory:
        """The u-labels of every epoch; raises ``RunError`` if the run generated none."""
        if self.labels is None:
            raise self.folder.no_labels_error(self.info)
        return self.labels

    def audit(self, top: int = 20, epoch: int | None = None) -> Audit:
        """Return the audit of the labels, with all known references.

        Args:
            top: number of clips to look at.
            epoch: audit the labels of this epoch; default: that of the model's weights.

        Raises:
            RunError: if the run generated no labels, or has no such epoch.
        """
        best = int(self.metrics["best_epoch"])
        labels = self.generated_labels.until(best if epoch is None else epoch)
        result = audit(
            labels,
            self.scale.neutral,
            scores=self.predictions,
            truth=self.samples,
            history=self.history,
            references=self.samples,
            top=top,
        )
        return replace(result, of_model=result.epoch == best)


def training_clips_only(rule: str) -> str:
    """Return why clips of other splits have no labels, in a sentence."""
    return (
        f"only training clips have labels: the rule {rule} of this run made them in training. `selfmm labels DATA` "
        "estimates labels of all clips of a data set."
    )


def _labels(path: Path, info: RunInfo) -> LabelHistory:
    labels = LabelHistory.of(_labels_in_pieces(path))
    if not set(labels.modalities) <= set(info.modalities):  # their names become file names and parts of a page
        raise RunError(
            f"{path} has labels of {some(list(labels.modalities))}, but the run has {', '.join(info.modalities)}: "
            "the file is damaged or belongs to another run."
        )
    return labels


def _labels_in_pieces(path: Path) -> Iterator[pd.DataFrame]:
    """Read ``labels.parquet`` a million rows at a time: it has one per clip, epoch and modality."""
    try:
        with pq.ParquetFile(path) as file:
            columns = [name for name in (*COLUMNS, *OPTIONAL) if name in file.schema_arrow.names]
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                yield batch.to_pandas()
    except RunError:
        raise
    except Exception as error:  # pyarrow fails on damaged bytes in many ways
        raise RunError(f"cannot read {path}: {error}. The run folder is incomplete.") from error


def run_samples(info: RunInfo) -> tuple[pd.DataFrame | None, str | None]:
    """Return the table of the run's data set, or None and the reason."""
    left_out = "so texts and labels per modality are left out"
    try:
        dataset = open_dataset(info.dataset_path)
        checksum = fingerprint(dataset)
    except (DatasetError, OSError) as error:
        return None, f"the data set cannot be read, {left_out}: {error}"
    if checksum != info.fingerprint:
        return None, f"the data set at {info.dataset_path} has changed since training, {left_out}."
    return dataset.samples, None
