"""Labels per modality from a run or from a data set alone, with where they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.config.settings import Settings
from selfmm.core.errors import DatasetError, RunError
from selfmm.core.messages import clips, count
from selfmm.data.manifest import MANIFEST, SPLITS
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import fingerprint
from selfmm.labels.audit.audit import Audit, audit
from selfmm.labels.audit.history import LabelHistory
from selfmm.labels.per_clip import per_clip
from selfmm.models.assembly import chosen_modalities, reads_words
from selfmm.runs.folder import PROCEDURE, RunFolder, RunInfo
from selfmm.runs.material import run_samples, training_clips_only
from selfmm.training.estimation import labels_of_data
from selfmm.training.label_record import LabelRecord

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class LabelSet:
    """Labels per modality of the clips of one data set.

    Attributes:
        table: a row per modality, clip and epoch, as in ``labels.parquet``.
        samples: the data set's table; None if it is gone or was changed since training.
        dataset, fingerprint, label_range: name, checksum and label range of the data set.
        rule: that made the labels.
        run: name of the run that they belong to; empty if they were made from the data set alone.
        encoder: the text encoder that read the words; empty if no words were read, or the rule reads no inputs.
        best: the epoch whose weights the run keeps, so far if it is unfinished; 0 if no epoch changes the labels.
        finished: whether the run is finished.
        notes: what to know about them, one sentence each.
    """

    table: pd.DataFrame
    samples: pd.DataFrame | None
    dataset: str
    fingerprint: str
    label_range: tuple[float, float]
    rule: str
    run: str = ""
    encoder: str = ""
    best: int = 0
    finished: bool = True
    notes: tuple[str, ...] = ()

    @property
    def estimated(self) -> bool:
        """Whether they were estimated before training: then all clips have labels, which no epoch changes."""
        return "trust" in self.table

    @property
    def epochs(self) -> tuple[int, ...]:
        return tuple(sorted(self.table["epoch"].unique().tolist()))

    def per_clip(self) -> pd.DataFrame:
        """Return one row per clip, see :func:`selfmm.labels.per_clip.per_clip`."""
        return per_clip(self.table, self.samples)

    def of_epoch(self, epoch: str, *, earlier: bool = False) -> LabelSet:
        """Return the labels of one epoch, with a note that says which; estimated labels as they are.

        Args:
            epoch: ``best``, ``last`` or a number.
            earlier: keep those of earlier epochs too.

        Raises:
            RunError: if there is no such epoch.
        """
        if self.estimated:
            if epoch in ("best", "last", "all"):
                return self
            raise RunError(
                "these labels were estimated before training, and no epoch changes them; leave out `epoch=...`."
            )
        last = self.epochs[-1]
        number = {"best": self.best, "last": last}.get(epoch) or (int(epoch) if _NUMBER.fullmatch(epoch) else 0)
        if number not in self.epochs:
            raise RunError(f"there is no epoch {epoch!r}: give a number from 1 to {last}, or last, best or all.")
        so_far = "" if self.finished else " so far"
        why = f", whose weights the run keeps{so_far}" if number == self.best else ""
        kept = self.table["epoch"] <= number if earlier else self.table["epoch"] == number
        note = f"these are the labels of epoch {number} of {last}{why}."
        return replace(self, table=self.table[kept].reset_index(drop=True), notes=(note, *self.notes))

    def of_split(self, split: str) -> LabelSet:
        """Return the labels of one split.

        Raises:
            DatasetError: if it has none.
        """
        splits = self.table["split"] if "split" in self.table else pd.Series("train", index=self.table.index)
        table = self.table[splits == split].reset_index(drop=True)
        if table.empty:
            has = ", ".join(name for name in SPLITS if (splits == name).any())
            raise DatasetError(f"no clip of a split {split!r} has labels; there are labels of: {has}.")
        samples = None if self.samples is None else self.samples[self.samples["split"] == split]
        return replace(self, table=table, samples=samples)

    def audit(self, top: int = 20) -> Audit:
        """Return the audit of the last epoch, without a model's scores."""
        neutral = LabelScale.of(self.label_range).neutral
        history = LabelHistory.of(self.table)
        return replace(audit(history, neutral, truth=self.samples, references=self.samples, top=top), notes=self.notes)


def from_data(dataset: Dataset, settings: Settings) -> LabelSet:
    """Return labels estimated from a data set alone, whatever rule the settings name."""
    modalities = chosen_modalities(dataset, settings)
    words = reads_words(modalities)
    return LabelSet(
        labels_of_data(dataset, settings),
        dataset.samples,
        dataset.name,
        fingerprint(dataset),
        dataset.manifest.label_range,
        "posterior",
        encoder=settings.text.encoder if words else "",
        notes=(*_other_rule(settings), *_gaps(dataset.samples)),
    )


def from_run(folder: RunFolder) -> LabelSet:
    """Return the labels of a run in all its epochs, or in the finished epochs of an unfinished run.

    Raises:
        RunError: if the run has no generated labels or is damaged; or if it is unfinished and has no labels yet, or its
            data set is gone or was changed.
    """
    info = folder.info()
    if info.labels != "generated":
        raise folder.no_labels_error(info)
    return _finished(folder) if info.status == "finished" else _unfinished(folder, info)


def _finished(folder: RunFolder) -> LabelSet:
    info, settings = folder.require_finished(), folder.settings()
    samples, note = run_samples(info)
    table, rule = folder.labels(), settings.labels.rule
    notes = [note] if note else []
    if "split" not in table:
        notes.append(training_clips_only(rule))
    elif samples is not None:
        notes += _gaps(samples)
    named = folder.path.resolve().name
    encoder = settings.text.encoder if info.text_encoder or info.encoder_weights else ""
    return LabelSet(
        table,
        samples,
        info.dataset,
        info.fingerprint,
        info.label_range,
        rule,
        named,
        encoder,
        best=0 if "trust" in table else int(folder.metrics()["best_epoch"]),
        notes=tuple(notes),
    )


def _unfinished(folder: RunFolder, info: RunInfo) -> LabelSet:
    path, settings = Path(info.dataset_path), folder.settings()
    if not (path / MANIFEST).is_file():
        raise RunError(f"{folder.path} is not finished, and its data set is no longer at {path}. Move it back.")
    dataset = open_dataset(path)
    if fingerprint(dataset) != info.fingerprint:
        raise RunError(f"{folder.path} is not finished, and the data set at {path} has changed since it was begun.")
    note, named = f"{folder.path} is not finished.", folder.path.resolve().name
    if settings.labels.rule == "posterior" and info.procedure == PROCEDURE:
        labels = from_data(dataset, settings)
        return replace(labels, run=named, finished=False, notes=(note, *labels.notes))
    record = LabelRecord(folder.state / "labels")
    if not record.epochs():
        raise RunError(
            f"{folder.path} has no labels yet: the rule {settings.labels.rule} makes them in training, and no epoch is "
            "finished. `selfmm labels DATA` estimates labels from the data set alone."
        )
    names = [name for name in info.modalities if name in (settings.labels.tasks or info.modalities)]
    table = record.table(dataset, training_rows(dataset, settings), names, record.epochs())
    return LabelSet(
        table,
        dataset.samples,
        info.dataset,
        info.fingerprint,
        info.label_range,
        settings.labels.rule,
        named,
        best=_best_so_far(folder.history()),
        finished=False,
        notes=(
            f"{note} It has labels of {count(record.epochs(), 'epoch')}.",
            training_clips_only(settings.labels.rule),
        ),
    )


def _best_so_far(history: pd.DataFrame) -> int:
    best = history[history["best"]]
    return int((best if len(best) else history)["epoch"].iloc[-1])


def _other_rule(settings: Settings) -> list[str]:
    rule = settings.labels.rule
    if rule == "posterior":
        return []
    return [f"the rule {rule} of these settings makes labels in training; these are estimated by the rule posterior."]


def _gaps(samples: pd.DataFrame) -> list[str]:
    """Return which clips get no labels, and what all labels are fitted to if there is no training split."""
    unlabelled = int((~np.isfinite(samples["label"].to_numpy(dtype=np.float64))).sum())
    notes = []
    if unlabelled:
        notes.append(f"{clips(unlabelled, ('has', 'have'))} no m-label, and so no labels per modality.")
    if not (samples["split"] == "train").any():
        notes.append(
            "the data set has no training split, so the labels are fitted to all clips, each left out in turn."
        )
    return notes
