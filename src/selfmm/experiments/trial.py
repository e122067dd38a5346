"""One trial of a search: a training that keeps only its validation MAE."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import SettingsError, TrainingError, WeightsError
from selfmm.core.listener import Listener
from selfmm.core.tensors import Ragged
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.evaluation.metrics import scale_for
from selfmm.experiments.search import with_values
from selfmm.models import find_model
from selfmm.models.assembly import Assembly
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.objective import make_objective
from selfmm.training.start import assemble_started
from selfmm.training.trainer import EpochRecord, Trainer

Report = Callable[[int, float], bool]
"""Receives the number and the validation MAE of an epoch; returns whether the trial should continue."""


@dataclass(frozen=True)
class Outcome:
    """The result of a trial.

    Attributes:
        state: ``complete``; ``pruned``: stopped early because others were better; ``failed``: it could not be trained.
        mae: the lowest validation MAE of its epochs; None if it has none.
        epoch: the epoch with this MAE, from 1.
        seconds: duration.
        reason: why it failed, or which earlier trial was the same.
    """

    state: Literal["complete", "pruned", "failed"]
    mae: float | None = None
    epoch: int | None = None
    seconds: float = 0.0
    reason: str = ""


class _Pruned(Exception):  # noqa: N818  not an error
    """Ends a trial that is worse than the others."""


class _Reporter(Listener):
    """Reports each epoch, and ends the training if the trial should not continue."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.best: EpochRecord | None = None

    def epoch(self, record: EpochRecord) -> None:
        if record.best:
            self.best = record
        if not self.report(record.epoch, record.valid["mae"]):
            raise _Pruned


class TrialTrainer:
    """Trains trials one after the other, and keeps what they share.

    Args:
        dataset: the data set; its test split is dropped here.
        base: the settings that each trial changes.
    """

    def __init__(self, dataset: Dataset, base: Settings) -> None:
        self.dataset = dataset.without("test")
        self.base = base
        self._encoded: dict[tuple[object, ...], Ragged | None] = {}

    def run(self, values: Mapping[str, Any], report: Report) -> Outcome:
        """Train with these values of settings. The trial fails if they cannot be used; other errors are raised."""
        begun, reporter = time.perf_counter(), _Reporter(report)
        state: Literal["complete", "pruned", "failed"] = "complete"
        reason = ""
        try:
            self._train(with_values(self.base, values), reporter)
        except _Pruned:
            state = "pruned"
        except (SettingsError, TrainingError, WeightsError) as error:
            if isinstance(error, WeightsError) and "text.encoder" not in values:
                raise
            state, reason = "failed", " ".join(str(error).split())
        except (MemoryError, torch.OutOfMemoryError):
            state, reason = "failed", "memory ran out"
        best = reporter.best
        seconds = time.perf_counter() - begun
        return Outcome(state, best.valid["mae"] if best else None, best.epoch if best else None, seconds, reason)

    def encode_frozen(self) -> None:
        """Run a frozen text encoder once, before several processes need its output."""
        if not self.base.text.finetune:
            self._encode_once(assemble_started(self.dataset, self.base)[0])

    def _train(self, settings: Settings, listener: Listener) -> None:
        torch.manual_seed(settings.seed)
        assembly, _ = assemble_started(self.dataset, settings)
        encoded = self._encode_once(assembly)
        rows, valid = training_rows(self.dataset, settings), self.dataset.rows("valid")
        label_range = self.dataset.manifest.label_range
        with tempfile.TemporaryDirectory(prefix="selfmm-tune-") as folder:
            Trainer(
                model=assembly.model,
                objective=make_objective(self.dataset, settings, assembly, rows),
                train=assembly.maker(self.dataset, rows, encoded),
                valid=assembly.maker(self.dataset, valid, encoded),
                names=self.dataset.samples["id"].iloc[rows].tolist(),
                scale=scale_for(label_range),
                neutral=LabelScale.of(label_range).neutral,
                settings=settings,
                checkpoints=Checkpoints(Path(folder), writes=False),
                listener=listener,
            ).fit()

    def _encode_once(self, assembly: Assembly) -> Ragged | None:
        """Return the output of a frozen text encoder for all clips, cached on disk and in memory."""
        text = assembly.settings.text
        if text.finetune:
            return None
        reads_tokens = find_model(assembly.settings.model).reads_tokens
        key = (text.encoder, text.pooling, text.layer, text.capitals, text.max_tokens, text.context, reads_tokens)
        if key not in self._encoded:
            self._encoded[key] = assembly.encode_text(self.dataset)
        return self._encoded[key]
