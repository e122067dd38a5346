"""The training loop for any model and objective; the validation split chooses the end and the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from selfmm.config.settings import Settings
from selfmm.core.errors import TrainingError
from selfmm.core.listener import Listener
from selfmm.core.processes import Processes
from selfmm.core.tensors import Positions, learned, load_learned
from selfmm.data.batches import BatchMaker, cut, training_plan
from selfmm.data.types import Batch, Loss, Output
from selfmm.evaluation.metrics import Scale, evaluate
from selfmm.models.base import Model
from selfmm.models.hardware import device_memory, pass_clips, resolve_precision
from selfmm.models.scoring import score
from selfmm.models.text import TransformerEncoder
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.diagnosis import explain_non_finite
from selfmm.training.objectives import Objective
from selfmm.training.optim import make_optimizer, rate_factor

_SMALLEST_GAIN = 1e-6
_RANK_APART = 1_000_000_007  # difference between the seeds of two processes, so their dropout differs
_SHARE_FOR_DATA = 4  # clips take at most a quarter of a device's memory


class _Unsure(NamedTuple):
    """A loss that may not be finite, with all that is needed to explain it."""

    bad: Tensor
    batch: Batch
    loss: Loss
    epoch: int


@dataclass(frozen=True)
class EpochRecord:
    """One line of ``history.jsonl``.

    Attributes:
        epoch: its number, starting at 1.
        loss: per task, mean over the training clips, with the weight with which the head learns from a clip: 1, or W_s
            if ``labels.weighting`` is ``published``.
        valid: metrics of the whole validation split.
        best: whether these weights are the best so far.
        seconds: duration of the epoch, including validation.
        clips_per_second: speed of training, without validation.
        labels: figures of the generated labels, per modality and for ``fusion``; see
            :meth:`selfmm.labels.UnimodalLabelGenerator.figures`.
        head_weights: per modality with generated labels, the mean weight with which its head learned from the training
            clips; 0 for a clip that lacks the modality.
    """

    epoch: int
    loss: Mapping[str, float]
    valid: Mapping[str, float]
    best: bool
    seconds: float
    clips_per_second: float
    labels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    head_weights: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Trainer:
    """Trains ``model`` for ``objective``; can stop after any epoch and resume there.

    Attributes:
        model, objective: modules; checkpoints hold all their state.
        train, valid: clips of the two splits.
        names: ids of the training clips, for messages.
        scale, neutral: choose the metrics of the validation split, see ``evaluate``.
        after_epoch: called with the history so far, before the epoch's checkpoint becomes the current one.
    """

    model: Model
    objective: Objective
    train: BatchMaker
    valid: BatchMaker
    names: list[str]
    scale: Scale
    settings: Settings
    checkpoints: Checkpoints
    neutral: float = 0.0
    listener: Listener = field(default_factory=Listener)
    after_epoch: Callable[[list[EpochRecord]], None] = lambda history: None

    def __post_init__(self) -> None:
        training = self.settings.training
        self.processes = Processes.join(training.device)
        self.accelerator = Accelerator(cpu=training.device == "cpu")
        self.device: torch.device = self.accelerator.device
        self.model.to(self.device)
        self.objective.to(self.device)
        self.processes.spread(self.model.state_dict().values())
        if self.device.type == "cpu":
            for name, encoder in self._text_encoders():
                encoder.train_words(self.train.ragged(name).to(self.device).rows)
        # Not the model: if Accelerate wraps it, every process needs clips in every pass, and gradients must be dense.
        self.optimizer = self.accelerator.prepare(make_optimizer(self.model, self.settings, self.steps))
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.precision = resolve_precision(training.precision, self.device)
        self.pass_clips = pass_clips(self.model, self.train, self.settings, self.device)
        for maker in (self.train, self.valid):
            maker.settle(self.device, device_memory(self.device) // _SHARE_FOR_DATA)
        self.history: list[EpochRecord] = []
        self._best: dict[str, Tensor] = {}
        self._stored = 0  # the last epoch that is on disk
        self._stored_at = time.perf_counter()
        self._unsure: list[_Unsure] = []
        # Only once: gradients allocated in each step would fragment memory, and those of embeddings would be mostly
        # zeros written to new pages.
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None

    def fit(self) -> list[EpochRecord]:
        """Train from the last checkpoint, or else from the start; return the history."""
        self._resume()
        self.listener.started(self.settings.training.max_epochs, self.steps, len(self.history))
        while not self._finished():
            self._run_epoch(len(self.history) + 1)
        self._store()
        return self.history

    @property
    def steps(self) -> int:
        """Steps of the optimizer in an epoch, with a last one that is not full."""
        limits = self.settings.training
        return -(-len(self.train) // (limits.batch_size * limits.accumulation))

    @property
    def best_epoch(self) -> int:
        """Number of the epoch with the best validation MAE so far; 0 before the first."""
        return max((record.epoch for record in self.history if record.best), default=0)

    def load_best(self) -> None:
        """Load the weights of the best epoch into the model, and free what training needed."""
        self.optimizer.optimizer.state.clear()  # twice the size of the model
        self.optimizer.zero_grad(set_to_none=True)
        load_learned(self.model, self._best or self.checkpoints.best(self.best_epoch))
        for _, encoder in self._text_encoders():
            encoder.complete_words()

    def _text_encoders(self) -> Iterator[tuple[str, TransformerEncoder]]:
        for name, encoder in self.model.encoders.items():
            if isinstance(encoder, TransformerEncoder):
                yield name, encoder

    def _finished(self) -> bool:
        done, limits = len(self.history), self.settings.training
        return done >= limits.max_epochs or (done > 0 and done - self.best_epoch >= limits.patience)

    def _resume(self) -> None:
        progress = self.checkpoints.progress()
        if progress is not None:
            self.history = [EpochRecord(**record) for record in progress["history"]]
            self.checkpoints.load(progress["epoch"], self._parts(), self.optimizer)
            self._stored = progress["epoch"]

    def _run_epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        # With one seed per epoch, a resumed run needs no stored random state.
        torch.manual_seed(self.settings.seed * 100_003 + epoch + self.processes.rank * _RANK_APART)
        loss, head_weights = self._train_epoch(epoch)
        labels = self.objective.end_epoch()
        trained = time.perf_counter()
        limits = self.settings.training
        with self.optimizer.optimizer.averaged():
            valid = self._validate(epoch)
            best = valid["mae"] < self._best_mae() - _SMALLEST_GAIN
            due = bool(
                self.processes.decide(lambda: time.perf_counter() - self._stored_at >= limits.checkpoint_seconds)
            )
            if best:
                weights = learned(self.model)
                # Weights that are now written to disk need no copy in memory, unless they are an average.
                copied = not due or limits.average
                self._best = {name: value.clone() for name, value in weights.items()} if copied else weights
        seconds, rate = time.perf_counter() - started, len(self.train) / (trained - started)
        record = EpochRecord(epoch, loss, valid, best, seconds, rate, labels, head_weights)
        self.history.append(record)
        self.after_epoch(self.history)
        if due:
            self._store()
        self.listener.epoch(record)

    def _best_mae(self) -> float:
        return min((record.valid["mae"] for record in self.history if record.best), default=float("inf"))

    def _train_epoch(self, epoch: int) -> tuple[dict[str, float], dict[str, float]]:
        """Train on every clip once; return the mean loss of each task, and the mean weight of each weighted head."""
        self.model.train()
        limits = self.settings.training
        size = {"batch_size": limits.batch_size, "accumulation": limits.accumulation}
        plan = training_plan(self.train.cost, **size, seed=self.settings.seed, epoch=epoch)
        shares = [np.concatenate(self.processes.share(step)) for step in plan]
        # A process without a share takes a clip that does not count, because all processes must make the same calls.
        passes = [cut(share, self.pass_clips) or [step[0][:1]] for share, step in zip(shares, plan, strict=True)]
        batches = self.train.batches([positions for step in passes for positions in step], self.device)
        sums: dict[tuple[str, str], Tensor] = {}
        for number, (step, parts) in enumerate(zip(plan, passes, strict=True)):
            self._set_rates((epoch - 1 + (number + 0.5) / len(plan)) / limits.max_epochs)
            for loss in self._step(step, list(islice(batches, len(parts))), epoch):
                for kind, per_task in (("loss", loss.tasks), ("weight", loss.head_weights)):
                    for task, values in per_task.items():
                        sums[kind, task] = sums.get((kind, task), 0) + values.double().sum()
            self.listener.step()
        next(batches, None)  # ends its thread now: Ctrl-C would be lost in a destructor
        self._check(self._unsure)
        totals = self.processes.total(torch.stack([*sums.values()])).tolist()
        means = {key: total / len(self.train) for key, total in zip(sums, totals, strict=True)}
        return _of_kind("loss", means), _of_kind("weight", means)

    def _set_rates(self, done: float) -> None:
        """Set the learning rates for a step in the middle of which the part ``done`` of all epochs is over."""
        factor = rate_factor(self.settings.training.schedule, done)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _step(self, step: list[Positions], batches: list[Batch], epoch: int) -> list[Loss]:
        """Do one step of the optimizer.

        Args:
            step: the clips of all processes, by batch of labels.
            batches: this process's share in the same order, one batch per forward pass; without a share, a clip of
                another process.
        """
        limits = self.settings.training
        own, clips = self.processes.share(step), sum(map(len, step))
        counted = [
            clips if limits.gradient == "mean" else len(part)
            for part, mine in zip(step, own, strict=True)
            for _ in mine
        ]
        sizes = torch.tensor(counted or [math.inf])
        shares = torch.split((1 / sizes).to(self.device), [len(batch) for batch in batches])
        before, self._unsure = self._unsure, []
        done = [self._forward_backward(batch, share, epoch) for batch, share in zip(batches, shares, strict=True)]
        self._observe(own, batches, [seen for _, seen in done], epoch)
        if limits.leftover == "step" or len(step) == limits.accumulation:
            bad = [torch.stack([entry.bad for entry in self._unsure]).any().float()] if self._unsure else []
            self.processes.add([*(p.grad for p in self.model.parameters() if p.grad is not None), *bad])
            if limits.clip_norm:
                self.accelerator.clip_grad_norm_(self.model.parameters(), limits.clip_norm)
            if bad:
                self.optimizer.optimizer.found_inf = bad[0]  # Adam changes nothing if this is not 0
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        self._check(before)
        return [loss for loss, _ in done] if counted else [done[0][0].nothing()]

    def _forward_backward(self, batch: Batch, share: Tensor, epoch: int) -> tuple[Loss, Output]:
        """Return the loss, and the output that the objective observes."""
        with self._autocast():
            output = self.model(batch)
        loss: Loss = self.objective(output, batch)
        entry = _Unsure(~torch.isfinite(loss.per_clip).all(), batch, loss, epoch)
        if self.checks_at_once:
            self._check([entry])
        else:
            self._unsure.append(entry)
        self.accelerator.backward((loss.per_clip * share).sum())
        return loss, self._clean(batch) if self.objective.clean_features else output.detach()

    def _observe(self, own: list[Positions], batches: list[Batch], outputs: list[Output], epoch: int) -> None:
        """Pass the outputs to the objective in batches of labels, whatever the size of the forward passes."""
        output, index = Output.join(outputs), torch.cat([batch.index for batch in batches])
        start = 0
        for part in own:
            rows = slice(start, start + len(part))
            self.objective.observe(output.part(rows), index[rows], epoch)
            start += len(part)

    @property
    def checks_at_once(self) -> bool:
        """Whether to check a loss before its gradient is computed. On an accelerator that would mean to wait for the
        device, so the loss is checked one step later, and Adam changes no weights until then."""
        return self.device.type == "cpu"

    def _check(self, entries: list[_Unsure]) -> None:
        for bad, batch, loss, epoch in entries:
            if bad:
                raise TrainingError(explain_non_finite(batch, loss, self.model, self.names, epoch))

    @torch.no_grad()
    def _clean(self, batch: Batch) -> Output:
        """Return the output without dropout, with which features of a clip differ by 22-48 % between passes."""
        self.model.eval()
        with self._autocast():
            output: Output = self.model(batch)
        self.model.train()
        return output

    def _autocast(self) -> torch.autocast:
        # Not Accelerate's: there, the first run in a process sets the precision of all later ones.
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def _validate(self, epoch: int) -> dict[str, float]:
        scores = score(self.model, self.valid, self.device, self.processes)
        bad = ~torch.isfinite(torch.from_numpy(scores.fusion))
        if bad.any():
            raise TrainingError(
                f"after epoch {epoch}, {int(bad.sum())} of {len(self.valid)} validation scores are not finite: the "
                "weights overflowed in the last steps. Lower the learning rates or set training.clip_norm."
            )
        return evaluate(scores.fusion, self.valid.labels, self.scale, self.neutral).values

    def _parts(self) -> dict[str, nn.Module]:
        return {"model": self.model, "objective": self.objective}

    def _store(self) -> None:
        if self._stored == len(self.history):
            return
        progress: dict[str, Any] = {
            "epoch": len(self.history),
            "best_epoch": self.best_epoch,
            "history": [asdict(entry) for entry in self.history],
        }
        new = self._best if self.best_epoch > self._stored else None
        self.checkpoints.save(progress, self._parts(), self.optimizer, new)
        self.processes.wait()  # until all processes can read the files
        self._best = {}  # these weights are now in a file
        self._stored, self._stored_at = len(self.history), time.perf_counter()


def _of_kind(kind: str, means: Mapping[tuple[str, str], float]) -> dict[str, float]:
    return {task: value for (of, task), value in means.items() if of == kind}
