"""The ``selfmm`` command: a thin shell on the Python interface. Heavy imports wait until a command needs them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from selfmm import __version__
from selfmm.cli import data, runs, setup
from selfmm.errors import SelfmmError

app = typer.Typer(
    name="selfmm",
    help="Multimodal sentiment analysis: one score per clip, and what words, voice and face say alone.",
    epilog="Start with: selfmm quickstart",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfmm {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


data.register(app)
runs.register(app)
setup.register(app)


def main() -> None:
    """Entry point: our own errors become one message and exit code 1."""
    try:
        app()
    except SelfmmError as error:
        _complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        _complain("interrupted; what was complete is kept, and nothing is half-written.")
        sys.exit(130)


def _complain(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty()).print(
        Text.assemble(("error: ", "bold red"), message)
    )
