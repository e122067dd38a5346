"""The ``selfmm`` command: a thin shell on the Python interface. Heavy imports wait until a command needs them."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from selfmm.cli import annotation, data, experiments, export, extract, models, predict, report, runs, setup, tune
from selfmm.cli.output import complain
from selfmm.core.errors import SelfmmError
from selfmm.core.machine import collect_rarely
from selfmm.core.version import __version__

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
extract.register(app)
runs.register(app)
models.register(app)
experiments.register(app)
predict.register(app)
export.register(app)
report.register(app)
annotation.register(app)
tune.register(app)
setup.register(app)


def main() -> None:
    """Entry point: every error becomes one message and exit code 1."""
    collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal or pipe may know fewer characters than we print
    try:
        app()
        sys.stdout.flush()
    except SelfmmError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        complain("interrupted; what was complete is kept, and nothing is half-written.")
        sys.exit(130)
    except Exception as error:
        # What nobody foresaw: damaged files fail in many ways. A screenful of traceback helps no user.
        if os.environ.get("SELFMM_TRACEBACK"):
            raise
        first = (str(error).strip() or "no message").splitlines()[0][:300]
        where = "This is a damaged file or a mistake of selfmm; set SELFMM_TRACEBACK=1 to see where it happened."
        complain(f"{type(error).__name__}: {first}. {where}")
        sys.exit(1)
