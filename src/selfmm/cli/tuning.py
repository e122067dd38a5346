"""How a search goes, in one line on a terminal, and what it came to."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from selfmm.config.model_name import is_code
from selfmm.experiments.search import Search, describe_space

if TYPE_CHECKING:  # they import Optuna, which is an extra
    from selfmm.experiments.study import Asked
    from selfmm.experiments.trial import Outcome
    from selfmm.experiments.tuning import Tuning
    from selfmm.training.seed_pool import Plan


class Lines:
    """A line per trial."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def planned(self, search: Search, trials: int, done: int, plan: Plan) -> None:
        there = f", {done} of them done" if done else ""
        at_once = f"{plan.jobs} at once" if plan.jobs > 1 else "one after the other"
        self.say(f"{search.base.model_name}: {trials} trials{there}, {at_once}, by the MAE on the validation split")
        for key, space in search.spaces.items():
            self.say(f"  {key} = {describe_space(space)}  (at the start {_plain(search.start[key])})")

    def started(self, asked: Asked) -> None: ...

    def epoch(self, number: int, epoch: int, mae: float) -> None: ...

    def ended(self, number: int, outcome: Outcome) -> None:
        self.say(describe_trial(number, outcome))

    def say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)  # a message of an error is no markup


class Bar(Lines):
    """One line for all trials; those that fail have a line of their own."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.console)
        self.progress = progress
        self.task: TaskID | None = None
        self.best = ""
        self.lowest = math.inf

    def planned(self, search: Search, trials: int, done: int, plan: Plan) -> None:
        super().planned(search, trials, done, plan)
        self.task = self.progress.add_task("trials", total=trials, completed=done, note="")

    def epoch(self, number: int, epoch: int, mae: float) -> None:
        self._note(f"trial {number}: epoch {epoch}, MAE {mae:.4f}")

    def ended(self, number: int, outcome: Outcome) -> None:
        if outcome.state == "failed":
            super().ended(number, outcome)
        elif self.task is not None:
            self.progress.advance(self.task)
        if outcome.state == "complete" and outcome.mae is not None and outcome.mae < self.lowest:
            self.lowest, self.best = outcome.mae, f"best MAE {outcome.mae:.4f} (trial {number})"
        self._note("")

    def _note(self, now: str) -> None:
        if self.task is not None:
            self.progress.update(self.task, note=";  ".join(filter(None, (self.best, now))))


@contextmanager
def tune_listener(console: Console) -> Iterator[Lines]:
    """One line that changes on a terminal, a line per trial elsewhere."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True) as progress:
        yield Bar(progress)


def describe_trial(number: int, outcome: Outcome) -> str:
    """How a trial ended, in a line."""
    if outcome.state == "failed":
        return f"trial {number}: failed: {outcome.reason}"
    figure = "" if outcome.mae is None else f" valid MAE {outcome.mae:.4f} at epoch {outcome.epoch}"
    return f"trial {number}: {outcome.state},{figure}{f' ({outcome.reason})' if outcome.reason else ''}"


def show_tuning(console: Console, result: Tuning, data: Path, origin: Sequence[str]) -> None:
    """Start and best beside each other, what mattered, and what to do next.

    Args:
        origin: options of the command line that the search started from, ``--preset`` and ``--set``.
    """
    from selfmm.experiments.tuning import describe_counts

    console.print(_table(result))
    seed, model = result.settings.seed, result.search.base.model
    seeds = ["--seeds", f"{seed + 1}-{seed + 5}"]
    hint = "share: of a setting in how far the complete trials differ (fANOVA); of so few trials a hint, no finding"
    lines = [
        f"{describe_counts(result.counts)}; the best is trial {result.best.number}",
        *([hint] if result.importance else []),
        f"{result.folder}: best.toml, trials.csv",
        "",
        "The best of several figures on one split is optimistic. Other seeds, and then the test split, decide:",
        _command("train", data, *(["--model", model] if is_code(model) else []), "--preset", result.preset, *seeds),
        _command("compare", data, "--models", f"{model},{result.preset}", *seeds, *origin),
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)  # so that a command can be copied


def _command(*words: object) -> str:
    return f"  selfmm {shlex.join(map(str, words))}"


def _table(result: Tuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "start", "best", *(["share"] if result.importance else [])):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    start, best = result.start, result.best
    columns: list[Mapping[str, Any]] = [{} if start is None else start.values, best.values]
    table.add_row("valid MAE", *(_figure(None if trial is None else trial.outcome.mae) for trial in (start, best)))
    table.add_row("at epoch", *(_plain(None if trial is None else trial.outcome.epoch) for trial in (start, best)))
    for key in sorted(result.search.spaces, key=lambda key: -result.importance.get(key, 0.0)):
        shares = [f"{result.importance[key]:.2f}"] if result.importance else []
        table.add_row(Text(key), *(Text(_plain(values.get(key))) for values in columns), *shares)
    return table


def _figure(mae: float | None) -> str:
    return "-" if mae is None else f"{mae:.4f}"


def _plain(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
