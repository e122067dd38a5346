"""Progress of long work: bars on a terminal; elsewhere a line for each epoch, run or trial, and for every tenth clip.

Each ``watch_*`` is a context with a listener, or None if it shows nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from selfmm.api import Listener, parts
from selfmm.api.parts import count
from selfmm.cli.output import as_options, speaks

if TYPE_CHECKING:
    from selfmm.api import Clip
    from selfmm.api.parts import EpochRecord, Outcome, Plan, Search

_CLIPS, _SECONDS = 10, 5.0  # between two lines about clips
_STEP_SECONDS = 20.0  # between two lines about the steps of an epoch

T = TypeVar("T")
U = TypeVar("U")


@contextmanager
def _bars(
    console: Console, listener: Callable[[Progress], T], elsewhere: U, *more: ProgressColumn, shown: bool = True
) -> Iterator[T | U]:
    """Yield a listener that shows bars on a terminal; otherwise yield ``elsewhere``."""
    if not console.is_terminal or not shown:
        yield elsewhere
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *more)
    with Progress(*columns, console=console, transient=True) as progress:
        yield listener(progress)


class _Lines(Listener):
    """Prints lines of any text, such as error messages."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        self.console.print(Text(as_options(line)), soft_wrap=True)

    def chose(self, reason: str) -> None:
        self.say(reason)

    def note(self, line: str) -> None:
        self.say(f"note: {line}")


class TrainingLines(_Lines):
    """A plain line for each finished epoch, for a log; within a long epoch, one about its steps now and then."""

    max_epochs = current = steps = done = 0
    last_stage = ""  # after the last epoch
    said = 0.0  # when the last line was printed, by a clock that only runs forward

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        self.max_epochs, self.current, self.steps, self.done = max_epochs, done + 1, steps, 0
        self.said = time.monotonic()
        self.say(f"resumed after epoch {done}" if done else f"at most {count(max_epochs, 'epoch')}")

    def step(self) -> None:
        self.done += 1
        if time.monotonic() - self.said >= _STEP_SECONDS:
            self.said = time.monotonic()
            self.say(f"epoch {self.current}, step {self.done} of {self.steps}")

    def epoch(self, record: EpochRecord) -> None:
        self.current, self.done, self.said = record.epoch + 1, 0, time.monotonic()
        losses = ", ".join(f"{task} {value:.3f}" for task, value in record.loss.items())
        best = "; best so far" if record.best else ""
        self.say(
            f"epoch {record.epoch} of {self.max_epochs}: loss {losses}; valid MAE {record.valid['mae']:.4f}; "
            f"{record.seconds:.1f} s{best}"
        )

    def finishing(self, stage: str, done: int = 0, total: int = 0) -> None:
        if stage != self.last_stage or (total and time.monotonic() - self.said >= _STEP_SECONDS):
            self.last_stage, self.said = stage, time.monotonic()
            self.say(f"{stage}{f': {done} of {total}' if done else ''}")


class TrainingBars(_Lines):
    """A bar over all epochs and one over the steps of the current one, with a line for each finished epoch."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.console)
        self.progress = progress
        self.epochs: TaskID | None = None
        self.steps: TaskID | None = None

    def started(self, max_epochs: int, steps: int, done: int) -> None:
        self.epochs = self.progress.add_task("epochs", total=max_epochs, completed=done)
        self.steps = self.progress.add_task("steps", total=steps)
        if done:
            self.progress.console.print(f"resumed after epoch {done}")

    def step(self) -> None:
        assert self.steps is not None
        self.progress.advance(self.steps)

    def epoch(self, record: EpochRecord) -> None:
        assert self.epochs is not None
        assert self.steps is not None
        losses = "  ".join(f"{task} {value:.3f}" for task, value in record.loss.items())
        star = "  [green]best[/]" if record.best else ""
        self.progress.console.print(
            f"epoch {record.epoch:>3}  loss: {losses}  valid MAE [bold]{record.valid['mae']:.4f}[/]  "
            f"{record.seconds:.1f} s{star}"
        )
        self.progress.advance(self.epochs)
        self.progress.reset(self.steps)

    def finishing(self, stage: str, done: int = 0, total: int = 0) -> None:
        if self.steps is not None:
            self.progress.update(self.steps, description=stage, completed=done, total=total or None)


def watch_training(console: Console) -> AbstractContextManager[TrainingBars | TrainingLines | None]:
    """Show bars on a terminal, a line for each epoch elsewhere; of several processes, only one does."""
    lines = TrainingLines(console) if speaks() else None
    return _bars(console, TrainingBars, lines, TimeRemainingColumn(), shown=speaks())


class ClipBar(Listener):
    """A bar over the clips to extract, with the number of clips left out."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.clips: TaskID | None = None
        self.left, self.failed = 0, 0

    def clips_planned(self, clips: int) -> None:
        self.left = clips
        self.clips = self.progress.add_task("clips", total=clips)

    def clip(self, clip: Clip, kept: bool, problem: str | None) -> None:
        assert self.clips is not None
        if kept:  # it took no time, and would distort the remaining time
            self.left -= 1
            self.progress.update(self.clips, total=self.left)
            return
        if problem is not None:
            self.failed += 1
            self.progress.update(self.clips, description=f"clips ({self.failed} left out)")
        self.progress.advance(self.clips)


class ClipLines(_Lines):
    """A line for every tenth clip to extract, and for every clip that takes long."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.total, self.done, self.failed = 0, 0, 0
        self.said, self.when = 0, time.monotonic()

    def clips_planned(self, clips: int) -> None:
        self.total, self.when = clips, time.monotonic()

    def clip(self, clip: Clip, kept: bool, problem: str | None) -> None:
        self.done, self.failed = self.done + 1, self.failed + (problem is not None)
        if self.done - self.said >= _CLIPS or time.monotonic() - self.when >= _SECONDS:
            self.said, self.when = self.done, time.monotonic()
            self.say(f"clip {self.done} of {self.total}{f'; {self.failed} left out' if self.failed else ''}")


def watch_clips(console: Console) -> AbstractContextManager[ClipBar | ClipLines]:
    """Show a bar with the remaining time on a terminal, a line for every tenth clip elsewhere."""
    return _bars(console, ClipBar, ClipLines(console), TimeRemainingColumn())


class RunLines(_Lines):
    """A line for each of several trainings.

    Args:
        noun: the word for a training, ``seed`` or ``run``.
        epochs: whether each finished epoch has a line too.
    """

    def __init__(self, console: Console, noun: str, *, epochs: bool = False) -> None:
        super().__init__(console)
        self.noun, self.epochs = noun, epochs
        self.best: dict[Any, EpochRecord] = {}

    def runs_planned(self, plan: Plan, waiting: Sequence[Any], finished: Sequence[Any]) -> None:
        done = f" ({len(finished)} finished already)" if finished else ""
        limit = "if memory allows" if plan.measured else "as set by --jobs"
        threads = count(plan.threads, "thread")
        at_once = f", {plan.jobs} at once {limit}, {threads} each" if plan.jobs > 1 else f", one at a time, {threads}"
        self.say(f"{count(len(waiting), self.noun)} to train{done}{at_once}")

    def run_started(self, key: Any, max_epochs: int, done: int) -> None:
        self.say(f"{self.noun} {key}: started" if not done else f"{self.noun} {key}: resumed after epoch {done}")

    def run_epoch(self, key: Any, record: EpochRecord) -> None:
        if record.best:
            self.best[key] = record
        if self.epochs:
            best = "; best so far" if record.best else ""
            self.say(f"{self.noun} {key}: epoch {record.epoch}, valid MAE {record.valid['mae']:.4f}{best}")

    def run_finishing(self, key: Any, stage: str, done: int, total: int) -> None:
        if self.epochs and not done:
            self.say(f"{self.noun} {key}: {stage}")

    def run_ended(self, key: Any, problem: str | None) -> None:
        best = self.best.get(key)
        figure = f", valid MAE {best.valid['mae']:.4f} at epoch {best.epoch}" if best else ""
        self.say(f"{self.noun} {key}: finished{figure}" if problem is None else f"{self.noun} {key}: failed: {problem}")


class RunBars(RunLines):
    """The same, with a bar for all trainings together and one for each running training."""

    def __init__(self, progress: Progress, noun: str) -> None:
        super().__init__(progress.console, noun)
        self.progress = progress
        self.all: TaskID | None = None
        self.tasks: dict[Any, TaskID] = {}

    def runs_planned(self, plan: Plan, waiting: Sequence[Any], finished: Sequence[Any]) -> None:
        super().runs_planned(plan, waiting, finished)
        total = len(waiting) + len(finished)
        self.all = self.progress.add_task(f"{self.noun}s", total=total, completed=len(finished), note="")

    def run_started(self, key: Any, max_epochs: int, done: int) -> None:
        self.tasks[key] = self.progress.add_task(f"{self.noun} {key}", total=max_epochs, completed=done, note="")

    def run_epoch(self, key: Any, record: EpochRecord) -> None:
        super().run_epoch(key, record)
        best = self.best.get(key)
        note = f"best valid MAE {best.valid['mae']:.4f}" if best else ""
        self.progress.update(self.tasks[key], completed=record.epoch, note=note)

    def run_finishing(self, key: Any, stage: str, done: int, total: int) -> None:
        if key in self.tasks:  # a model in closed form has no epochs
            self.progress.update(self.tasks[key], note=f"{stage}{f' {done} of {total}' if done else ''}")

    def run_ended(self, key: Any, problem: str | None) -> None:
        super().run_ended(key, problem)
        assert self.all is not None
        if key in self.tasks:  # otherwise it failed before its training began
            self.progress.remove_task(self.tasks.pop(key))
        if problem is None:
            self.progress.advance(self.all)


def watch_runs(console: Console, noun: str, *, epochs: bool = False) -> AbstractContextManager[RunLines]:
    """Show bars on a terminal, a line for each training elsewhere, with ``epochs`` also for each of its epochs."""
    columns = (TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    lines = RunLines(console, noun, epochs=epochs)
    return _bars(console, lambda progress: RunBars(progress, noun), lines, *columns)


class TrialLines(_Lines):
    """A line for each trial of a search."""

    def trials_planned(self, search: Search, trials: int, done: int, plan: Plan) -> None:
        finished = f", {done} of them done" if done else ""
        at_once = f"{plan.jobs} at once" if plan.jobs > 1 else "one after the other"
        self.say(
            f"{search.base.model_name}: {count(trials, 'trial')}{finished}, {at_once}, "
            "by the MAE on the validation split"
        )
        for key, space in search.spaces.items():
            self.say(f"  {key} = {parts.describe_space(space)}  (at the start {plain(search.start[key])})")

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        if outcome.state == "failed":
            self.say(f"trial {number}: failed: {outcome.reason}")
            return
        figure = "" if outcome.mae is None else f" valid MAE {outcome.mae:.4f} at epoch {outcome.epoch}"
        self.say(f"trial {number}: {outcome.state},{figure}{f' ({outcome.reason})' if outcome.reason else ''}")


class TrialBar(TrialLines):
    """One bar for all trials, and a line for each trial that fails."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.console)
        self.progress = progress
        self.task: TaskID | None = None
        self.best = ""
        self.lowest = math.inf

    def trials_planned(self, search: Search, trials: int, done: int, plan: Plan) -> None:
        super().trials_planned(search, trials, done, plan)
        self.task = self.progress.add_task("trials", total=trials, completed=done, note="")

    def trial_epoch(self, number: int, epoch: int, mae: float) -> None:
        self._note(f"trial {number}: epoch {epoch}, MAE {mae:.4f}")

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        if outcome.state == "failed":
            super().trial_ended(number, outcome)
        elif self.task is not None:
            self.progress.advance(self.task)
        if outcome.state == "complete" and outcome.mae is not None and outcome.mae < self.lowest:
            self.lowest, self.best = outcome.mae, f"best MAE {outcome.mae:.4f} (trial {number})"
        self._note("")

    def _note(self, now: str) -> None:
        if self.task is not None:
            self.progress.update(self.task, note=";  ".join(filter(None, (self.best, now))))


def watch_trials(console: Console) -> AbstractContextManager[TrialLines]:
    """Show one bar on a terminal, a line for each trial elsewhere."""
    columns = (TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    return _bars(console, TrialBar, TrialLines(console), *columns)


def plain(value: object) -> str:
    """Return the value of a setting for people to read."""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
