"""Commands on many runs: compare, ablate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm.cli.output import interruptible
from selfmm.core.errors import TrainingError

if TYPE_CHECKING:
    from rich.console import Console

    from selfmm.experiments.grid import Grid
    from selfmm.experiments.table import Table

DataArgument = Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder.")]
SeedsOption = Annotated[str, typer.Option(help="For example 1111-1115 or 1111,1120-1122.")]
PresetOption = Annotated[str | None, typer.Option("--preset", "-p", help="Of all of them: a name or a TOML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A setting of all of them, key=value. Repeatable.")]
EncoderOption = Annotated[str | None, typer.Option(help="Hub name, local folder, or minilm (offline weights).")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the runs and tables.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Keep what is finished, and train what is missing.")]
JobsOption = Annotated[int | None, typer.Option(help="So many runs at once; default: as cores and memory allow.")]


def register(app: typer.Typer) -> None:
    app.command()(compare)
    app.command()(ablate)


def compare(
    data: DataArgument,
    models: Annotated[
        str,
        typer.Option(
            "--models", "-m", help="Comma list: models, TOML presets, each with +key=value; all for every model."
        ),
    ] = "all",
    seeds: SeedsOption = "1111-1115",
    baseline: Annotated[str | None, typer.Option(help="Hold the others against it; default: the first.")] = None,
    published: Annotated[str | None, typer.Option(help="Figures published on mosi, mosei or sims beside.")] = None,
    preset: PresetOption = None,
    text_encoder: EncoderOption = None,
    overrides: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    jobs: JobsOption = None,
) -> None:
    """Train many models with the same seeds and print the table of a paper."""
    from rich.console import Console

    from selfmm.cli.seeds import pool_listener
    from selfmm.config.settings import with_values
    from selfmm.experiments.compare import compare as compare_

    console = Console()
    with interruptible(), pool_listener(console, "run") as listener:
        result = compare_(
            data,
            [name.strip() for name in models.split(",")],
            seeds=seeds,
            preset=preset,
            overrides=with_values(overrides or (), {"text.encoder": text_encoder}),
            baseline=baseline,
            published=published,
            out=out,
            resume=resume,
            jobs=jobs,
            listener=listener,
        )
    _show(console, result.table, f"{result.folder}: comparison.md, .csv, .tex, .html, and every run")
    _complain(result.grid)


def ablate(
    data: DataArgument,
    what: Annotated[
        str, typer.Option("--what", "-w", help="Comma list of tasks, rules, modalities, amount, robustness.")
    ] = "tasks",
    model: Annotated[str, typer.Option("--model", "-m", help="Which model; see `selfmm models`.")] = "self_mm",
    seeds: SeedsOption = "1111-1115",
    preset: PresetOption = None,
    text_encoder: EncoderOption = None,
    overrides: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    jobs: JobsOption = None,
) -> None:
    """Vary what a model is trained on and for, and see what each part is worth."""
    from rich.console import Console

    from selfmm.cli.seeds import pool_listener
    from selfmm.config.settings import with_values
    from selfmm.experiments.ablate import ablate as ablate_

    console = Console()
    with interruptible(), pool_listener(console, "run") as listener:
        result = ablate_(
            data,
            [name.strip() for name in what.split(",")],
            model=model,
            seeds=seeds,
            preset=preset,
            overrides=with_values(overrides or (), {"text.encoder": text_encoder}),
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
    _complain(result.grid)


def _show(console: Console, table: Table, where: str) -> None:
    from rich.text import Text

    from selfmm.cli.tables import experiment_table

    console.print(experiment_table(table, console.width))
    console.print(Text(where), soft_wrap=True)


def _complain(grid: Grid) -> None:
    if grid.failed:
        runs = "1 run has" if len(grid.failed) == 1 else f"{len(grid.failed)} runs have"
        raise TrainingError(f"{runs} no result; the table says why. Mend it, then pass --resume.")
