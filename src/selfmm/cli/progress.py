"""How training goes, in a terminal; nothing where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from selfmm.cli.output import speaks
from selfmm.core.listener import Listener
from selfmm.features.clips.clip import Clip
from selfmm.training.trainer import EpochRecord


class Bars(Listener):
    """A bar over all epochs and one over the current one's steps, with a line per finished epoch."""

    def __init__(self, progress: Progress) -> None:
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


@contextmanager
def listener(console: Console) -> Iterator[Listener]:
    """Bars on a terminal, silence elsewhere and in all but one of several processes."""
    if not console.is_terminal or not speaks():
        yield Listener()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bars(progress)


class ClipBar(Listener):
    """A bar over the clips that are to be extracted, and how many are left out."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.clips: TaskID | None = None
        self.left, self.failed = 0, 0

    def clips_planned(self, clips: int) -> None:
        self.left = clips
        self.clips = self.progress.add_task("clips", total=clips)

    def clip(self, clip: Clip, kept: bool, problem: str | None) -> None:
        assert self.clips is not None
        if kept:  # it took no time, and would make the rest seem as quick
            self.left -= 1
            self.progress.update(self.clips, total=self.left)
            return
        if problem is not None:
            self.failed += 1
            self.progress.update(self.clips, description=f"clips ({self.failed} left out)")
        self.progress.advance(self.clips)


@contextmanager
def extract_listener(console: Console) -> Iterator[Listener]:
    """A bar with the time that is left, on a terminal; silence elsewhere."""
    if not console.is_terminal:
        yield Listener()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield ClipBar(progress)
