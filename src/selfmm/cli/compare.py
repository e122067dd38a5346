"""Commands for many runs: compare, ablate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from selfmm import api
from selfmm.api.parts import count
from selfmm.cli import options
from selfmm.cli.output import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from selfmm.api.parts import Grid, Table


def register(app: typer.Typer) -> None:
    options.register(app, "Compare", compare=compare, ablate=ablate)


def compare(
    data: options.Data,
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
    out: options.OutRuns = None,
    resume: options.Resume = False,
    jobs: options.Jobs = None,
) -> None:
    """Train many models with the same seeds and print the table of a paper."""
    from rich.console import Console

    from selfmm.cli.progress import watch_runs

    console = Console()
    with interruptible(), watch_runs(console, "run") as listener:
        result = api.compare(
            data,
            models,
            seeds=seeds,
            baseline=baseline,
            published=published,
            preset=preset,
            text_encoder=text_encoder,
            overrides=overrides or (),
            out=out,
            resume=resume,
            jobs=jobs,
            listener=listener,
        )
    _show(console, result.table, f"{result.folder}: comparison.md, .csv, .tex, .html, and every run")
    _check(result.grid)


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
            out=out,
            resume=resume,
            jobs=jobs,
            listener=listener,
        )
    for name, table in result.tables.items():
        _show(console, table, f"{result.folder}: {name}.md, .csv, .tex, .html, and every run")
    if result.curves is not None:
        from rich.markdown import Markdown

        console.print(Markdown(result.curves.markdown()))
    _check(result.grid)


def _show(console: Console, table: Table, files: str) -> None:
    from rich.text import Text

    from selfmm.cli.show_results import experiment_table

    console.print(experiment_table(table, console.width))
    console.print(Text(files), soft_wrap=True)


def _check(grid: Grid) -> None:
    if grid.failed:
        runs = f"{count(len(grid.failed), 'run')} {'has' if len(grid.failed) == 1 else 'have'}"
        raise api.TrainingError(f"{runs} no result; the table shows the reason. Fix the cause, then pass --resume.")
