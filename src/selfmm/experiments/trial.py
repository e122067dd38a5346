"""One trial of a search: a training of which nothing is kept but its validation MAE."""

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
from selfmm.models.assembly import Assembly, assemble
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.objective import make_objective
from selfmm.training.trainer import EpochRecord, Trainer

Heard = Callable[[int, float], bool]
"""Is told an epoch's number and validation MAE; says whether the trial may go on."""


@dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        state: ``pruned``: stopped early, as worse than others; ``failed``: it could not be trained.
        mae: the lowest validation MAE of its epochs; None without one.
        epoch: which epoch had it, from 1.
        seconds: that it took.
        reason: why it failed, or that it took no time because another was the same.
    """

    state: Literal["complete", "pruned", "failed"]
    mae: float | None = None
    epoch: int | None = None
    seconds: float = 0.0
    reason: str = ""


class _Pruned(Exception):  # noqa: N818  no error
    """The trial is not worth its further epochs."""


class _Ear(Listener):
    """Hears how a training goes, and ends it between two epochs."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.best: EpochRecord | None = None

    def epoch(self, record: EpochRecord) -> None:
        if record.best:
            self.best = record
        if not self.heard(record.epoch, record.valid["mae"]):
            raise _Pruned


class Bench:
    """Where trials are trained one after the other, with what they share.

    Args:
        dataset: of which the test split is left out here, once and for all.
        base: settings that a trial's values are put into.
    """

    def __init__(self, dataset: Dataset, base: Settings) -> None:
        self.dataset = dataset.without("test")
        self.base = base
        self._encoded: dict[tuple[str, int, bool], Ragged | None] = {}

    def run(self, values: Mapping[str, Any], heard: Heard) -> Outcome:
        """Trains with these values of settings. What is wrong with them fails the trial; all else is raised."""
        begun, ear = time.perf_counter(), _Ear(heard)
        state: Literal["complete", "pruned", "failed"] = "complete"
        reason = ""
        try:
            self._train(with_values(self.base, values), ear)
        except _Pruned:
            state = "pruned"
        except (SettingsError, TrainingError) as error:
            state, reason = "failed", _one_line(error)
        except WeightsError as error:
            if "text.encoder" not in values:
                raise
            state, reason = "failed", _one_line(error)
        except (MemoryError, torch.OutOfMemoryError):
            state, reason = "failed", "memory ran out"
        best = ear.best
        seconds = time.perf_counter() - begun
        return Outcome(state, best.valid["mae"] if best else None, best.epoch if best else None, seconds, reason)

    def ask_frozen(self) -> None:
        """Asks the text encoder, if it is frozen, before several processes ask for its answers at once."""
        if not self.base.text.finetune:
            self._ask_once(assemble(self.dataset, self.base))

    def _train(self, settings: Settings, listener: Listener) -> None:
        torch.manual_seed(settings.seed)
        assembly = assemble(self.dataset, settings)
        encoded = self._ask_once(assembly)
        rows, valid = training_rows(self.dataset, settings), self.dataset.rows("valid")
        label_range = self.dataset.manifest.label_range
        with tempfile.TemporaryDirectory(prefix="selfmm-tune-") as nothing:
            Trainer(
                model=assembly.model,
                objective=make_objective(self.dataset, settings, assembly.model, rows),
                train=assembly.maker(self.dataset, rows, encoded),
                valid=assembly.maker(self.dataset, valid, encoded),
                names=self.dataset.samples["id"].iloc[rows].tolist(),
                scale=scale_for(label_range),
                neutral=LabelScale.of(label_range).neutral,
                settings=settings,
                checkpoints=Checkpoints(Path(nothing), writes=False),
                listener=listener,
            ).fit()

    def _ask_once(self, assembly: Assembly) -> Ragged | None:
        """What a frozen text encoder says of all clips: its answers are on disk, and here from the second time on."""
        text = assembly.settings.text
        if text.finetune:
            return None
        key = (text.encoder, text.max_tokens, find_model(assembly.settings.model).reads_tokens)
        if key not in self._encoded:
            self._encoded[key] = assembly.ask_frozen(self.dataset)
        return self._encoded[key]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
