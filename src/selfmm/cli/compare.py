"""Commands for many runs: compare, ablate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm import api
from selfmm.api.parts import count
from selfmm.cli import options
from selfmm.cli.output import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from selfmm.api.parts import Grid, Table


_PIPED = 220  # characters of a line in a file or pipe, where nothing has to fit a screen
_FILES = "{0}.md, .csv, .tex, .bib, .html, .svg, {0}-cases.md"


def register(app: typer.Typer) -> None:
    options.register(app, "Compare", compare=compare, ablate=ablate)


def compare(
    data: Annotated[list[Path], typer.Argument(metavar="DATA", help="A data-set folder, or several for one table.")],
    models: Annotated[
        str,
        typer.Option("--models", "-m", help="Comma list of models or TOML presets, each with +key=value; or all."),
    ] = "all",
    seeds: options.Seeds = "1111-1115",
    baseline: Annotated[str | None, typer.Option(help="Compare the others with this one; default: the first.")] = None,
    published: Annotated[
        str | None, typer.Option(help="Also show the figures published on mosi, mosei or sims.")
    ] = None,
    preset: options.Preset = None,
    text_encoder: options.TextEncoder = None,
    overrides: options.Overrides = None,
    columns: options.Columns = None,
    out: options.OutRuns = None,
    resume: options.Resume = False,
    jobs: options.Jobs = None,
) -> None:
    """Train many models with the same seeds and print the table of a paper."""
    from rich.console import Console
    from rich.text import Text

    from selfmm.cli.progress import watch_runs

    console = Console()
    with interruptible(), watch_runs(console, "run") as listener:
        result = api.compare(
            data[0] if len(data) == 1 else data,
            models,
            seeds=seeds,
            baseline=baseline,
            published=published,
            preset=preset,
            text_encoder=text_encoder,
            overrides=overrides or (),
            columns=columns or (),
            out=out,
            resume=resume,
            jobs=jobs,
            listener=listener,
        )
    if not isinstance(result, api.Comparisons):
        _show(console, result.table, f"{result.folder}: {_FILES.format('comparison')}, and every run")
        _check([result.grid])
        return
    for part in result.parts.values():
        _show(console, part.table, "")
    files = "comparison.md, .csv, .tex, .bib, .html of all data sets, and a folder for each"
    console.print(Text(f"{result.folder}: {files}"), soft_wrap=True)
    _check([part.grid for part in result.parts.values()])


def ablate(
    data: options.Data,
    what: Annotated[
        str, typer.Option("--what", "-w", help="Comma list of tasks, rules, modalities, amount, robustness.")
    ] = "tasks",
    model: options.Model = "self_mm",
    seeds: options.Seeds = "1111-1115",
    preset: options.Preset = None,
    text_encoder: options.TextEncoder = None,
    overrides: options.Overrides = None,
    columns: options.Columns = None,
    out: options.OutRuns = None,
    resume: options.Resume = False,
    jobs: options.Jobs = None,
) -> None:
    """Train variations of a model, and show what each part contributes."""
    from rich.console import Console

    from selfmm.cli.progress import watch_runs

    console = Console()
    with interruptible(), watch_runs(console, "run") as listener:
        result = api.ablate(
            data,
            what,
            model=model or "self_mm",
            seeds=seeds,
            preset=preset,
            text_encoder=text_encoder,
            overrides=overrides or (),
            columns=columns or (),
            out=out,
            resume=resume,
            jobs=jobs,
            listener=listener,
        )
    for name, table in result.tables.items():
        _show(console, table, f"{result.folder}: {_FILES.format(name)}, and every run")
    if result.curves is not None:
        from rich.markdown import Markdown

        console.print(Markdown(result.curves.markdown()))
    _check([result.grid])


def _show(console: Console, table: Table, files: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from selfmm.cli.show_results import experiment_table

    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_PIPED)
    console.print(experiment_table(table, console.width))
    if files:
        console.print(Text(files), soft_wrap=True)


def _check(grids: Sequence[Grid]) -> None:
    failed = sum(len(grid.failed) for grid in grids)
    if failed:
        runs = f"{count(failed, 'run')} {'has' if failed == 1 else 'have'}"
        raise api.TrainingError(f"{runs} no result; the table shows the reason. Fix the cause, then pass --resume.")
