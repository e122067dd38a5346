"""One training from start to end: from a data set and settings to a finished run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from selfmm.config.settings import Settings, flatten
from selfmm.core.errors import OutputError, RunError
from selfmm.core.files import explain, is_litter, is_stray, to_json, write_json, write_json_lines, write_table
from selfmm.core.folders import atomic_folder, only_one
from selfmm.core.listener import Listener
from selfmm.core.machine import why_slow
from selfmm.core.memory import peak_memory
from selfmm.core.messages import clips
from selfmm.core.processes import Processes, together
from selfmm.core.tensors import Positions, Ragged
from selfmm.core.version import __version__
from selfmm.data.batches import BatchMaker
from selfmm.data.capitals import in_capitals
from selfmm.data.corrections import digest
from selfmm.data.manifest import SPLITS
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.data.types import Output
from selfmm.data.writer import fingerprint, sha256
from selfmm.evaluation.metrics import Scale, scale_for
from selfmm.evaluation.worth import LEFT_OUT, Scored, run_worth
from selfmm.labels import EstimatedLabels
from selfmm.models import find_model
from selfmm.models.assembly import POOLED, Assembly
from selfmm.models.base import label_source
from selfmm.models.encoders import Standardised
from selfmm.models.hardware import check_device
from selfmm.models.own_code import digest_of
from selfmm.models.reading import ReadingRules
from selfmm.models.scoring import MeanEncodings, Scores, prediction_table, score
from selfmm.models.text import weights_to_name
from selfmm.runs.folder import PROCEDURE, RunFolder, RunInfo, StartInfo, environment
from selfmm.runs.weights import store_weights
from selfmm.training.adapt.start import check_start
from selfmm.training.adapt.trainer import AdaptTrainer, rated_rows
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.corrections import corrections_used
from selfmm.training.label_record import LabelRecord
from selfmm.training.objective import Generator, check_trainable, make_objective
from selfmm.training.objectives import Objective
from selfmm.training.objectives.self_mm import SelfMMObjective
from selfmm.training.start import assemble_begun, assemble_started, forget_start, start_note, started, store_start
from selfmm.training.trackers import Tracker, check_log
from selfmm.training.trainer import EpochRecord, Trainer
from selfmm.training.untrained import untrained_heads

_NOTHING, _BEGUN, _FINISHED = range(3)


class Run:
    """A training and its folder. If there are several processes, all train, and the main one writes and reports.

    Args:
        shared: the folder in which runs store common weights; None: each run stores its own.
        reason: why this model, if the user did not choose it; the listener gets it.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        folder: RunFolder,
        listener: Listener,
        *,
        shared: Path | None = None,
        reason: str = "",
    ) -> None:
        check_device(settings.training.device)
        check_log(settings)
        self.processes = Processes.join(settings.training.device)
        model = find_model(settings.model)
        settings = started(settings, dataset, folder)
        self.dataset, self.settings, self.folder, self.shared = dataset, settings, folder, shared
        self._start: StartInfo | None = None
        self._tracker: Tracker | None = None
        self.listener = listener if self.processes.main else Listener()
        self.scale: Scale = scale_for(dataset.manifest.label_range)
        self.neutral = LabelScale.of(dataset.manifest.label_range).neutral
        self._source, self._code = label_source(model, settings), digest_of(settings.model, model)
        self.rows = rated_rows(dataset, settings) if model.closed_form else training_rows(dataset, settings)
        self._record, self._reason = LabelRecord(folder.state / "labels"), reason

    @together()
    def execute(self, *, resume: bool) -> None:
        """Train, or resume training, and write every result."""
        state = self.processes.decide(lambda: self._state(resume))
        if state == _FINISHED:
            return
        if self._reason:
            self.listener.chose(self._reason)
        check_trainable(self.dataset, self.settings, self._source)
        torch.manual_seed(self.settings.seed)
        if state == _BEGUN:
            assembly, self._start = assemble_begun(self.dataset, self.settings, self.folder)
            self._check_reading(assembly)
        else:
            assembly, self._start = assemble_started(self.dataset, self.settings)
        self.settings = assembly.settings  # with what `align = auto` means for these data
        # Report problems with the data before creating a folder.
        objective = make_objective(self.dataset, self.settings, assembly, self.rows)
        if assembly.model.closed_form:
            check_start(assembly, self.dataset, self.rows)
        if assembly.model.needs.aligned:
            assembly.maker(self.dataset, np.arange(len(self.dataset)))
        if self.processes.main and state != _BEGUN:
            self._begin(assembly)
        self.processes.wait()
        if not self._begun():
            raise RunError(
                f"process {self.processes.rank} does not see {self.folder.path}, which process 0 created: the "
                "processes of a run need a folder that all their machines share. Choose another `out=...`."
            )
        with only_one(self.folder.path) if self.processes.main else nullcontext():
            encoded = assembly.encode_text(self.dataset)
            trainer = self._trainer(assembly, objective, encoded)
            if trainer.device.type == "cpu" and (warning := why_slow(torch.get_num_threads())):
                self.listener.note(warning)
            try:
                self._tracker = self._begin_tracker()
                trainer.fit()
                self._finish(assembly, trainer, encoded)
            finally:
                if self._tracker is not None:
                    self._tracker.close()
            self.processes.wait()

    def finished(self, *, resume: bool) -> bool:
        """Return whether every result exists; raise an error for a folder that this training may not resume."""
        return self._state(resume) == _FINISHED

    def _state(self, resume: bool) -> int:
        if not self._begun():
            return _NOTHING
        if not resume:
            raise OutputError(
                f"{self.folder.path} exists already. Pass `resume=True` to continue it, or choose another `out=...`."
            )
        return _FINISHED if self._check_same().status == "finished" else _BEGUN

    def _begun(self) -> bool:
        path = self.folder.path
        try:
            if (path / "run.json").is_file():
                return True
            if path.exists() and (not path.is_dir() or not all(is_litter(file.name) for file in path.iterdir())):
                raise OutputError(f"{path} exists and is not a run folder. Choose another `out=...`.")
        except OSError as error:
            raise explain(error, path) from error
        return False

    def _check_same(self) -> RunInfo:
        """Return ``run.json``; raise ``RunError`` if the run was started with other data, settings or code."""
        info, settings = self.folder.info(), self.folder.settings()
        if info.status != "finished" and info.procedure != PROCEDURE:
            raise RunError(
                f"{self.folder.path} was begun by another version of selfmm, which trains in another way, so it cannot "
                "be continued. Choose another `out=...` to train it again, or finish it with the version that began it."
            )
        now = (fingerprint(self.dataset), digest(self.dataset.corrections))
        if (info.fingerprint, info.corrections_digest) != now:
            raise RunError(
                f"{self.folder.path} was started on {info.dataset!r} at {info.dataset_path}, whose content (clips, "
                f"labels or corrections) differs from {self.dataset.path}. Give the same data, or choose another "
                "`out=...`."
            )
        old, new = flatten(settings), flatten(self.settings)
        changed = [
            f"{key}: {old.get(key)!r} then, {new.get(key)!r} now"
            for key in new
            if old.get(key) != new[key] and key != "training.log"
        ]
        if changed:
            raise RunError(
                f"{self.folder.path} was started with other settings ({'; '.join(changed[:5])}). "
                "Resume with the same settings, or choose another `out=...`."
            )
        if info.code_sha256 != self._code:
            raise RunError(
                f"the code of {info.model} has changed since {self.folder.path} was begun. Restore it, or choose "
                "another `out=...`."
            )
        return info

    def _check_reading(self, assembly: Assembly) -> None:
        """Raise ``RunError`` if the run was begun by a version that read words of this text encoder in another way."""
        if assembly.pretrained is None or not self.folder.text_encoder.is_dir():
            return
        begun, now = ReadingRules.load(self.folder.text_encoder), assembly.pretrained.rules
        if begun != now:
            raise RunError(
                f"{self.folder.path} was begun by another version of selfmm, which reads the {begun.pooling} token of "
                f"this text encoder, and this one reads the {now.pooling}. Choose another `out=...` to train it again."
            )

    def _info(self, assembly: Assembly, text_encoder: Path, *, finished: bool) -> RunInfo:
        manifest, model = self.dataset.manifest, assembly.model
        named = self._named_weights(assembly)
        files: list[Path] = []
        if assembly.pretrained is not None and not named:
            files = sorted(file for file in text_encoder.iterdir() if not is_stray(file.name))
        return RunInfo(
            selfmm=__version__,
            status="finished" if finished else "training",
            dataset=manifest.name,
            dataset_path=str(self.dataset.path.resolve()),
            fingerprint=fingerprint(self.dataset),
            language=manifest.language,
            label_range=manifest.label_range,
            recipe=manifest.recipe,
            modalities=dict(assembly.modalities),
            corrections=[] if self._source == "none" else corrections_used(self.dataset, model.tasks, self.rows),
            model=self.settings.model,
            code_sha256=digest_of(self.settings.model, type(model)),
            labels=self._source,
            parameters=_count(model.parameters()),
            trained_parameters=_count(p for p in model.parameters() if p.requires_grad),
            corrections_digest=digest(self.dataset.corrections),
            text_encoder={file.name: sha256(file) for file in files},
            encoder_weights=named,
            procedure=PROCEDURE,
            start=self._start,
        )

    def _named_weights(self, assembly: Assembly) -> str:
        """The offline weights of the text encoder that the run refers to by name, if any."""
        if assembly.pretrained is None or (self._start is not None and not self._start.encoder_weights):
            return ""  # the encoder of another run may be trained
        return weights_to_name(self.settings.text)

    def _begin(self, assembly: Assembly) -> None:
        """Create the complete folder or nothing, so the run can always be resumed."""
        with atomic_folder(self.folder.path, marker="run.json") as path:
            (path / self._record.folder.relative_to(self.folder.path)).mkdir(parents=True)
            if assembly.pretrained is not None and not self._named_weights(assembly):
                assembly.pretrained.save(path / self.folder.text_encoder.name)
            store_start(path / self.folder.state.name, assembly.model, self._start)
            (path / "settings.toml").write_text(self.settings.to_toml(), encoding="utf-8")
            info = self._info(assembly, path / self.folder.text_encoder.name, finished=False)
            (path / "run.json").write_text(to_json(info.model_dump(mode="json")), encoding="utf-8")

    def _begin_tracker(self) -> Tracker | None:
        return Tracker(self.settings, self.folder.path, self.listener) if self.processes.main else None

    def _trainer(self, assembly: Assembly, objective: Objective, encoded: Ragged | None) -> Trainer | AdaptTrainer:
        if assembly.model.closed_form:
            fitted = AdaptTrainer(assembly, self.dataset, self.rows, encoded, self.settings, self.scale)
            if self.processes.main:
                self._write_environment(fitted)
            return fitted
        generator = objective.generator if isinstance(objective, SelfMMObjective) else None
        trainer = Trainer(
            model=assembly.model,
            objective=objective,
            train=assembly.maker(self.dataset, self.rows, encoded),
            valid=assembly.maker(self.dataset, self.dataset.rows("valid"), encoded),
            names=self.dataset.samples["id"].iloc[self.rows].tolist(),
            scale=self.scale,
            neutral=self.neutral,
            settings=self.settings,
            checkpoints=Checkpoints(self.folder.state, writes=self.processes.main),
            listener=self.listener,
            after_epoch=lambda history: self._after_epoch(history, generator),
        )
        if self.processes.main:
            self._write_environment(trainer)
        return trainer

    def _write_environment(self, trainer: Trainer | AdaptTrainer, **more: object) -> None:
        content = environment(str(trainer.device), torch.get_num_threads(), self.processes.count) | more
        write_json(self.folder.path / "environment.json", content)

    def _after_epoch(self, history: list[EpochRecord], generator: Generator | None) -> None:
        if not self.processes.main:
            return
        if generator is not None:
            self._record.write(len(history), generator)
        write_json_lines(self.folder.path / "history.jsonl", [asdict(record) for record in history])
        if self._tracker is not None:
            self._tracker.epoch(history[-1])

    def _finish(self, assembly: Assembly, trainer: Trainer | AdaptTrainer, encoded: Ragged | None) -> None:
        """Do everything that needs the best weights; after an interruption, all of it is done again."""
        if isinstance(trainer, Trainer):
            trainer.load_best()
        scores = self._scores(trainer, assembly.maker(self.dataset, np.arange(len(self.dataset)), encoded))
        if isinstance(trainer, AdaptTrainer):
            scores = trainer.left_out(scores)
        if self.processes.main:
            self._write_results(assembly, trainer, scores)

    def _scores(self, trainer: Trainer | AdaptTrainer, everything: BatchMaker) -> Scores:
        """Score all clips, and use the mean encoding for a modality that no training clip lacks: its ``missing`` was
        never trained."""
        model, done = trainer.model, 0
        means = MeanEncodings(model, np.isin(np.arange(len(everything)), self.rows))

        def watch(positions: Positions, output: Output) -> None:
            nonlocal done
            if isinstance(trainer, Trainer):
                means.add(positions, output)
            done += len(positions) * self.processes.count
            self.listener.finishing("scoring all clips", min(done, len(everything)), len(everything))

        self.listener.finishing("scoring all clips", 0, len(everything))
        scores = score(model, everything, trainer.device, self.processes, watch=watch)
        if isinstance(trainer, AdaptTrainer):
            return scores
        lengths, lacking = everything.lengths, np.zeros(len(everything), dtype=bool)
        for name, mean in means.values(self.processes).items():
            if (lengths[name][self.rows] > 0).all():
                with torch.no_grad():
                    model.missing[name].copy_(mean)
                lacking |= lengths[name] == 0
        if not lacking.any():
            return scores
        again = score(model, everything, trainer.device, self.processes, only=np.flatnonzero(lacking))
        return scores.replaced(again, lacking)

    def _write_results(self, assembly: Assembly, trainer: Trainer | AdaptTrainer, scores: Scores) -> None:
        self.listener.finishing("writing the weights")
        named = assembly.pretrained if self._named_weights(assembly) else None
        store_weights(self.folder, trainer.model, self.shared, None if named is None else named.model)
        predictions = prediction_table(self.dataset, scores)
        write_table(self.folder.path / "predictions.parquet", predictions)
        self.listener.finishing("measuring what the scores are worth")
        metrics = self._metrics(scores, predictions, trainer, assembly)
        write_json(self.folder.path / "metrics.json", metrics)
        if self._source == "generated" and isinstance(trainer, Trainer):
            write_table(self.folder.path / "labels.parquet", self._labels(assembly, trainer))
        write_json_lines(self.folder.path / "history.jsonl", [asdict(record) for record in trainer.history])
        self._write_environment(trainer, peak_memory=peak_memory())
        info = self._info(assembly, self.folder.text_encoder, finished=True)
        write_json(self.folder.path / "run.json", info.model_dump(mode="json"))
        with suppress(OutputError, OSError):  # all results exist, and leftovers only take space
            if isinstance(trainer, Trainer):
                trainer.checkpoints.finish("objective")
            self._record.clear()
        forget_start(self.folder.state)
        self._track(metrics["splits"], trainer)

    def _track(self, splits: Mapping[str, Any], trainer: Trainer | AdaptTrainer) -> None:
        if self._tracker is None:
            return
        if isinstance(trainer, AdaptTrainer):
            self._tracker.epoch(trainer.history[-1])
        fused = {split: tasks["fusion"]["values"] for split, tasks in splits.items()}
        self._tracker.finish(fused, trainer.best_epoch)

    def _labels(self, assembly: Assembly, trainer: Trainer) -> pd.DataFrame:
        generator = getattr(trainer.objective, "generator", None)
        if isinstance(generator, EstimatedLabels) and generator.table is not None:
            return generator.table
        return self._record.table(self.dataset, self.rows, assembly.model.tasks, len(trainer.history))

    def _metrics(
        self, scores: Scores, predictions: pd.DataFrame, trainer: Trainer | AdaptTrainer, assembly: Assembly
    ) -> dict[str, Any]:
        """Metrics per split and task, see :meth:`Scored.metrics`; what the scores are worth; and notes."""
        known = Scored.of(predictions, self.dataset.samples)
        rows = {split: self.dataset.rows(split) for split in SPLITS}
        splits = known.metrics(rows | {"train": training_rows(self.dataset, self.settings)}, self.scale, self.neutral)
        if isinstance(trainer, AdaptTrainer):
            left_out = known.with_split(self.rows, LEFT_OUT)
            worth = trainer.worth(run_worth(left_out, self.dataset.manifest.label_range, len(self.rows), LEFT_OUT))
            notes, fit = [], trainer.notes
        else:
            worth = run_worth(known, self.dataset.manifest.label_range, len(self.rows))
            notes, fit = self._untrained(scores, trainer), []
        notes += self._capitals(assembly)
        begun = start_note(self._start, fitted=assembly.model.closed_form) if self._start else ""
        fit = [line for line in (*fit, begun, POOLED if assembly.pools else "") if line]
        content = {"best_epoch": trainer.best_epoch, "scale": self.scale, "splits": splits}
        return content | {"worth": asdict(worth), "notes": notes, "fit": fit}

    def _untrained(self, scores: Scores, trainer: Trainer) -> list[str]:
        alone = {name: values[self.rows] for name, values in scores.unimodal.items()}
        frames = [name for name, encoder in trainer.model.encoders.items() if isinstance(encoder, Standardised)]
        raw = [name for name in frames if not self.settings.stream_for(name).standardise]
        return untrained_heads(trainer.history, trainer.best_epoch, alone, self.dataset.labels()[self.rows], raw)

    def _capitals(self, assembly: Assembly) -> list[str]:
        """A sentence about text in capitals, if the text encoder reads it in lower case."""
        pretrained = assembly.pretrained
        if pretrained is None or pretrained.rules.capitals == "keep":
            return []
        found = in_capitals(self.dataset.texts())
        if not len(found):
            return []
        return [
            f"The text of {clips(len(found))} of {len(self.dataset)} is mostly capitals. The text encoder "
            f"{self.settings.text.encoder} is cased, so this run reads such text in lower case, in predictions too; "
            "text.capitals=keep turns this off."
        ]


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
