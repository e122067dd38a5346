"""Commands that serve: the app, a page in the browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from selfmm import api
from selfmm.cli import options

PANEL = "App"
Host = Annotated[str, typer.Option(help="Address to listen on; the default is reached from this machine alone.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; default: the first free one from 8765 on.")]
Names = Annotated[
    list[str] | None, typer.Option("--name", help="A further host name under which it is reached. Repeatable.")
]


def register(root: typer.Typer) -> None:
    options.register(root, PANEL, app=app)


def app(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder with your data sets, runs and recordings.")
    ] = Path(),
    host: Host = "127.0.0.1",
    port: Port = None,
    name: Names = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link, and open no browser.")] = False,
) -> None:
    """Open a page in the browser: score, look at data, rate clips, train, and compare runs."""
    try:
        from selfmm.app.server import run
    except ModuleNotFoundError as error:
        raise _missing(error) from error

    def ready(link: str) -> None:
        typer.echo(f"selfmm is at {link}\nPress Ctrl-C to end it; trainings that are running go on.")
        sys.stdout.flush()
        if not no_browser:
            webbrowser.open(link)

    try:
        run(folder, host=host, port=port, names=name or (), ready=ready)
    except KeyboardInterrupt:  # the usual way to end it, also by SIGTERM
        typer.echo("selfmm has ended.")


def _missing(error: ModuleNotFoundError) -> api.MissingPackageError:
    return api.MissingPackageError(f"the app needs {error.name}. Install it with: pip install 'selfmm[app]'")
