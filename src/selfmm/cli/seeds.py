"""How several trainings go, and the table of what ``selfmm train --seeds`` came to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from selfmm.core.jobs.plan import Plan
from selfmm.core.listener import Listener
from selfmm.evaluation.metrics import DESCRIPTIONS
from selfmm.evaluation.tables import cell, head
from selfmm.training.seeds import SeedRuns, describe_failures
from selfmm.training.trainer import EpochRecord

_FIXED, _COLUMN = 56, 10  # characters: of the table without seeds, and per seed
_FACTS = {"best_epoch": "best epoch", "epochs": "epochs", "seconds": "seconds", "peak_memory": "peak memory, GB"}


class Lines(Listener):
    """A line per training.

    Args:
        noun: what they are called, ``seed`` or ``run``.
    """

    def __init__(self, console: Console, noun: str) -> None:
        self.console = console
        self.noun = noun
        self.best: dict[Any, EpochRecord] = {}

    def runs_planned(self, plan: Plan, waiting: Sequence[Any], finished: Sequence[Any]) -> None:
        there = f" ({len(finished)} finished already)" if finished else ""
        most = "if memory allows" if plan.measured else "as --jobs says"
        threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
        at_once = f", {plan.jobs} at once {most}, {threads} each" if plan.jobs > 1 else f", one at a time, {threads}"
        self._say(f"{len(waiting)} {self.noun}{'' if len(waiting) == 1 else 's'} to train{there}{at_once}")

    def run_started(self, key: Any, max_epochs: int, done: int) -> None:
        self._say(f"{self.noun} {key}: started" if not done else f"{self.noun} {key}: resumed after epoch {done}")

    def run_epoch(self, key: Any, record: EpochRecord) -> None:
        if record.best:
            self.best[key] = record

    def run_ended(self, key: Any, problem: str | None) -> None:
        best = self.best.get(key)
        figure = f", valid MAE {best.valid['mae']:.4f} at epoch {best.epoch}" if best else ""
        self._say(
            f"{self.noun} {key}: finished{figure}" if problem is None else f"{self.noun} {key}: failed: {problem}"
        )

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)  # a message of an error is no markup


class PoolBars(Lines):
    """The same, with a bar over all and one per running one."""

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

    def run_ended(self, key: Any, problem: str | None) -> None:
        super().run_ended(key, problem)
        assert self.all is not None
        if key in self.tasks:  # else it failed before its training began
            self.progress.remove_task(self.tasks.pop(key))
        if problem is None:
            self.progress.advance(self.all)


@contextmanager
def pool_listener(console: Console, noun: str) -> Iterator[Lines]:
    """Bars on a terminal, a line per training elsewhere."""
    if not console.is_terminal:
        yield Lines(console, noun)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True) as progress:
        yield PoolBars(progress, noun)


def seeds_summary(result: SeedRuns, width: int) -> Group:
    """Mean and deviation per metric, each seed's figure on the test split where they fit into ``width`` characters."""
    seeds = list(result.runs)
    shown = seeds if _FIXED + _COLUMN * len(seeds) <= width else []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("metric", "valid", "test", *(f"test {seed}" for seed in shown)):
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    content = result.summary.join(result.figures.add_prefix("seed_"))
    rows = {str(key): {str(column): float(value) for column, value in row.items()} for key, row in content.iterrows()}
    for key in (key for key in DESCRIPTIONS if f"valid_{key}" in rows):
        splits = (rows[f"{split}_{key}"] for split in ("valid", "test"))
        both = [f"{cell(key, row['mean'])} ± {cell(key, row['std'])}" for row in splits]
        table.add_row(head(key), *both, *(cell(key, rows[f"test_{key}"][f"seed_{seed}"]) for seed in shown))
    for key, name in _FACTS.items():
        scale = 1e9 if key == "peak_memory" else 1
        figures = {column: _number(value / scale) for column, value in rows[key].items()}
        own = [figures[f"seed_{seed}"] for seed in shown]
        table.add_row(name, "", f"{figures['mean']} ± {figures['std']}", *own)
    over = f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}"
    count = f"mean ± deviation (n - 1) over {over}, each at its best epoch by the validation MAE"
    lines = [count, f"{result.folder}: seed-<seed>, summary.csv, summary.json"]
    return Group(table, *(Text(line) for line in (*lines, *describe_failures(result.failed))))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"
