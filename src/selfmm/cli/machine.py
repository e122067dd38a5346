"""Commands about this machine: doctor, weights."""

from __future__ import annotations

from typing import Annotated

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.cli import options

PANEL = "Machine"
weights_app = typer.Typer(help="Get pretrained weights that need no model hub.", no_args_is_help=True)


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

        from selfmm.cli.show_machine import diagnosis_tables

        Console().print(diagnosis_tables(diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)
