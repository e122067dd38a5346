"""Commands about this machine: doctor, weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.cli import options

if TYPE_CHECKING:
    from rich.console import Group

PANEL = "Machine"
weights_app = typer.Typer(
    cls=options.Group, help="Get pretrained weights that need no model hub.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    options.register(app, PANEL, doctor=doctor)
    app.add_typer(weights_app, name="weights", rich_help_panel=PANEL)


@weights_app.command("get", cls=options.Command)
def weights_get(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names, for example: minilm tiny.en face")],
) -> None:
    """Download weights into your cache folder and check their hashes."""
    for name in names:
        parts.known(name)  # a misspelt name is an error before anything is downloaded
    for name in names:
        typer.echo(f"{name}: {api.get_weights(name)[name]}")


@weights_app.command("list", cls=options.Command)
def weights_list() -> None:
    """List all weights, and show which are on this machine."""
    for weights in api.list_weights():
        typer.echo(f"{weights.name}: {weights.about}\n  {weights.problem or weights.path}")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what this machine can do, and the commands that add the rest.

    The exit code is 1 if it cannot even train.
    """
    diagnosis = api.doctor()
    if as_json:
        typer.echo(diagnosis.to_json())
    else:
        from rich.console import Console

        Console().print(_diagnosis_tables(diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _diagnosis_tables(diagnosis: api.Diagnosis) -> Group:
    """Lay out what works and what would add the rest, then what is installed."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def yes(value: bool) -> Text:
        return Text("yes", style="green") if value else Text("no", style="red")

    jobs = Table("job", "works", "what it lacks, and what adds it", box=None, pad_edge=False)
    for job in diagnosis.jobs:
        lacks = Text(", ".join(job.missing))
        for command in job.commands:
            lacks.append(f"\n{command}", style="bold")
        jobs.add_row(job.name, yes(not job.missing), lacks)
    installed = Table("installed", "", "", box=None, pad_edge=False)
    installed.add_row("selfmm", diagnosis.selfmm, Text(f"Python {diagnosis.python}, {diagnosis.system}"))
    installed.add_row("processor", parts.count(diagnosis.threads, "thread"), "")
    installed.add_row("GPU", yes(diagnosis.gpu not in ("", "none")), Text(diagnosis.gpu))
    for package in diagnosis.packages:
        installed.add_row(package.name, Text(package.version or "-"), Text(package.problem))
    for name, works in diagnosis.decoders.items():
        installed.add_row(f"decoder of {name}", yes(works), "")
    for weights in diagnosis.weights:
        state = Text(weights.problem or weights.about)
        installed.add_row(f"weights {weights.name}", yes(weights.path is not None), state)
    installed.add_row("cache", "", Text(diagnosis.cache))
    return Group(jobs, Text(), installed)
