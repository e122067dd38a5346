"""The ``selfmm`` command: it reads options, calls :mod:`selfmm.api`, and prints."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.cli import compare, data, labels, machine, quickstart, score, train
from selfmm.cli.output import complain

app = typer.Typer(
    name="selfmm",
    help="Multimodal sentiment analysis: one score for each clip, and the scores of words, voice and face alone.",
    epilog="Start with: selfmm quickstart",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfmm {parts.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


for group in (quickstart, score, train, compare, labels, data, machine):  # the order of the help
    group.register(app)


def main() -> None:
    """Run the command; every error becomes one message and exit code 1."""
    parts.collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal or pipe may support fewer characters than we print
    try:
        app(prog_name="selfmm")  # also as `python -m selfmm`
        sys.stdout.flush()
    except api.SelfmmError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        complain("interrupted; complete results are kept, and no file is half-written.")
        sys.exit(130)
    except Exception as error:
        # Damaged files fail in many unexpected ways, and a screen of traceback helps no user.
        if os.environ.get("SELFMM_TRACEBACK"):
            raise
        first = (str(error).strip() or "no message").splitlines()[0][:300]
        where = "A file is damaged, or this is a bug in selfmm; set SELFMM_TRACEBACK=1 to see where it happened."
        complain(f"{type(error).__name__}: {first}. {where}")
        sys.exit(1)
